"""picochat eval compare: runs on the same rows, paired row by row, or several with their spread."""

from __future__ import annotations

import click

from picochat.cli import options
from picochat.cli.console import build_console, print_json
from picochat.cli.dataset_tables import show_tables
from picochat.core.config import flatten
from picochat.core.errors import refuse
from picochat.judgement.compared_run import ComparedRun, load_compared
from picochat.judgement.comparison import compare_runs
from picochat.judgement.eval_sets import SETS
from picochat.pipeline.runner import load_run_record
from picochat.views.runs.comparison import comparison_notes, comparison_tables


@click.command("compare")
@click.argument("runs", nargs=-1, required=True)
@click.option("--set", "set_name", type=click.Choice(SETS), default="eval", show_default=True)
@click.option(
    "--limit", type=click.IntRange(min=0), default=10, show_default=True, help="Rows that one run alone passed, shown."
)
@options.json_option
def compare(runs: tuple[str, ...], set_name: str, limit: int, as_json: bool) -> None:
    """Compare RUNS on the same rows: two are paired row by row, more are a mean with its spread.

    Every rate is computed again from the stored replies. Runs that were asked other rows are not ranked: exit code 4.
    """
    if len(runs) < 2:
        refuse("compare.runs", f"{len(runs)} run is given")
    found = compare_runs([open_run(run, set_name) for run in runs], set_name, limit)
    if as_json:
        print_json(found)
        return
    show_tables(comparison_tables(found))
    for note in comparison_notes(found):
        build_console().print(f"note     {note}", markup=False)


def open_run(name: str, set_name: str) -> ComparedRun:
    """A run by folder or name, its rows judged again. Raises `run.missing`, `artifact.*` or `compare.rows`."""
    store = options.find_run(name)
    return load_compared(store, flatten(load_run_record(store).config), set_name)
