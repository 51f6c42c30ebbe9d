"""picochat preflight: every check, before anything is spent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from picochat.artifacts import layout
from picochat.artifacts.store import RunLock, RunStore
from picochat.cli import options
from picochat.cli.commands.run import absolute_pack, resolve_run
from picochat.cli.console import build_console, print_json, print_table
from picochat.cli.verdict import STYLES
from picochat.pipeline.config import RunConfig, resolve
from picochat.pipeline.preflight.gather import run_preflight, write_preflight
from picochat.pipeline.preflight.machine import ask_doctor, this_machine
from picochat.pipeline.profiles import PROFILES, load_profile
from picochat.pipeline.runner import load_run_record
from picochat.views.preflight import fix_lines, preflight_line, preflight_markdown, preflight_table, sorted_rows

BLOCKED = 3


@click.command()
@click.argument("what", metavar="PROFILE|RUN")
@click.option("--pack", help="With PROFILE: the pack that it will read.")
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="A TOML file with settings over the profile."
)
@click.option(
    "--profile",
    "gate_profile",
    type=click.Choice(["research", "first_release", "skill_release"]),
    help="Whose limits count; default: the run's own.",
)
@click.option("--ranks", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that will train.")
@click.option("--markdown", is_flag=True, help="Print preflight.md instead of a table.")
@options.set_option
@options.json_option
@click.pass_context
def preflight(
    ctx: click.Context,
    what: str,
    pack: str | None,
    config_file: Path | None,
    gate_profile: str | None,
    ranks: int,
    markdown: bool,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Judge a profile, or a RUN whose data is built, before it is trained. Exit code 3 when blocked.

    With RUN, preflight.json and preflight.md are written into it, as long as nothing is trained.
    """
    if what in PROFILES:
        store, config, name = None, _profile_config(what, pack, config_file, settings), what
    else:
        if pack or config_file or settings:
            raise click.UsageError("a run has its settings already: --pack, --config and --set go with a profile")
        store = options.find_run(what)
        record = load_run_record(store)
        config, name = RunConfig.from_dict(record.config, str(store.root)), record.profile
    if gate_profile:
        config = resolve(name, config, [("flag", {"summary": {"gate_profile": gate_profile}})]).config
    body = judge_here(store, config, name, ranks)
    show(body, as_json=as_json, markdown=markdown)
    ctx.exit(BLOCKED if body["verdict"] == "blocked" else 0)


def judge_here(store: RunStore | None, config: RunConfig, profile: str, ranks: int) -> dict[str, Any]:
    """Judges on this machine; with a run, under its lock and into its folder."""
    folder = store.root if store else options.runs_dir()
    expected = PROFILES[profile].ranks if profile in PROFILES else ranks
    machine = this_machine(config, ranks, expected, folder, ask_doctor())
    if store is None:
        return run_preflight(RunStore(folder / ".none"), config, machine)
    with RunLock(store.root):
        body = run_preflight(store, config, machine)
        if store.has(layout.report_path(layout.BASE)):
            build_console(stderr=True).print(f"{store.root} is trained: what comes after is not written", markup=False)
        else:
            write_preflight(store, config, body)
    return body


def show(body: dict[str, Any], *, as_json: bool, markdown: bool = False) -> None:
    """The body as JSON, as Markdown, or as a table with what mends each fault."""
    if as_json:
        print_json(body)
        return
    console = build_console()
    if markdown:
        console.print(preflight_markdown(body), markup=False, soft_wrap=True)
        return
    table, rows = preflight_table(body), sorted_rows(body)
    print_table(table.title, table.columns, table.rows, [STYLES[row.verdict] for row in rows])
    for line in fix_lines(body):
        console.print(f"  {line}", markup=False)
    console.print(f"\n{preflight_line(body)}", markup=False)


def _profile_config(name: str, pack: str | None, config_file: Path | None, settings: tuple[str, ...]) -> RunConfig:
    load_profile(name)
    return resolve_run(name, config_file, {"data.pack": absolute_pack(pack)}, settings)[0].config
