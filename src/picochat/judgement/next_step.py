"""The first step of the repair queue of a run that is held up: what the next action names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from picochat.judgement.repair_queue import build_repairs
from picochat.views.runs.overview import OverviewFiles
from picochat.views.runs.rework import read_rework
from picochat.views.runs.run_files import text_at
from picochat.views.runs.run_state import BLOCKED, RunState
from picochat.views.runs.stage_rail import usable_checks

_JUDGED = ("why", "fix", "evidence", "unit")


def first_repair(files: OverviewFiles, state: RunState, run: str, root: Path) -> dict[str, Any] | None:
    """The first step that lifts a block, of the gate or else of preflight; None where nothing blocks, or where the
    stored results are not of a form that the queue can be made from.
    """
    if state.state != BLOCKED:
        return None
    document = files.gate if state.verdict is not None else files.preflight
    try:
        queue = build_repairs(
            _whole(document), read_rework(root, run), text_at(document, "profile"), before=state.verdict is None
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return next((step for step in queue["steps"] if step["blocks"]), None)


def _whole(document: dict[str, Any]) -> list[Mapping[str, Any]]:
    return [check for check in usable_checks(document) if all(key in check for key in _JUDGED)]
