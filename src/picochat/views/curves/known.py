"""What the documents of a run add to its events: bytes a token, an epoch, baselines, thresholds, the planned end.

A document that is missing, torn or no regular file says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from picochat.artifacts import layout
from picochat.core.confined import read_below
from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json
from picochat.views.curves.axes import Known, place_steps
from picochat.views.curves.stage import StageEvents

MOST_BYTES = 32 * 1024 * 1024
DOCUMENTS = (
    layout.RUN,
    layout.TOKENIZER_REPORT,
    layout.report_path(layout.BASE),
    layout.report_path(layout.SFT),
    layout.GATE,
)
"""All that is read here, but for the status."""
GRAMS = ("uniform", "unigram", "bigram", "trigram", "4-gram")
THRESHOLDS = {"base.beats_ngram": ("val_bpb", "bpb")}
"""Checks whose threshold is a value of a curve."""


class Reference(NamedTuple):
    """A line that a curve is read against: `axis` says across which axis the value lies."""

    axis: str
    keys: tuple[str, ...]
    kind: str
    """best, threshold, end, baseline."""
    label: str
    value: float


def read_document(path: Path) -> dict[str, Any]:
    """A JSON object, opened without following a link; empty for whatever is none."""
    try:
        found = parse_json(read_below(path.parent, path.name, MOST_BYTES), path.name, MOST_BYTES)
    except (PicochatError, OSError):
        return {}
    return found if isinstance(found, dict) else {}


def number_at(document: Any, *keys: str) -> float | None:
    """The finite number at a path of keys."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    usable = isinstance(document, int | float) and not isinstance(document, bool)
    return float(document) if usable and abs(document) < 1e300 and math.isfinite(document) else None


def read_known(root: Path, stage: str, peak_flops_per_s: float | None = None) -> Known:
    """What turns tokens into epochs and a loss into bits a byte."""
    tokenizer, report = read_document(root / layout.TOKENIZER_REPORT), read_report(root, stage)
    bytes_per_token = number_at(tokenizer, "bytes_per_token")
    return Known(
        bytes_per_token=bytes_per_token if bytes_per_token and bytes_per_token > 0 else None,
        epoch_tokens=_epoch_tokens(root, stage, report, tokenizer),
        peak_flops_per_s=peak_flops_per_s,
    )


def read_report(root: Path, stage: str) -> dict[str, Any]:
    """The report of a training; empty before it ended."""
    return read_document(root / layout.report_path(stage)) if stage in (layout.BASE, layout.SFT) else {}


def _epoch_tokens(root: Path, stage: str, report: dict[str, Any], tokenizer: dict[str, Any]) -> float | None:
    """From the report; before it, for a base in memory, the tokens of the train side."""
    epochs, seen = (number_at(report, "training", key) for key in ("epochs", "tokens_seen"))
    if epochs and seen and epochs > 0 and seen > 0:
        return seen / epochs
    config = read_document(root / layout.RUN).get("config")
    base = config.get(layout.BASE) if isinstance(config, dict) else None
    whole = stage == layout.BASE and isinstance(base, dict) and base.get("data_mode") == "memory"
    tokens = number_at(tokenizer, "train_tokens")
    return tokens if whole and tokens and tokens > 0 else None


def build_references(root: Path, stage: StageEvents, axis: str, known: Known) -> list[Reference]:
    """Best validation, threshold of the gate, planned end, and what n-grams of the train text reach."""
    found = [*_baselines(read_document(root / layout.TOKENIZER_REPORT), stage.name), *_best(stage)]
    found += _thresholds(read_document(root / layout.GATE)) if stage.name == layout.BASE else []
    planned = _planned_steps(root, stage)
    if planned is not None:
        place = float(place_steps(stage, np.array([planned]), axis, known)[0])
        if math.isfinite(place):
            found.append(Reference("x", (), "end", f"planned end, step {planned:,.0f}", place))
    return found


def _baselines(tokenizer: dict[str, Any], stage: str) -> list[Reference]:
    """n-grams are counted on documents, so they say nothing about the loss of chat targets."""
    train = stage == layout.BASE
    keys = {"nats_per_token": ("val_loss", "loss")[: 1 + train], "bpb": ("val_bpb", "bpb")[: 1 + train]}
    found = []
    for name in GRAMS:
        for field, shown in keys.items():
            value = number_at(tokenizer, "baselines", name, field)
            if value is not None:
                found.append(Reference("y", shown, "baseline", name, value))
    return found


def _best(stage: StageEvents) -> list[Reference]:
    found = []
    for key, field in (("val_loss", "val_loss"), ("val_bpb", "bpb")):
        values = stage.evals[field]
        usable = np.flatnonzero(np.isfinite(values))
        if len(usable):
            place = usable[int(np.argmin(values[usable]))]
            label = f"best, step {stage.evals['step'][place]:,.0f}"
            found.append(Reference("y", (key,), "best", label, float(values[place])))
    return found


def _thresholds(gate: dict[str, Any]) -> list[Reference]:
    checks: Sequence[Any] = gate["checks"] if isinstance(gate.get("checks"), list) else []
    found = []
    for check in checks:
        keys = THRESHOLDS.get(str(check.get("id"))) if isinstance(check, dict) else None
        value = number_at(check, "threshold")
        if keys and value is not None:
            found.append(Reference("y", keys, "threshold", f"threshold of {check['id']}", value))
    return found


def _planned_steps(root: Path, stage: StageEvents) -> float | None:
    status = read_document(root / layout.STATUS)
    if status.get("stage") == stage.name and (steps := number_at(status, "steps")):
        return steps
    return number_at(read_report(root, stage.name), "training", "planned_steps")
