"""picochat sanity: short proofs on this machine, before a long job."""

from __future__ import annotations

from typing import Any

import click

from picochat.artifacts import layout
from picochat.cli import options
from picochat.cli.console import ConsoleProgress, build_console, print_json, print_table
from picochat.cli.verdict import STYLES
from picochat.pipeline.config import RunConfig, resolve, settings_layer
from picochat.pipeline.profiles import load_profile
from picochat.pipeline.runner import load_run_record
from picochat.stages.sanity.config import SanityConfig
from picochat.views.checks import check_rows

BLOCKED = 3


@click.command()
@options.run_argument
@click.option("--profile", help="The shape and loop to try; default tiny.")
@click.option("--device", help="auto, cpu or cuda.")
@click.option("--precision", help="auto, fp32 or bf16.")
@options.set_option
@options.quiet_option
@options.json_option
@click.pass_context
def sanity(
    ctx: click.Context,
    run: str | None,
    profile: str | None,
    device: str | None,
    precision: str | None,
    settings: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Prove resume, cache, precision, accumulation, checkpoint and masks on this machine, in seconds.

    Without RUN on made text and fresh weights; with RUN on its tokenizer, rows and base weights. Nothing of a run is
    written. Exit code 3 when a proof fails. What this version cannot try is shown as not_run.
    """
    config = choose_config(run, profile, {"machine.device": device, "machine.precision": precision}, settings)
    from picochat.stages.sanity.run import run as prove

    with ConsoleProgress(quiet or as_json) as progress:
        found = prove(config, progress)
    checks = [check.to_json() for check in found.checks]
    failed = [check["id"] for check in checks if check["verdict"] == "block"]
    if as_json:
        print_json({"failed": failed, "checks": checks, "claim": found.claim, "machine": found.machine})
    elif not quiet:
        show(checks, found.claim, found.machine)
    ctx.exit(BLOCKED if failed else 0)


def choose_config(
    run: str | None, profile: str | None, flags: dict[str, str | None], settings: tuple[str, ...]
) -> SanityConfig:
    """The proofs' configuration from a profile, or from what a run was started with; flags and --set lie over it."""
    given = settings_layer([(key, value) for key, value in flags.items() if value is not None])
    layers = [("flag", given), ("--set", settings_layer(options.parse_settings(settings)))]
    if run is None:
        name = profile or "tiny"
        return build_config(resolve(name, load_profile(name).build(), layers).config, None)
    if profile is not None:
        raise click.UsageError("RUN has its own configuration: leave --profile out")
    store = options.find_run(run)
    record = load_run_record(store)
    own = RunConfig.from_dict(record.config, str(store.path(layout.RUN)))
    return build_config(resolve(record.profile, own, layers).config, str(store.root.absolute()))


def build_config(config: RunConfig, run: str | None) -> SanityConfig:
    return SanityConfig(
        model=config.model,
        loop=config.base.loop,
        machine=config.machine,
        seed=config.seed,
        run=run,
        text=config.base.text,
        chat=config.sft.chat,
    )


def show(checks: list[dict[str, Any]], claim: str, machine: dict[str, Any]) -> None:
    """A row a proof, what mends those that failed, and what is claimed of a resume."""
    rows = check_rows(checks)
    table = [[row.verdict, row.id, row.measured, row.threshold, row.why] for row in rows]
    columns = ["verdict", "proof", "measured", "asked for", "why it matters"]
    print_table("", columns, table, [STYLES[row.verdict] for row in rows])
    console = build_console()
    for row in rows:
        if row.verdict == "block":
            console.print(f"  {row.id}: {row.fix}", markup=False)
    count = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ("pass", "block", "not_run")}
    where = f"{machine['device']}, {machine['precision']}, {machine['threads']} threads, torch {machine['torch']}"
    text = f"{claim}\n{count['pass']} pass, {count['block']} fail, {count['not_run']} not run on {where}"
    console.print(text, markup=False)
