"""What a ladder must be before a law is fitted to it, and how far the law may be asked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from picochat.artifacts.ladder_record import Rung
from picochat.core.errors import refuse

MIN_SIZES = 4
MIN_SPAN = 8.0
MIN_LENGTHS = 2
"""Of each size: with one, what more text gives cannot be told from what more parameters give."""
MIN_SEEDS = 2
MAX_DECADES = 1.5
MAX_RUNGS = 500
"""More than anybody trains; a file that lists more is none of ours."""


def require_ladder(rungs: Sequence[Rung]) -> None:
    """Raises `ladder.losses`, `ladder.mixed`, `ladder.twice`, `ladder.sizes`, `ladder.lengths` or `ladder.seeds`."""
    if len(rungs) > MAX_RUNGS:
        refuse("ladder.sizes", f"{len(rungs):,} rungs are listed, at most {MAX_RUNGS} are read")
    _require_losses(rungs)
    _require_alike(rungs)
    _require_once(rungs)
    fitted = [rung for rung in rungs if rung.purpose == "fit"]
    require_sizes([rung.parameters for rung in fitted])
    for size in sorted({rung.parameters for rung in fitted}):
        lengths = {rung.tokens for rung in fitted if rung.parameters == size}
        if len(lengths) < MIN_LENGTHS:
            refuse("ladder.lengths", f"{size:,} parameters have {len(lengths)} length, needed are {MIN_LENGTHS}")
    if len(seed_group(rungs)) < MIN_SEEDS:
        refuse("ladder.seeds", f"no training was repeated: {MIN_SEEDS} seeds of one size and length are needed")


def require_sizes(sizes: Sequence[int]) -> None:
    """Enough sizes, far enough apart. Raises `ladder.sizes`."""
    known = sorted(set(sizes))
    if len(known) < MIN_SIZES:
        refuse("ladder.sizes", f"the ladder has {len(known)} sizes, needed are {MIN_SIZES}")
    if known[-1] < MIN_SPAN * known[0]:
        span = known[-1] / known[0]
        refuse(
            "ladder.sizes",
            f"the sizes span {span:.2f} x in parameters ({known[0]:,} to {known[-1]:,}), needed are {MIN_SPAN:g} x",
        )


def seed_group(rungs: Sequence[Rung]) -> list[Rung]:
    """The trainings that differ in nothing but their seed: the repeated ones, and the one that the law is fitted to."""
    repeated = [rung for rung in rungs if rung.purpose == "seed"]
    if not repeated:
        return []
    first = repeated[0]
    places = {(rung.parameters, rung.tokens) for rung in repeated}
    if len(places) > 1:
        refuse("ladder.seeds", f"trainings of {len(places)} sizes or lengths were repeated, the noise is that of one")
    own = [r for r in rungs if r.purpose == "fit" and (r.parameters, r.tokens) == (first.parameters, first.tokens)]
    return own + repeated


def decades_beyond(rungs: Sequence[Rung], parameters: float, tokens: float) -> float:
    """Powers of ten from the nearest end of the ladder to the target, in parameters or tokens: whichever are more."""
    fitted = [rung for rung in rungs if rung.purpose == "fit"]
    found = 0.0
    for values, target in (([r.parameters for r in fitted], parameters), ([r.tokens for r in fitted], tokens)):
        found = max(found, math.log10(target / max(values)), math.log10(min(values) / target))
    return found


def _require_losses(rungs: Sequence[Rung]) -> None:
    for rung in rungs:
        for key in ("loss", "bpb"):
            value = getattr(rung, key)
            if not math.isfinite(value) or value <= 0:
                refuse("ladder.losses", f"{rung.name}: its held-out {key} is {value}")


def _require_alike(rungs: Sequence[Rung]) -> None:
    """Text, tokenizer and rules are the same; only size, length and seed may differ."""
    for rung in rungs[1:]:
        for kind in sorted(rung.inputs.keys() | rungs[0].inputs.keys()):
            mine, first = rung.inputs.get(kind), rungs[0].inputs.get(kind)
            if mine != first:
                refuse("ladder.mixed", f"{rung.name} read {kind} {_short(mine)}, {rungs[0].name} {_short(first)}")
        if rung.rules != rungs[0].rules:
            mine, first = _short(rung.rules), _short(rungs[0].rules)
            refuse("ladder.mixed", f"{rung.name} was trained under rules {mine}, {rungs[0].name} under {first}")


def _require_once(rungs: Sequence[Rung]) -> None:
    counted = Counter((rung.parameters, rung.tokens, rung.seed) for rung in rungs)
    for (parameters, tokens, seed), count in counted.items():
        if count > 1:
            refuse("ladder.twice", f"{count} rungs have {parameters:,} parameters, {tokens:,} tokens and seed {seed}")
    seeds = {rung.seed for rung in rungs if rung.purpose == "fit"}
    if len(seeds) > 1:
        refuse("ladder.mixed", f"the fitted rungs have seeds {sorted(seeds)}: their order of documents is not the same")


def _short(digest: str | None) -> str:
    return f"{digest[:12]}..." if digest else "none"
