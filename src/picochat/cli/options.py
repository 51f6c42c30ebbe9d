"""Options that commands share, and what they mean."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.config import merge, nest, parse_setting
from picochat.core.errors import refuse

LAST = "@last"


def runs_dir() -> Path:
    """Where runs lie: $PICOCHAT_RUNS, or `runs` in the current folder."""
    return Path(os.environ.get("PICOCHAT_RUNS", "runs"))


def iter_run_dirs(folder: Path) -> list[Path]:
    """The run folders of a folder, the newest last."""
    found = [p.parent for p in folder.glob(f"*/{layout.RUN}")] if folder.is_dir() else []
    return sorted(found, key=lambda p: ((p / layout.RUN).stat().st_mtime_ns, p.name))


def find_run(name: str | None) -> RunStore:
    """A run by folder, by name below the runs folder, or the newest one (`@last`, or nothing). Raises `run.missing`."""
    if name in (None, LAST):
        found = iter_run_dirs(runs_dir())
        if not found:
            refuse("run.missing", f"there is no run in {runs_dir()}")
        return RunStore(found[-1])
    for folder in (Path(name), runs_dir() / name):
        if (folder / layout.RUN).is_file():
            return RunStore(folder)
    refuse("run.missing", f"{name} is no run: there is no {Path(name) / layout.RUN}")


def new_run_dir(profile: str) -> Path:
    """`runs/<profile>-<number>`: the first number that is free."""
    number = 1
    while (runs_dir() / f"{profile}-{number}").exists():
        number += 1
    return runs_dir() / f"{profile}-{number}"


def parse_settings(settings: tuple[str, ...]) -> list[tuple[str, Any]]:
    """`--set` values as (key, value) pairs."""
    return [parse_setting(text) for text in settings]


def read_section(settings: tuple[str, ...], section: str) -> dict[str, Any]:
    """`--set` values of one section, nested, for a command that takes no others. Raises `config.key`."""
    values: dict[str, Any] = {}
    for key, value in parse_settings(settings):
        head, _, rest = key.partition(".")
        if head != section or not rest:
            refuse("config.key", f"--set {key}: this command takes keys of {section}.* alone")
        values = merge(values, nest(rest, value))
    return values


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")(command)


def quiet_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--quiet", is_flag=True, help="Print errors only.")(command)


def set_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any configuration key; may be given again."
    )(command)


def ddp_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--ddp", is_flag=True, help="Under torchrun: one process a rank.")(command)


def strategy_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--distributed-strategy",
        "strategy",
        type=click.Choice(["ddp", "fsdp"]),
        help="With --ddp: replicas, or slices of them (experimental); default ddp.",
    )(command)


def run_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("run", required=False)(command)
