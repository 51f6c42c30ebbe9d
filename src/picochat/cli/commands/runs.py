"""picochat runs: what lies in the runs folder."""

from __future__ import annotations

from pathlib import Path

import click

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.cli import options
from picochat.cli.console import build_console, print_json, print_table
from picochat.core.errors import PicochatError
from picochat.views.run_state import read_run_state


@click.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Default: runs, or $PICOCHAT_RUNS.")
@options.json_option
def runs(folder: Path | None, as_json: bool) -> None:
    """List the runs of a folder, the newest last."""
    where = folder or options.runs_dir()
    documents = [describe(path) for path in options.iter_run_dirs(where)]
    if as_json:
        print_json(documents)
    elif not documents:
        build_console().print(f"no runs in {where}; `picochat demo` makes one", markup=False)
    else:
        columns = ["run", "profile", "state", "stage", "verdict", "created_at"]
        print_table("", columns, [[str(document[column] or "") for column in columns] for document in documents])


def describe(path: Path) -> dict[str, str | None]:
    """One run in a line; a broken file shows as unreadable and hides no other run."""
    store, state = RunStore(path), read_run_state(path)
    found: dict[str, str | None] = {
        "run": str(path),
        "state": state.state,
        "stage": state.stage,
        "profile": None,
        "created_at": None,
        "verdict": state.verdict,
    }
    try:
        record = store.read(layout.RUN)
        found |= {"profile": record.get("profile"), "created_at": record.get("created_at")}
    except (PicochatError, AttributeError):
        found["profile"] = "unreadable"
    return found
