"""Preflight on the machine at hand, and how it is shown: what `preflight` and `run --preflight-only` share."""

from __future__ import annotations

from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunLock, RunStore
from picochat.cli import options
from picochat.cli.console import build_console, print_json, print_table
from picochat.cli.verdict import STYLES
from picochat.pipeline.config import RunConfig
from picochat.pipeline.preflight.gather import run_preflight, write_preflight
from picochat.pipeline.preflight.machine import ask_doctor, this_machine
from picochat.pipeline.profiles import PROFILES
from picochat.views.preflight import fix_lines, preflight_line, preflight_markdown, preflight_table, sorted_rows

BLOCKED = 3


def judge_here(store: RunStore | None, config: RunConfig, profile: str, ranks: int) -> dict[str, Any]:
    """Judges on this machine; with a run, under its lock and into its folder."""
    folder = store.root if store else options.runs_dir()
    expected = PROFILES[profile].ranks if profile in PROFILES else ranks
    machine = this_machine(config, ranks, expected, folder, ask_doctor())
    if store is None:
        return run_preflight(RunStore(folder / ".none"), config, machine)
    with RunLock(store.root):
        body = run_preflight(store, config, machine)
        if store.has(layout.report_path(layout.BASE)):
            build_console(stderr=True).print(f"{store.root} is trained: what comes after is not written", markup=False)
        else:
            write_preflight(store, config, body)
    return body


def show(body: dict[str, Any], *, as_json: bool, markdown: bool = False) -> None:
    """The body as JSON, as Markdown, or as a table with what mends each fault."""
    if as_json:
        print_json(body)
        return
    console = build_console()
    if markdown:
        console.print(preflight_markdown(body), markup=False, soft_wrap=True)
        return
    table, rows = preflight_table(body), sorted_rows(body)
    print_table(table.title, table.columns, table.rows, [STYLES[row.verdict] for row in rows])
    for line in fix_lines(body):
        console.print(f"  {line}", markup=False)
    console.print(f"\n{preflight_line(body)}", markup=False)
