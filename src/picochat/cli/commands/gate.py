"""picochat gate: judge a run again, from its artifacts alone; waive, explain or compare its checks."""

from __future__ import annotations

import click

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.cli import gate_views, options, waiving
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
@click.option("--waive", metavar="CHECK", help="Let a check go, with --by, --reason and --until; never contamination.")
@click.option("--by", metavar="NAME", help="With --waive: who answers for it.")
@click.option("--reason", metavar="TEXT", help="With --waive: why.")
@click.option("--until", metavar="YYYY-MM-DD", help="With --waive: the last day on which it holds.")
@click.option("--unwaive", metavar="CHECK", help="Take the waiver of a check back.")
@click.option("--explain", metavar="CHECK", help="Show what a check asks and where its numbers stand; writes nothing.")
@click.option("--against", metavar="OTHER", help="Set RUN against another run, check by check; writes nothing.")
@options.quiet_option
@options.json_option
@click.pass_context
def gate(
    ctx: click.Context,
    run: str | None,
    gate_profile: str | None,
    waive: str | None,
    by: str | None,
    reason: str | None,
    until: str | None,
    unwaive: str | None,
    explain: str | None,
    against: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Judge RUN (default: the newest) and write gate.json and the summary anew. Exit code 3 when blocked."""
    _require_one({"--waive": waive, "--unwaive": unwaive, "--explain": explain, "--against": against})
    _require_fitting(waive, {"--by": by, "--reason": reason, "--until": until})
    store = options.find_run(run)
    profile = gate_profile or load_run_record(store).gate_profile
    if explain is not None:
        gate_views.show_explanation(store, profile, explain, as_json=as_json)
        return
    if against is not None:
        gate_views.show_comparison(store, options.find_run(against), profile, as_json=as_json)
        return
    config = _config_of(store, profile)
    if waive is not None:
        waiving.give_waiver(store, profile, waive, by=by or "", reason=reason or "", until=until or "")
    if unwaive is not None:
        waiving.take_back(store, unwaive)
    work_on(store, config, ("summary",), quiet=True)
    found = store.read(layout.GATE)
    if as_json:
        print_json(found)
    elif not quiet:
        show_gate(store, found)
    ctx.exit(BLOCKED if found["verdict"] == "blocked" else 0)


def _config_of(store: RunStore, gate_profile: str) -> RunConfig:
    record = load_run_record(store)
    config = RunConfig.from_dict(record.config, str(store.path(layout.RUN)))
    return resolve(record.profile, config, [("flag", {"summary": {"gate_profile": gate_profile}})]).config


def _require_one(given: dict[str, str | None]) -> None:
    """Raises click.UsageError when two things are asked at once."""
    if len(names := [name for name, value in given.items() if value is not None]) > 1:
        raise click.UsageError(f"{' and '.join(names)} are commands of their own: give one at a time")


def _require_fitting(waive: str | None, given: dict[str, str | None]) -> None:
    """A waiver has a person, a reason and an expiry, and these have no meaning without it. Raises click.UsageError."""
    if waive is not None and (missing := [name for name, value in given.items() if value is None]):
        raise click.UsageError(f"--waive needs a person, a reason and an expiry: {', '.join(missing)} is missing")
    if waive is None and (extra := [name for name, value in given.items() if value is not None]):
        raise click.UsageError(f"{', '.join(extra)} says nothing without --waive")
