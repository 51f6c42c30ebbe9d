"""What `picochat eval harness` is asked, and what it shows."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click

from picochat.artifacts.store import RunStore
from picochat.cli.console import build_console, print_table
from picochat.cli.verdict import STYLES
from picochat.stages.harness.config import NEEDS_DATA, TaskName

OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE")
"""Libraries below lm-eval look for datasets in a hub, or count them there, unless these are set."""


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Nothing inside goes to the network; the libraries read the variables when they are first imported."""
    before = {name: os.environ.get(name) for name in OFFLINE_VARIABLES}
    os.environ.update(dict.fromkeys(OFFLINE_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def parse_tasks(tasks: str, places: tuple[str, ...], limit: int | None) -> list[dict[str, Any]]:
    """The settings of each task that is asked for, from `a,b` and `a=PATH` words.

    Raises UsageError for an unknown task, a task without its data, and data without its task.
    """
    names = list(dict.fromkeys(name.strip() for name in tasks.split(",") if name.strip()))
    paths = {name: path for name, _, path in (place.partition("=") for place in places)}
    known = get_args(TaskName)
    unknown = [name for name in (*names, *paths) if name not in known]
    if unknown or not names:
        raise click.UsageError(f"{(unknown or [tasks])[0]!r} is no task; there are {', '.join(known)}")
    for name in paths:
        if name not in names:
            raise click.UsageError(f"--data {name}=... without {name} in --tasks")
    for name in names:
        if not paths.get(name) and (name in NEEDS_DATA or name in paths):
            raise click.UsageError(f"{name} needs its rows: --data {name}=PATH")
    absolute = {name: str(Path(path).absolute()) for name, path in paths.items()}
    return [{"task": name, "data": absolute.get(name), "limit": limit} for name in names]


def show(store: RunStore, reports: list[dict[str, Any]]) -> None:
    """One row a metric with both scorers side by side, then what differs."""
    lines = [_line(report, name) for report in reports for name in report["comparison"]["metrics"]]
    styles = [STYLES["pass" if line[0] == "agree" else "block"] for line in lines]
    print_table("", ["verdict", "task", "metric", "ours", "lm-eval", "largest difference", "items"], lines, styles)
    console = build_console()
    for report in reports:
        if problems := report["comparison"]["problems"]:
            console.print(f"{report['name']} differs in {', '.join(problems)}", markup=False)
    console.print(f"judge    picochat gate {store.root}", markup=False)


def _line(report: dict[str, Any], name: str) -> list[str]:
    found = report["comparison"]
    metric = found["metrics"][name]
    return [
        "agree" if found["agree"] else "differ",
        report["name"],
        name,
        f"{metric['ours']:.6f}",
        f"{metric['theirs']:.6f}",
        f"{found['max_difference']:.1e}",
        f"{found['items']:,}",
    ]
