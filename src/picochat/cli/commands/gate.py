"""picochat gate: judge a run again, from its artifacts alone."""

from __future__ import annotations

import click

from picochat.artifacts import layout
from picochat.cli import options
from picochat.cli.console import print_json
from picochat.cli.session import work_on
from picochat.cli.verdict import show_gate
from picochat.pipeline.config import RunConfig, resolve
from picochat.pipeline.runner import load_run_record

BLOCKED = 3


@click.command()
@options.run_argument
@click.option(
    "--profile",
    "gate_profile",
    type=click.Choice(["research", "first_release", "skill_release"]),
    help="Default: the run's own.",
)
@options.quiet_option
@options.json_option
@click.pass_context
def gate(ctx: click.Context, run: str | None, gate_profile: str | None, quiet: bool, as_json: bool) -> None:
    """Judge RUN (default: the newest) and write gate.json and the summary anew. Exit code 3 when blocked."""
    store = options.find_run(run)
    record = load_run_record(store)
    config = RunConfig.from_dict(record.config, str(store.path(layout.RUN)))
    chosen = gate_profile or record.gate_profile
    judged = resolve(record.profile, config, [("flag", {"summary": {"gate_profile": chosen}})]).config
    work_on(store, judged, ("summary",), quiet=True)
    found = store.read(layout.GATE)
    if as_json:
        print_json(found)
    elif not quiet:
        show_gate(store, found)
    ctx.exit(BLOCKED if found["verdict"] == "blocked" else 0)
