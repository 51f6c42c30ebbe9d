"""picochat checkpoint: what is saved, and whether it is whole."""

from __future__ import annotations

import click

from picochat.artifacts.store import RunStore
from picochat.checkpoint.listing import list_checkpoints
from picochat.cli import options
from picochat.cli.console import print_json, print_table
from picochat.core.errors import refuse


@click.group()
def checkpoint() -> None:
    """List or verify the checkpoints of a run."""


@checkpoint.command("list")
@options.run_argument
@options.json_option
def list_(run: str | None, as_json: bool) -> None:
    """Show every checkpoint of RUN with its step and digest; each is hashed."""
    show(inspect(options.find_run(run)), as_json)


@checkpoint.command("verify")
@options.run_argument
@options.json_option
def verify(run: str | None, as_json: bool) -> None:
    """Hash every checkpoint of RUN. Exit code 4 when one is damaged."""
    found = inspect(options.find_run(run))
    show(found, as_json)
    damaged = [row["folder"] for row in found if row["problem"]]
    if damaged:
        refuse(
            "artifact.changed",
            f"damaged: {', '.join(damaged)}",
            fix="resume falls back to checkpoint.previous; otherwise run the stage again",
        )


def inspect(store: RunStore) -> list[dict[str, str]]:
    """One row a checkpoint folder, with what is wrong with it, or nothing."""
    rows = []
    for found in list_checkpoints(store):
        row = {"folder": found.folder, "step": "", "weights": "", "saved_at": "", "problem": found.problem}
        if (manifest := found.manifest) is not None:
            row |= {"step": str(manifest.step), "weights": manifest.weights_digest[:16], "saved_at": manifest.saved_at}
        rows.append(row)
    return rows


def show(rows: list[dict[str, str]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        columns = ["folder", "step", "weights", "saved_at", "problem"]
        print_table("", columns, [[row[column] for column in columns] for row in rows])
