"""picochat compare: runs side by side, or one run beside its profile."""

from __future__ import annotations

import click

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.cli import options
from picochat.cli.console import build_console, print_json
from picochat.cli.dataset_tables import show_tables
from picochat.judgement.side_by_side import put_side_by_side
from picochat.pipeline.against import profile_side
from picochat.views.runs.config_difference import difference, difference_table, side_of_record
from picochat.views.runs.side_by_side import side_notes, side_tables


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.option(
    "--limit", type=click.IntRange(min=0), default=10, show_default=True, help="Rows that flipped, shown for each pair."
)
@click.option("--toml", "as_toml", is_flag=True, help="Only the last run's settings that differ, for --config.")
@options.json_option
def compare(runs: tuple[str, ...], limit: int, as_toml: bool, as_json: bool) -> None:
    """Put RUNS side by side, two to eight: settings, losses, rates, rows that flipped. One run alone: its settings
    beside its profile.

    What cannot be compared, because tokenizer, text or rows are other ones, has no difference, and a warning says why.
    """
    stores = [options.find_run(run) for run in runs]
    if len(stores) == 1:
        _beside_profile(stores[0], as_toml=as_toml, as_json=as_json)
        return
    found = put_side_by_side([store.root for store in stores], limit)
    if as_json:
        print_json(found)
    elif as_toml:
        _say(found["config"]["toml"])
    else:
        show_tables(side_tables(found))
        for note in side_notes(found):
            _say(note)


def _beside_profile(store: RunStore, *, as_toml: bool, as_json: bool) -> None:
    """Raises `json.invalid` for a torn record, `config.value` for a profile that this version does not have."""
    record = store.read(layout.RUN)
    found = difference([profile_side(record), side_of_record(store.root.name, record)])
    if as_json:
        print_json(found)
    elif as_toml:
        _say(found["toml"])
    else:
        show_tables([difference_table(found)])


def _say(text: str) -> None:
    build_console().print(text.rstrip("\n"), markup=False)
