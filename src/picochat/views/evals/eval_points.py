"""The bits a byte that a training measured, by step: from the events of the run, and from its report where they end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from picochat.artifacts import layout
from picochat.core.confined import open_below
from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json
from picochat.views.reading import find_document, list_of, number_of, value_at

MOST_BYTES = 256 * 1024 * 1024
"""Of the events, the last ones."""
_EVAL = b'"eval"'


def read_bpb(root: Path, stage: str) -> Mapping[int, float]:
    """Step -> bpb on the validation documents; a step that was repeated has its last value."""
    found = _from_report(root, stage)
    try:
        with open_below(root, layout.EVENTS) as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - MOST_BYTES))
            pending = b""
            while piece := stream.read(1 << 20):
                *lines, pending = (pending + piece).split(b"\n")
                for line in lines:
                    _add(found, line, stage)
    except OSError:
        return found
    return found


def _from_report(root: Path, stage: str) -> dict[int, float]:
    report = find_document(root, layout.report_path(stage))
    found: dict[int, float] = {}
    for point in list_of(report.value("validation", "history")):
        step, bpb = number_of(value_at(point, "step")), number_of(value_at(point, "bpb"))
        if isinstance(step, int) and bpb is not None:
            found[step] = float(bpb)
    return found


def _add(found: dict[int, float], line: bytes, stage: str) -> None:
    """A line that is no event of a measured step adds nothing: curves tell what is wrong with a torn file."""
    if _EVAL not in line:
        return
    try:
        event = parse_json(line, layout.EVENTS)
    except PicochatError:
        return
    if value_at(event, "kind") != "eval" or value_at(event, "stage") != stage:
        return
    step, bpb = number_of(value_at(event, "step")), number_of(value_at(event, "bpb"))
    if isinstance(step, int) and bpb is not None:
        found[step] = float(bpb)
