"""picochat status: where a run is, whether it is healthy, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator

import click

from picochat.cli import options
from picochat.cli.console import build_console, print_json
from picochat.core.units import format_count, format_duration
from picochat.model.sizing import planned_parameters
from picochat.views.checks import UNKNOWN
from picochat.views.next_action import NextAction, action_lines
from picochat.views.overview import decide, read_overview
from picochat.views.run_state import RunState, judge_run_state


@click.command()
@options.run_argument
@options.json_option
def status(run: str | None, as_json: bool) -> None:
    """Show the state of RUN (default: the newest) and the next action."""
    store = options.find_run(run)
    files = read_overview(store.root, planned_parameters)
    state = judge_run_state(files.line.files)
    action = decide(files, state, str(store.root))
    if as_json:
        print_json({"run": str(store.root), **state.to_json(), "next_action": action._asdict()})
        return
    build_console().print("\n".join(status_lines(str(store.root), state, action)), markup=False)


def status_lines(run: str, state: RunState, action: NextAction) -> Iterator[str]:
    """State, progress, cost, what went wrong, what is broken, and the next action."""
    verdict = f", {state.verdict} under {state.profile}" if state.verdict else ""
    yield f"{run}: {state.state}" + (f", stage {state.stage}" if state.stage else "") + verdict
    if state.step and state.steps:
        rate = UNKNOWN if state.tokens_per_s is None else format_count(state.tokens_per_s)
        yield f"step {state.step:,} of {state.steps:,}, {rate} tokens/s"
    if state.eta_s:
        yield f"about {format_duration(state.eta_s)} left in this stage"
    if state.spent_usd is not None and state.cap_usd is not None:
        yield f"${state.spent_usd:,.2f} of ${state.cap_usd:,.2f} spent"
    if state.error:
        yield state.error
    yield from map(str, state.unreadable)
    yield from action_lines(action)
