"""picochat runs: what lies in the runs folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from picochat.artifacts import layout
from picochat.cli import options
from picochat.cli.console import build_console, print_json, print_table
from picochat.model.sizing import planned_parameters
from picochat.views.runs.run_list import COLUMNS, line_cells, read_run_line, run_line


@click.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Default: runs, or $PICOCHAT_RUNS.")
@options.json_option
def runs(folder: Path | None, as_json: bool) -> None:
    """List the runs of a folder, the newest last: how far each came, what it measured, what the gate said."""
    where = folder or options.runs_dir()
    documents = [describe(path) for path in run_folders(where)]
    if as_json:
        print_json(documents)
    elif not documents:
        build_console().print(f"no runs in {where}; `picochat demo` makes one", markup=False)
    else:
        print_table("", COLUMNS, [line_cells(line) for line in documents])
        for line in documents:
            for file in line["unreadable"]:
                build_console().print(f"{line['name']}: {file['file']}: {file['why']}", markup=False)


def run_folders(folder: Path) -> list[Path]:
    """What has a record or a status, the newest last: a run shows from its first second on and after any crash."""
    found = {path.parent: path for name in (layout.STATUS, layout.RUN) for path in folder.glob(f"*/{name}")}
    return sorted(found, key=lambda root: (found[root].lstat().st_mtime_ns, root.name))


def describe(path: Path) -> dict[str, Any]:
    """One run in a line; a broken file shows as unreadable and hides no other run."""
    return {"run": str(path), **run_line(read_run_line(path, planned_parameters))}
