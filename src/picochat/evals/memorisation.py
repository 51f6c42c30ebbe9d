"""Numbers of memorisation, from rows alone: shares that follow greedily, bits of exposure, copied words, losses.

    rows of one model -> summarise_memorisation -> {"extractable", "canaries", "copied", "loss"}

Row kinds: `passage` (ids that should follow and ids that did), `canary` (log-likelihoods of the true digits and of the
references), `sample` (a free sample and its longest copy), `loss` (nats of a document).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

from picochat.evals.statistics import Z95, newcombe
from picochat.evals.summarise import rate_of

Row = Mapping[str, Any]
Numbers = dict[str, Any]
SIDES = ("train", "val")
PASSAGE, CANARY, SAMPLE, LOSS = KINDS = ("passage", "canary", "sample", "loss")


def exposure(logprob: float, references: Sequence[float]) -> float:
    """log2(candidates) - log2(rank) in bits: candidates are the fact and its references (Carlini et al. 2019).

    The likeliest of 4,096 has 12 bits; a fact that the model does not know has 1.44 on average. A tie counts half.
    """
    above = sum(value > logprob for value in references)
    ties = sum(value == logprob for value in references)
    return math.log2(1 + len(references)) - math.log2(1 + above + ties / 2)


def summarise_memorisation(rows: Iterable[Row]) -> Numbers:
    """What the rows of one model say. Raises ValueError for a row of another kind, KeyError for a missing key."""
    kinds: dict[str, list[Row]] = {kind: [] for kind in KINDS}
    for row in rows:
        if row["kind"] not in kinds:
            raise ValueError(f"a row of kind {row['kind']!r}")
        kinds[row["kind"]].append(row)
    return {
        "extractable": _extractable(kinds[PASSAGE]),
        "canaries": _canaries(kinds[CANARY]),
        "copied": _copied(kinds[SAMPLE]),
        "loss": _loss(kinds[LOSS]),
    }


def _extractable(rows: Sequence[Row]) -> Numbers:
    """The share of passages whose end follows from their beginning, by side, and the difference with its interval."""
    sides = {side: rate_of(row["reply"] == row["wanted"] for row in rows if row["side"] == side) for side in SIDES}
    train, val = (sides[side] for side in SIDES)
    both = bool(train["n"] and val["n"])
    return {
        **sides,
        "difference": train["rate"] - val["rate"] if both else None,
        "interval": list(newcombe(train["k"], train["n"], val["k"], val["n"])) if both else None,
    }


def _canaries(rows: Sequence[Row]) -> Numbers:
    """Exposure in bits by number of copies: mean, least and most over the facts that have as many."""
    bits: dict[int, list[float]] = {}
    for row in rows:
        bits.setdefault(row["copies"], []).append(exposure(row["logprob"], row["references"]))
    return {
        "n": len(rows),
        "candidates": max((1 + len(row["references"]) for row in rows), default=0),
        "by_copies": {
            str(copies): {"n": len(found), "mean": fmean(found), "least": min(found), "most": max(found)}
            for copies, found in sorted(bits.items())
        },
    }


def _copied(rows: Sequence[Row]) -> Numbers:
    """Words of the longest stretch that each sample shares with a train document; 0 for none that was found."""
    longest = max(rows, key=lambda row: row["copied_words"], default=None)
    words = [row["copied_words"] for row in rows]
    return {
        "samples": len(rows),
        "longest_words": max(words, default=None),
        "median_words": median(words) if words else None,
        "sample_words": sum(row["words"] for row in rows),
        "document": longest["document"] if longest else None,
    }


def _loss(rows: Sequence[Row]) -> Numbers:
    """Nats a token by side, each with its standard error over documents, and val - train with its interval."""
    sides = {side: _ratio([row for row in rows if row["side"] == side]) for side in SIDES}
    train, val = (sides[side] for side in SIDES)
    if train["loss"] is None or val["loss"] is None:
        return {**sides, "gap": None, "interval": None}
    gap, half = val["loss"] - train["loss"], Z95 * math.hypot(train["se"], val["se"])
    return {**sides, "gap": gap, "interval": [gap - half, gap + half]}


def _ratio(rows: Sequence[Row]) -> Numbers:
    """Nats over tokens, and its standard error over documents (Cochran 1977, Sampling Techniques, 2.11)."""
    count, tokens = len(rows), sum(row["tokens"] for row in rows)
    if not tokens:
        return {"documents": count, "tokens": 0, "loss": None, "se": None}
    loss = math.fsum(row["nats"] for row in rows) / tokens
    squares = math.fsum((row["nats"] - loss * row["tokens"]) ** 2 for row in rows)
    se = math.sqrt(squares * count / max(1, count - 1)) / tokens
    return {"documents": count, "tokens": tokens, "loss": loss, "se": se}
