"""picochat status: where a run is, and whether it is healthy."""

from __future__ import annotations

import click

from picochat.cli import options
from picochat.cli.console import build_console, print_json
from picochat.core.units import format_count, format_duration
from picochat.views.run_state import read_run_state


@click.command()
@options.run_argument
@options.json_option
def status(run: str | None, as_json: bool) -> None:
    """Show the state of RUN (default: the newest)."""
    store = options.find_run(run)
    state = read_run_state(store.root)
    if as_json:
        print_json({"run": str(store.root), **state._asdict()})
        return
    lines = [f"{store.root}: {state.state}" + (f", stage {state.stage}" if state.stage else "")]
    if state.step and state.steps:
        lines.append(f"step {state.step:,} of {state.steps:,}, {format_count(state.tokens_per_s or 0)} tokens/s")
    if state.eta_s:
        lines.append(f"about {format_duration(state.eta_s)} left in this stage")
    if state.error:
        lines.append(state.error)
    build_console().print("\n".join(lines), markup=False)
