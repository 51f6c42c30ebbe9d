"""Ladders made from a known law, without a training."""

from __future__ import annotations

import math
import random
from typing import Any

from picochat.artifacts.ladder_record import Rung
from picochat.evals.scaling.law import Law

LAW = Law(1.2, 30.0, 60.0, 0.35, 0.33, 0.0)
SIZES = (40_000, 68_000, 116_000, 200_000, 343_000)
CUTS = (0.25, 0.5, 1.0)
TOKENS = 1_200_000
TEXT = {"corpus": "c" * 64, "corpus_documents": "d" * 64, "tokenizer": "t" * 64}


def make_rung(parameters: int, tokens: int, bpb: float, **more: Any) -> Rung:
    """A rung of that size, length and loss; `more` are other fields."""
    fields: dict[str, Any] = {
        "name": f"n{parameters}-d{tokens}",
        "purpose": "fit",
        "parameters": parameters,
        "tokens": tokens,
        "seed": 1,
        "loss": bpb * 1.5,
        "loss_se": 0.01,
        "bpb": bpb,
        "bpb_se": 0.007,
        "steps": max(1, tokens // 4096),
        "branch_step": None,
        "inputs": TEXT,
        "rules": "r" * 64,
        "weights_digest": "w" * 64,
        "run_digest": "0" * 64,
        "report_sha256": "1" * 64,
    }
    return Rung.model_construct(**(fields | more))


def make_ladder(
    law: Law = LAW,
    sizes: tuple[int, ...] = SIZES,
    cuts: tuple[float, ...] = CUTS,
    *,
    tokens: int = TOKENS,
    noise: float = 0.0,
    seeds: int = 3,
    seed: int = 0,
) -> list[Rung]:
    """Sizes times cuts, and the smallest size again with other seeds. `noise` is of the loss's logarithm."""
    rng = random.Random(seed)

    def loss(parameters: int, length: int) -> float:
        return law.at(parameters, length) * math.exp(rng.gauss(0.0, noise))

    rungs = [make_rung(n, round(tokens * cut), loss(n, round(tokens * cut))) for n in sizes for cut in cuts]
    for number in range(1, seeds):
        more = {"purpose": "seed", "seed": 1 + number, "name": f"seed-{number}"}
        rungs.append(make_rung(sizes[0], tokens, loss(sizes[0], tokens), **more))
    return rungs
