"""Two scorers on the same weights and rows: a pure function of the rows, so that verify computes it again.

    rows (both scorers' log-likelihoods an item) -> compare -> differences, metrics of both, agreement

A choice row has `options`, `answer` and lm-eval's own verdicts; a text row has `bytes` and `words`. Both hold the lists
`ours` and `theirs`: nats, one for each option or one for the text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from picochat.core.errors import refuse

Kind = Literal["choice", "text"]
Row = Mapping[str, Any]
Numbers = dict[str, Any]
TOLERANCE = 1e-3
"""Nats of an item, and bits of a byte, that the two may differ."""
LONG_TOKENS = 1000
"""A longer text may differ by as much for each so many tokens: sums of float32 drift apart with their length."""
SAME_SUM = 1e-6
"""How far a mean that lm-eval reports may lie from the mean of its own items."""
CHOICE_METRICS: dict[str, Callable[[str], int]] = {"acc": lambda option: 1, "acc_bytes": lambda o: len(o.encode())}
"""By the name of lm-eval's metric: what an option's log-likelihood is divided by."""


def compare(kind: Kind, rows: Sequence[Row], reported: Mapping[str, float], own: Mapping[str, float]) -> Numbers:
    """How far the two lie apart. `reported` are lm-eval's totals, `own` those that we compute in another way than row
    by row (`bits_per_byte` of a validation).

    `agree` is False with the reasons in `problems`. Raises `benchmark.empty` without rows, `eval.not_finite`.
    """
    if not rows:
        refuse("benchmark.empty", "0 rows were scored by both")
    _require_finite(rows)
    parts = _choice_metrics(rows, reported) if kind == "choice" else _text_metrics(rows, reported, own)
    differences = [_difference(row) for row in rows]
    strains = [value / _allowed(row) for value, row in zip(differences, rows, strict=True)]
    beyond = sum(strain > 1 for strain in strains)
    problems = (["log-likelihood"] if beyond else []) + parts.pop("problems")
    return {
        "items": len(rows),
        "tolerance": TOLERANCE,
        "max_difference": max(differences),
        "worst": rows[strains.index(max(strains))]["id"],
        "beyond_tolerance": beyond,
        "other_boundary": sum(row["our_tokens"] != row["their_tokens"] for row in rows),
        **parts,
        "problems": problems,
        "agree": not problems,
    }


def _require_finite(rows: Sequence[Row]) -> None:
    for row in rows:
        for side in ("ours", "theirs"):
            if not all(map(math.isfinite, row[side])):
                refuse("eval.not_finite", f"{row['id']}: log-likelihoods of {side} are {row[side]}")


def _difference(row: Row) -> float:
    return max(abs(ours - theirs) for ours, theirs in zip(row["ours"], row["theirs"], strict=True))


def _allowed(row: Row) -> float:
    return TOLERANCE * max(1.0, max(row["our_tokens"]) / LONG_TOKENS)


def _choice_metrics(rows: Sequence[Row], reported: Mapping[str, float]) -> Numbers:
    metrics = {name: _choice_metric(rows, name, weigh) for name, weigh in CHOICE_METRICS.items()}
    problems = [name for name, found in metrics.items() if found["decided_otherwise"]]
    return _with_reported(metrics, reported, problems, {name: lambda value: value for name in metrics})


def _choice_metric(rows: Sequence[Row], name: str, weigh: Callable[[str], int]) -> Numbers:
    """Accuracy of both. An item is a near tie when differences within the tolerance could turn its verdict."""
    ours, theirs, near, otherwise = 0, 0, 0, []
    for row in rows:
        margin, doubt = _margin(row, weigh)
        passed, their_verdict, is_near = margin > 0, bool(row[f"their_{name}"]), abs(margin) <= doubt
        ours, theirs, near = ours + passed, theirs + their_verdict, near + is_near
        otherwise += [row["id"]] if passed != their_verdict and not is_near else []
    return {
        "ours": ours / len(rows),
        "theirs": theirs / len(rows),
        "near_ties": near,
        "decided_otherwise": otherwise,
    }


def _margin(row: Row, weigh: Callable[[str], int]) -> tuple[float, float]:
    """Score of the right option above the best other one, and how much of that the tolerance can move."""
    weights = [weigh(option) for option in row["options"]]
    scores = [value / weight for value, weight in zip(row["ours"], weights, strict=True)]
    right = row["answer"]
    other = max((index for index in range(len(scores)) if index != right), key=scores.__getitem__)
    return scores[right] - scores[other], TOLERANCE * (1 / weights[right] + 1 / weights[other])


def _text_metrics(rows: Sequence[Row], reported: Mapping[str, float], own: Mapping[str, float]) -> Numbers:
    """Bits a byte, and both perplexities as the nats that they are the exponentials of."""
    units = {
        "bits_per_byte": ("bytes", math.log(2)),
        "byte_perplexity": ("bytes", 1.0),
        "word_perplexity": ("words", 1.0),
    }
    metrics: Numbers = {}
    for name, (unit, scale) in units.items():
        total = sum(row[unit] for row in rows) * scale
        metrics[name] = {side: -sum(row[side][0] for row in rows) / total for side in ("ours", "theirs")}
    validation = own.get("bits_per_byte")
    metrics["bits_per_byte"]["validation"] = validation
    problems = [name for name, found in metrics.items() if abs(found["ours"] - found["theirs"]) > TOLERANCE]
    if validation is None or abs(validation - metrics["bits_per_byte"]["theirs"]) > TOLERANCE:
        problems.append("validation")
    read = {"bits_per_byte": lambda value: value, "byte_perplexity": math.log, "word_perplexity": math.log}
    return _with_reported(metrics, reported, problems, read)


def _with_reported(
    metrics: dict[str, Numbers],
    reported: Mapping[str, float],
    problems: list[str],
    read: Mapping[str, Callable[[float], float]],
) -> Numbers:
    """Adds what lm-eval reports as its total, which must follow from its items."""
    for name, found in metrics.items():
        total = reported.get(name)
        found["reported"] = total
        if total is None or not math.isclose(read[name](total), found["theirs"], rel_tol=SAME_SUM, abs_tol=SAME_SUM):
            problems.append(f"reported {name}")
    return {"metrics": metrics, "problems": problems}
