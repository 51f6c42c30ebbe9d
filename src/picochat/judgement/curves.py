"""The curves of a training from hashed artifacts: its ledger and the validations in its report, never the event stream.

Equal artifacts give equal points, so a page that shows them can be computed again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.judgement.documents import Document, value_at
from picochat.judgement.evidence import RunEvidence
from picochat.training.ledger import spliced
from picochat.views.curves.values import bits_a_byte

POINTS = 240
"""Points of a curve at most; beyond it each is the mean of equally many steps."""
DECIMALS = 6
_UNUSABLE = (PicochatError, KeyError, TypeError, ValueError, AttributeError, OverflowError)


def build_curves(evidence: RunEvidence, stage: str) -> dict[str, Any]:
    """Points as [step, value]: train loss in nats a target, learning rate, validations.

    `problem` says why there is no training curve. For base, loss also in bits a byte, by the tokenizer's mean bytes a
    token: an approximation, because a target is not always an average token.
    """
    report = evidence.report(stage)
    found: dict[str, Any] = {"loss": [], "bpb": [], "lr": [], "steps_a_point": None, "skipped": None, "problem": ""}
    found |= {"val_loss": _validations(report, "loss"), "val_bpb": _validations(report, "bpb")}
    try:
        lines = spliced(evidence.store.path(f"{stage}/{layout.LEDGER}"))
        accepted = [_numbers(line) for line in lines if line["verdict"] == "ok"]
    except _UNUSABLE as err:
        return found | {"problem": str(err)[:200] or type(err).__name__}
    size = max(1, math.ceil(len(accepted) / POINTS))
    groups = [accepted[begin : begin + size] for begin in range(0, len(accepted), size)]
    found |= {"steps_a_point": size, "skipped": len(lines) - len(accepted)}
    found["loss"] = _means(groups, 1)
    found["lr"] = _means([[line for line in group if line[2] is not None] for group in groups], 2)
    bytes_per_token = evidence.documents[layout.TOKENIZER_REPORT].number("bytes_per_token")
    if stage == layout.BASE and bytes_per_token:
        scale = bits_a_byte(bytes_per_token)
        found["bpb"] = [[step, round(loss * scale, DECIMALS)] for step, loss in found["loss"]]
    return found


def _numbers(line: dict[str, Any]) -> tuple[int, float, float | None]:
    """(step, loss, learning rate) of a line; older ledgers have no rate."""
    loss = float.fromhex(line["loss"])
    if not isinstance(line["step"], int) or not math.isfinite(loss):
        raise ValueError(f"step {line['step']}: an accepted step without a finite loss")
    return line["step"], loss, float.fromhex(line["lr"]) if "lr" in line else None


def _means(groups: Sequence[Sequence[tuple[Any, ...]]], key: int) -> list[list[float]]:
    """[last step, mean] of each group; sums that do not depend on their order."""
    return [
        [group[-1][0], float(f"{math.fsum(line[key] for line in group) / len(group):.9g}")] for group in groups if group
    ]


def _validations(report: Document, key: str) -> list[list[float]]:
    history = report.value("validation", "history")
    found = []
    for entry in history if isinstance(history, list) else []:
        step, value = value_at(entry, "step"), value_at(entry, key)
        if isinstance(step, int) and isinstance(value, int | float) and math.isfinite(value):
            found.append([step, float(f"{value:.9g}")])
    return sorted(found)
