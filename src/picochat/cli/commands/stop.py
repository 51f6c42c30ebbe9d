"""picochat stop: ask a run to save and end."""

from __future__ import annotations

import click

from picochat.artifacts import layout
from picochat.cli import options
from picochat.cli.console import build_console
from picochat.core.clock import utc_now
from picochat.core.errors import refuse
from picochat.core.fs import write_json
from picochat.views.run_state import RUNNING, STALLED, read_run_state


@click.command()
@options.run_argument
def stop(run: str | None) -> None:
    """Ask RUN (default: the newest) to save a checkpoint at the next step and stop; --resume goes on later."""
    store = options.find_run(run)
    state = read_run_state(store.root)
    if state.process not in (RUNNING, STALLED):
        refuse("run.not_running", f"{store.root} is {state.process}")
    write_json(store.path(layout.CONTROL), {"request": "stop", "at": utc_now()})
    build_console().print(f"asked {store.root} to stop; `picochat status {store.root}` shows when it has", markup=False)
