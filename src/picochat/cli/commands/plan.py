"""picochat plan PROFILE: what a run will need, before it costs anything."""

from __future__ import annotations

import click

from picochat.cli import options
from picochat.cli.console import build_console, print_json, print_table
from picochat.pipeline.config import resolve, settings_layer
from picochat.pipeline.plan.build import build_plan, require_fits
from picochat.pipeline.plan.cards import cards, parse_gpus
from picochat.pipeline.plan.measuring import measure_memory, probe_speed
from picochat.pipeline.plan.records import Plan
from picochat.pipeline.profiles import load_profile
from picochat.views.plan import closing_lines, headline, plan_tables

BLOCKED = 3


@click.command(epilog="Cards: " + ", ".join(cards()))
@click.argument("profile")
@click.option("--gpus", metavar="8xH100", help="How many of which card, a rank on each; default: the profile's own.")
@click.option("--rate", type=float, metavar="DOLLARS", help="Of one GPU for an hour; without it no money is shown.")
@options.strategy_option
@click.option("--measure", is_flag=True, help="Also count the peak on fake tensors, in another process (a minute).")
@click.option("--probe", is_flag=True, help="Also train 20 steps on made tokens on this machine, and time them.")
@options.set_option
@options.json_option
@click.pass_context
def plan(
    ctx: click.Context,
    profile: str,
    gpus: str | None,
    rate: float | None,
    strategy: str | None,
    measure: bool,
    probe: bool,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what PROFILE will need: parameters, tokens, FLOPs, memory, speed, hours, money and disk.

    Nothing is trained or written. Exit code 3 when it does not fit, with what would, or when --measure disagrees with
    the formula by more than 15 %.
    """
    chosen = load_profile(profile)
    layers = [("--set", settings_layer(options.parse_settings(settings)))]
    config = resolve(profile, chosen.build(), layers).config
    fleet = parse_gpus(gpus or f"{chosen.ranks}x{chosen.card}")
    found = build_plan(config, fleet, rate, strategy, profile=profile)
    found = measure_memory(found, config) if measure else found
    # Steps that do not fit would end this machine's other work as well.
    found = probe_speed(found, config) if probe and found.fits else found
    if as_json:
        print_json(found.to_json())
    else:
        show(found)
    require_fits(found)
    if any(check.verdict == "block" for check in found.checks):
        ctx.exit(BLOCKED)


def show(found: Plan) -> None:
    """Tables, then lines."""
    document, console = found.to_json(), build_console()
    console.print(headline(document), markup=False)
    for table in plan_tables(document):
        print_table(table.title, table.columns, table.rows)
    console.print("\n".join(closing_lines(document)), markup=False)
