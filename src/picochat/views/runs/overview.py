"""One run at a glance: where it is, what blocks it, what to do next, and eight facts.

read_overview(root)     from files alone, without a clock: may be kept until one of OVERVIEW_FILES changes
overview(files, run)    with the state as it is now
"""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.core.event_tail import EventScan
from picochat.views.checks import check_row
from picochat.views.runs.next_action import Known, NextAction, next_action
from picochat.views.runs.resuming import resume_command
from picochat.views.runs.run_files import Document, RunReader, number_at, text_at
from picochat.views.runs.run_list import (
    LINE_FILES,
    RARE_EVENTS,
    TRAININGS,
    CountParameters,
    RunLine,
    read_run_line,
    run_line,
)
from picochat.views.runs.run_state import RUNNING, STALLED, RunState, judge_run_state
from picochat.views.runs.stage_rail import STEPS, RailStep, blocks, build_rail, checks_by_step, usable_checks

OVERVIEW_FILES = tuple(dict.fromkeys((*LINE_FILES, *(step.report for step in STEPS), layout.HARNESS)))
"""What an overview is read from; of the benchmarks their folder."""
OFFERED = {
    layout.REPORT_HTML: "the report, one page without a script",
    layout.SUMMARY_MD: "the summary in words",
    layout.MODEL_CARD: "the model card",
    layout.SUMMARY: "facts, checks and every artifact by digest",
    layout.GATE: "the verdict with its checks",
    layout.PREFLIGHT: "preflight, judged before training",
    layout.RUN: "the configuration, and where each value came from",
}
"""Files that may be taken from a run, and what they are."""


class OverviewFiles(NamedTuple):
    """What the files of a run say."""

    line: RunLine
    record: Document
    gate: Document
    preflight: Document
    present: Mapping[str, bool]
    tokens: Mapping[str, tuple[Any, Any]]
    """By training: tokens seen and planned, as its report says."""
    events: Sequence[Mapping[str, Any]]
    heard: Mapping[int, str]
    offered: Sequence[Mapping[str, Any]]


def read_overview(root: Path, count: CountParameters, scan: EventScan | None = None) -> OverviewFiles:
    """Reads what there is of a run; raises nothing."""
    reader, scan = RunReader(root), scan or EventScan(RARE_EVENTS)
    line = read_run_line(root, count, scan)
    try:
        events, heard = scan.read(root / layout.EVENTS)
    except OSError:
        events, heard = [], {}  # the line tells of it
    return OverviewFiles(
        line=line,
        record=reader.read(layout.RUN),
        gate=reader.read(layout.GATE),
        preflight=reader.read(layout.PREFLIGHT),
        present={step.report: _is_there(root, step.report) for step in STEPS},
        tokens={stage: _tokens(reader, stage) for stage in TRAININGS},
        events=events,
        heard=heard,
        offered=offered_files(root),
    )


def offered_files(root: Path) -> list[dict[str, Any]]:
    """Name, size and meaning of the files that may be taken from a run."""
    found = []
    for name, meaning in OFFERED.items():
        size = _size_of(root / name)
        if size is not None:
            found.append({"name": name, "bytes": size, "meaning": meaning})
    return found


def overview(
    files: OverviewFiles, run: str, state: RunState | None = None, repair: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The whole page as one document. `run` is the path of the run as its reader would type it, `repair` the first
    step of the repair queue of a run that is held up.
    """
    now = state or judge_run_state(files.line.files)
    line, stale = run_line(files.line, now), bool(files.line.facts["stale"])
    rail = build_rail(now, files.present, files.gate, files.preflight, files.events, files.heard, stale)
    return {
        "run": line,
        "path": run,
        "rail": [step._asdict() for step in rail],
        "blocker": blocker(files, now, repair),
        "next": decide(files, now, run, repair)._asdict(),
        "facts": facts(files, line, rail),
        "files": list(files.offered),
    }


def decide(files: OverviewFiles, state: RunState, run: str, repair: Mapping[str, Any] | None = None) -> NextAction:
    """The next action of a run."""
    return next_action(
        Known(
            state=state,
            run=run,
            profile=text_at(files.record, "profile"),
            gate=files.gate,
            preflight=files.preflight,
            resume=resume_command(files.record, run),
            stale=bool(files.line.facts["stale"]),
            trained=any(files.present[layout.report_path(stage)] for stage in TRAININGS),
            repair=repair,
        )
    )


def blocker(files: OverviewFiles, state: RunState, repair: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """The first check that keeps the run from its next hand-over, that of the repair, else in the order of the rail.

    None where nothing does.
    """
    if state.verdict is None:
        checks = usable_checks(files.preflight) if files.line.files.held_back else []
    else:
        groups = checks_by_step(files.gate)
        checks = [check for step in STEPS for check in groups.get(step.name, ())]
    found = [check for check in checks if blocks(check)]
    if not found:
        return None
    named = repair["checks"][0] if repair else found[0]["id"]
    first = next((check for check in found if check["id"] == named), found[0])
    row = check_row({"why": "", "evidence": [], **first})
    return row._asdict() | {"others": len(found) - 1, "set": "gate" if state.verdict else "preflight"}


def facts(files: OverviewFiles, line: Mapping[str, Any], rail: Sequence[RailStep]) -> dict[str, Any]:
    """The eight facts as numbers."""
    elapsed = [step.elapsed_s for step in rail if step.elapsed_s is not None]
    return {
        "parameters": line["parameters"],
        "tokens": tokens_now(files, line),
        "best_bpb": line["best_bpb"],
        "heldout": line["heldout"],
        "eval": line["eval"],
        "tokens_per_s": line["tokens_per_s"],
        "time": {"elapsed_s": round(sum(elapsed), 3) if elapsed else None, "eta_s": line["eta_s"]},
        "cost": {"spent_usd": line["spent_usd"], "cap_usd": line["cap_usd"]},
    }


def tokens_now(files: OverviewFiles, line: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens seen and planned of the training at work, else of the last one that a report tells of."""
    stage = line["stage"]
    if stage in TRAININGS and line["process"] in (RUNNING, STALLED):
        planned = number_at(files.record, "config", stage, "loop", "tokens")
        return {"stage": stage, "seen": number_at(files.line.files.status, "tokens"), "planned": planned}
    known = [name for name in TRAININGS if files.tokens[name][0] is not None]
    if not known:
        return {"stage": None, "seen": None, "planned": None}
    seen, planned = files.tokens[known[-1]]
    return {"stage": known[-1], "seen": seen, "planned": planned}


def _tokens(reader: RunReader, stage: str) -> tuple[Any, Any]:
    report = reader.read(layout.report_path(stage))
    return number_at(report, "training", "tokens_seen"), number_at(report, "training", "planned_tokens")


def _is_there(root: Path, report: str) -> bool:
    if report != layout.BENCHMARKS:
        return _size_of(root / report) is not None
    folders = (root / layout.BENCHMARKS, root / layout.HARNESS)
    return any(next(folder.glob(f"*/{layout.REPORT}"), None) is not None for folder in folders if folder.is_dir())


def _size_of(path: Path) -> int | None:
    """Bytes of a regular file; None for anything else."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
