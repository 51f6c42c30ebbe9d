"""picochat stop: ask a run to save and end."""

from __future__ import annotations

import click

from picochat.cli import options
from picochat.cli.console import build_console
from picochat.pipeline.control import STOP, STOP_NOW, ask_run


@click.command()
@options.run_argument
@click.option("--now", is_flag=True, help="Without a checkpoint: a resume goes on from the last one that was saved.")
def stop(run: str | None, now: bool) -> None:
    """Ask RUN (default: the newest) to save a checkpoint at the next step and stop; --resume goes on later."""
    store = options.find_run(run)
    ask_run(store, STOP_NOW if now else STOP)
    build_console().print(f"asked {store.root} to stop; `picochat status {store.root}` shows when it has", markup=False)
