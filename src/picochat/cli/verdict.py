"""The end of a run on the terminal: the numbers, the verdict with its reasons, and what to do next."""

from __future__ import annotations

from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.cli.console import build_console, print_json, print_table
from picochat.judgement.repair_queue import build_repairs
from picochat.views.checks import check_rows
from picochat.views.gate.repairs import repair_lines
from picochat.views.gate.waivers import waivers_table
from picochat.views.runs.rework import read_rework

STYLES = {"pass": "", "warn": "yellow", "block": "red", "not_run": "yellow", "waived": "magenta"}
VERDICT_STYLES = {"approved": "bold green", "warn": "bold yellow", "blocked": "bold red"}


def finish(store: RunStore, *, as_json: bool, quiet: bool) -> None:
    """Shows summary.json's facts and gate.json's verdict."""
    gate = store.read(layout.GATE)
    if as_json:
        print_json({"run": str(store.root), "gate": gate})
    elif not quiet:
        show_gate(store, gate)
        show_next(store, gate)


def show_gate(store: RunStore, gate: dict[str, Any]) -> None:
    """Every check as a row, the worst first, what mends the run, then the verdict."""
    order = ("block", "not_run", "warn", "waived", "pass")
    checks = sorted(gate["checks"], key=lambda check: order.index(check["verdict"]))
    rows = check_rows(checks)
    table = [
        [row.verdict, row.id, row.measured, row.threshold, row.waiver or (row.why if row.verdict != "pass" else "")]
        for row in rows
    ]
    print_table(
        "",
        ["verdict", "check", "measured", "asked for", "why it matters"],
        table,
        [STYLES[row.verdict] for row in rows],
    )
    waivers = waivers_table(gate)
    if waivers.rows:
        print_table(waivers.title, waivers.columns, waivers.rows)
    queue = build_repairs(gate["checks"], read_rework(store.root, str(store.root)), gate["profile"])
    if queue["steps"]:
        build_console().print("\n".join(["\nwhat mends it, first things first", *repair_lines(queue)]), markup=False)
    style = VERDICT_STYLES[gate["verdict"]]
    console = build_console()
    console.print(f"\n{gate['verdict']}", style=style, end=" ")
    console.print(
        f"under {gate['profile']} (version {gate['profile_version']}) for weights {str(gate['weights_digest'])[:16]}",
        markup=False,
    )


def show_next(store: RunStore, gate: dict[str, Any]) -> None:
    """Where to look, and the commands that go on from here."""
    root = store.root
    lines = [
        f"read     {root / layout.SUMMARY_MD}, or {layout.REPORT_HTML} beside it",
        f"see      picochat web --dir {root.parent}",
        f"talk     picochat chat {root}",
        f"re-check picochat verify {root}",
        f"hand over picochat bundle {root} --out model.tar",
        f"judge    picochat gate {root} --profile skill_release",
        f"measure  picochat eval benchmark blimp --data FOLDER --run {root}",
        "your own picochat run tiny --pack FOLDER_OF_TEXT",
    ]
    build_console().print("\n".join(lines), markup=False)
