"""Samples over a training: a grid of prompts and checkpoints, each text beside what it was one checkpoint before.

    base/samples.jsonl -> read_samples -> build_grid

Samples are greedy, so the same weights give the same text, and a difference comes from training alone.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from picochat.core.confined import open_below, reason_of
from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json
from picochat.views.evals.artifact_state import NOT_YET
from picochat.views.evals.shown import shown

MAX_BYTES = 32 * 1024 * 1024
MAX_STEPS, MAX_PROMPTS = 24, 20
MAX_TOKENS = 600
"""Words and signs of a text that are compared with those of its neighbour."""
_TOKEN = re.compile(r"\s+|\w+|[^\w\s]")


class Sample(NamedTuple):
    """One line of the file. `finished` is False where a limit of tokens ended it, None where nobody wrote it down."""

    step: int
    prompt: str
    text: str
    finished: bool | None


class Samples(NamedTuple):
    """What a file holds: `state` is ready, missing or unreadable; `skipped` lines were no samples."""

    state: str
    why: str
    rows: list[Sample]
    skipped: int


def read_samples(root: Path, relative: str) -> Samples:
    """All samples of a training; an unfinished last line is left out, a broken one counted."""
    try:
        with open_below(root, relative) as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return Samples("missing", NOT_YET, [], 0)
    except OSError as err:
        return Samples("unreadable", reason_of(err), [], 0)
    if len(data) > MAX_BYTES:
        return Samples("unreadable", f"it has more than the {MAX_BYTES:,} bytes that are read", [], 0)
    lines = [line for line in data[: data.rfind(b"\n") + 1].split(b"\n") if line.strip()]
    rows = [row for line in lines if (row := _read(line)) is not None]
    return Samples("ready", "", rows, len(lines) - len(rows))


def _read(line: bytes) -> Sample | None:
    try:
        row = parse_json(line, "a sample")
    except PicochatError:
        return None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str) or type(row.get("step")) is not int:
        return None
    prompt, finished = row.get("prompt"), row.get("finished")
    finished = finished if isinstance(finished, bool) else None
    return Sample(row["step"], prompt if isinstance(prompt, str) else "", row["text"], finished)


def choose_steps(steps: Sequence[int], most: int = MAX_STEPS) -> list[int]:
    """At most so many of them, evenly spaced, the first and the last among them."""
    ordered = sorted(set(steps))
    if len(ordered) <= most:
        return ordered
    return [ordered[round(place * (len(ordered) - 1) / (most - 1))] for place in range(most)]


def build_grid(samples: Samples, faults: Mapping[Sample, Mapping[str, Any]]) -> dict[str, Any]:
    """Prompts by steps. `faults` are marks of samples that somebody else has found; None is not looked for."""
    steps = choose_steps([row.step for row in samples.rows])
    prompts = list(dict.fromkeys(row.prompt for row in samples.rows))
    at = {(row.prompt, row.step): row for row in samples.rows}
    return {
        "state": samples.state,
        "why": samples.why,
        "skipped": samples.skipped,
        "steps": steps,
        "all_steps": len({row.step for row in samples.rows}),
        "all_prompts": len(prompts),
        "prompts": [
            {"prompt": shown(prompt), "cells": _cells([at.get((prompt, step)) for step in steps], faults)}
            for prompt in prompts[:MAX_PROMPTS]
        ],
    }


def shown_samples(samples: Samples) -> list[Sample]:
    """Those that the grid shows."""
    steps = set(choose_steps([row.step for row in samples.rows]))
    prompts = set(list(dict.fromkeys(row.prompt for row in samples.rows))[:MAX_PROMPTS])
    return [row for row in samples.rows if row.step in steps and row.prompt in prompts]


def _cells(row: Sequence[Sample | None], faults: Mapping[Sample, Mapping[str, Any]]) -> list[dict[str, Any] | None]:
    """None where a prompt was not asked at a step; each is compared with the last one before it."""
    cells: list[dict[str, Any] | None] = []
    before: Sample | None = None
    for sample in row:
        if sample is None:
            cells.append(None)
            continue
        cell = {"step": sample.step, "text": shown(sample.text), "finished": sample.finished}
        cell |= {"parts": None, "changed_frac": None} if before is None else compare(before.text, sample.text)
        cells.append(cell | {"faults": dict(faults.get(sample, {}))})
        before = sample
    return cells


def compare(before: str, after: str) -> dict[str, Any]:
    """`parts` of the later text as [same | new | gone, text], and the share of its words and signs that are new."""
    old, new = (_TOKEN.findall(shown(text))[:MAX_TOKENS] for text in (before, after))
    parts: list[list[str]] = []
    fresh = 0
    words = sum(not token.isspace() for token in new)
    for kind, old_start, old_end, new_start, new_end in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
        if kind == "equal":
            parts.append(["same", "".join(new[new_start:new_end])])
            continue
        fresh += sum(not token.isspace() for token in new[new_start:new_end])
        parts += [["gone", "".join(old[old_start:old_end])]] if old_end > old_start else []
        parts += [["new", "".join(new[new_start:new_end])]] if new_end > new_start else []
    return {"parts": parts, "changed_frac": fresh / words if words else float(bool(old))}
