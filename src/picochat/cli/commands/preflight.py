"""picochat preflight: every check, before anything is spent."""

from __future__ import annotations

from pathlib import Path

import click

from picochat.cli import options
from picochat.cli.commands.run import absolute_pack, resolve_run
from picochat.cli.preflighting import BLOCKED, Rented, judge_here, judge_rented, show
from picochat.pipeline.config import RunConfig, resolve
from picochat.pipeline.profiles import PROFILES, load_profile
from picochat.pipeline.runner import load_run_record


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
@click.option("--gpus", metavar="8xH100", help="Judge for these rented cards instead of this machine.")
@click.option("--rate", type=float, metavar="DOLLARS", help="With --gpus: of one GPU for an hour.")
@click.option("--cap", type=float, metavar="DOLLARS", help="With --gpus: what the run may cost in all.")
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
    gpus: str | None,
    rate: float | None,
    cap: float | None,
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
    if gpus is None and (rate is not None or cap is not None):
        raise click.UsageError("--rate and --cap are about rented cards: give --gpus too")
    if gpus is not None:
        body = judge_rented(store, config, name, Rented(gpus, rate, cap))
    else:
        body = judge_here(store, config, name, ranks)
    show(body, as_json=as_json, markdown=markdown)
    ctx.exit(BLOCKED if body["verdict"] == "blocked" else 0)


def _profile_config(name: str, pack: str | None, config_file: Path | None, settings: tuple[str, ...]) -> RunConfig:
    load_profile(name)
    return resolve_run(name, config_file, {"data.pack": absolute_pack(pack)}, settings)[0].config
