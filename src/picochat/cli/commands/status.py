"""picochat status: where a run is, whether it is healthy, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator

import click

from picochat.cli import options
from picochat.cli.console import build_console, print_json
from picochat.judgement.next_step import first_repair
from picochat.model.sizing import planned_parameters
from picochat.pipeline.spending.account import read_account
from picochat.views.formats import format_count, format_duration, format_money
from picochat.views.runs.next_action import NextAction, action_lines
from picochat.views.runs.overview import decide, read_overview
from picochat.views.runs.run_state import RunState, judge_run_state


@click.command()
@options.run_argument
@options.json_option
def status(run: str | None, as_json: bool) -> None:
    """Show the state of RUN (default: the newest) and the next action."""
    store = options.find_run(run)
    files = read_overview(store.root, planned_parameters)
    state = judge_run_state(files.line.files)
    run = str(store.root)
    action = decide(files, state, run, first_repair(files, state, run, store.root))
    if as_json:
        account = read_account(store, state)._asdict()
        print_json({"run": run, **state.to_json(), "next_action": action._asdict(), "account": account})
        return
    build_console().print("\n".join(status_lines(run, state, action)), markup=False)


def status_lines(run: str, state: RunState, action: NextAction) -> Iterator[str]:
    """State, progress, cost, what went wrong, what is broken, and the next action."""
    verdict = f", {state.verdict} under {state.profile}" if state.verdict else ""
    yield f"{run}: {state.state}" + (f", stage {state.stage}" if state.stage else "") + verdict
    if state.step and state.steps:
        yield f"step {state.step:,} of {state.steps:,}, {format_count(state.tokens_per_s)} tokens/s"
    if state.eta_s:
        yield f"about {format_duration(state.eta_s)} left in this stage"
    if state.spent_usd is not None and state.cap_usd is not None:
        yield f"{format_money(state.spent_usd)} of {format_money(state.cap_usd)} spent"
    if state.error:
        yield state.error
    yield from map(str, state.unreadable)
    yield from action_lines(action)
