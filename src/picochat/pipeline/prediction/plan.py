"""The rungs of a ladder before any of them is trained: sizes, lengths, seeds, and where a shorter one branches off."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.core.errors import refuse
from picochat.evals.scaling.requirements import MIN_SPAN
from picochat.model.config import ModelConfig
from picochat.model.sizing import count_parameters, flops_per_token
from picochat.pipeline.config import Resolved, RunConfig, resolve
from picochat.pipeline.prediction.config import LadderConfig
from picochat.pipeline.prediction.shapes import shrink_model
from picochat.training.recipe import resolve_recipe
from picochat.training.schedule import cooldown_begin

TOKENS_PER_PARAMETER = 20.0
MIN_STEPS = 20
MAX_KEPT = 12
"""Checkpoints that a trunk keeps at most."""


class TextPaths(NamedTuple):
    """Text and tokenizer of all rungs."""

    corpus: Path
    tokenizer: Path


class PlannedRung(NamedTuple):
    """A rung: its run folder below the ladder, what it is for, and its configuration."""

    name: str
    purpose: str
    parameters: int
    tokens: int
    branch_step: int | None
    resolved: Resolved

    @property
    def flops(self) -> float:
        """Of the steps that it takes itself."""
        loop = self.resolved.config.base.loop
        step_tokens = resolve_recipe(loop, self.parameters).tokens_per_step
        own = self.tokens - (self.branch_step or 0) * step_tokens
        return own * flops_per_token(self.resolved.config.model, loop.seq_len)


def size_of(config: RunConfig) -> tuple[int, int]:
    """(parameters, tokens that base trains on) of a run."""
    parameters = count_parameters(config.model).total
    recipe = resolve_recipe(config.base.loop, parameters)
    return parameters, recipe.steps * recipe.tokens_per_step


def plan_ladder(
    root: Path, profile: str, config: RunConfig, ladder: LadderConfig, text: TextPaths
) -> list[PlannedRung]:
    """All rungs, smallest size first, the longest length of a size before those that branch off from it.

    Raises `ladder.sizes` when the shapes that there are come too close, `ladder.lengths` for a training of a few steps.
    """
    parameters, _ = size_of(config)
    largest = parameters / ladder.gap
    ratios = [ladder.span ** (number / (ladder.sizes - 1) - 1) for number in range(ladder.sizes)]
    models = [shrink_model(config.model, largest * ratio) for ratio in ratios]
    _require_apart([count_parameters(model).total for model in models])
    rungs = []
    for number, model in enumerate(models, start=1):
        rungs += _plan_size(root, profile, config, ladder, text, f"n{number}", model)
    trunk = rungs[0]
    for seed in range(1, ladder.seeds):
        rungs.append(_repeat(profile, config, trunk, f"{trunk.name}-s{seed}", config.seed + seed))
    return rungs


def _require_apart(sizes: list[int]) -> None:
    """Small models differ by whole steps of width. Raises `ladder.sizes`."""
    if len(set(sizes)) < len(sizes):
        refuse(
            "ladder.sizes",
            f"the {len(sizes)} sizes of the ladder would be {', '.join(f'{size:,}' for size in sizes)} parameters, and "
            "some of them are the same",
            fix="lower ladder.gap or ladder.sizes, or predict a larger model: widths are multiples of 8",
        )
    if max(sizes) < MIN_SPAN * min(sizes):
        refuse(
            "ladder.sizes",
            f"the sizes would span {max(sizes) / min(sizes):.2f} x in parameters, needed are {MIN_SPAN:g} x",
            fix="raise ladder.span: widths are multiples of 8, so the sizes are not exactly those asked for",
        )


def _plan_size(
    root: Path, profile: str, config: RunConfig, ladder: LadderConfig, text: TextPaths, name: str, model: ModelConfig
) -> list[PlannedRung]:
    """The longest training of a size, and its branches."""
    parameters = count_parameters(model).total
    loop = config.base.loop
    step_tokens = resolve_recipe(loop, parameters).tokens_per_step
    longest = _longest(config, ladder, parameters) // step_tokens
    steps = [round(cut * longest) for cut in ladder.cuts]
    if steps[0] < MIN_STEPS or len(set(steps)) < len(steps):
        refuse(
            "ladder.lengths",
            f"{parameters:,} parameters: lengths of {', '.join(f'{count:,}' for count in steps)} steps of "
            f"{step_tokens:,} tokens, needed are {MIN_STEPS} or more, all different",
            fix="raise ladder.tokens_per_parameter or base.loop.tokens, lower base.loop.tokens_per_step, or raise the "
            "first of ladder.cuts",
        )
    warmup = round(loop.warmup_frac * longest)
    begins = [cooldown_begin(count, warmup) for count in steps[:-1]]
    keep_every = choose_keep_every(begins, longest)
    trunk = f"{name}-d{len(steps)}"
    rungs = []
    for number, count in reversed(list(enumerate(steps, start=1))):
        branch = None if count == longest else keep_every * (begins[number - 1] // keep_every)
        own: dict[str, Any] = {
            "tokens": count * step_tokens,
            "warmup_frac": warmup / count,
            "save_every": keep_every if branch is None else 0,
            "keep_every": keep_every if branch is None else 0,
        }
        kept = None if branch is None else root / trunk / layout.BASE / layout.kept_checkpoint(branch)
        resolved = _resolve_rung(profile, config, model, text, config.seed, own, kept)
        rungs.append(PlannedRung(f"{name}-d{number}", "fit", parameters, count * step_tokens, branch, resolved))
    return rungs


def choose_keep_every(begins: list[int], longest: int) -> int:
    """Steps between kept checkpoints, so that the branches repeat as few steps as possible, at few checkpoints."""
    least = max(1, -(-longest // MAX_KEPT))
    candidates = range(min(least, begins[0]), begins[0] + 1)
    return min(candidates, key=lambda every: (sum(begin % every for begin in begins), -every))


def _longest(config: RunConfig, ladder: LadderConfig, parameters: int) -> int:
    """Tokens of the longest training of a size."""
    whole, tokens = size_of(config)
    ratio = ladder.tokens_per_parameter or max(TOKENS_PER_PARAMETER, tokens / whole)
    return min(tokens, round(ratio * parameters))


def _repeat(profile: str, config: RunConfig, trunk: PlannedRung, name: str, seed: int) -> PlannedRung:
    """The training again with another seed, and with it another order of documents."""
    own = trunk.resolved.config
    text = TextPaths(Path(own.base.text.corpus or ""), Path(own.base.text.tokenizer or ""))
    loop = {"tokens": own.base.loop.tokens, "warmup_frac": own.base.loop.warmup_frac, "save_every": 0, "keep_every": 0}
    resolved = _resolve_rung(profile, config, own.model, text, seed, loop, None)
    return PlannedRung(name, "seed", trunk.parameters, trunk.tokens, None, resolved)


def _resolve_rung(
    profile: str,
    config: RunConfig,
    model: ModelConfig,
    text: TextPaths,
    seed: int,
    own: dict[str, Any],
    branch: Path | None,
) -> Resolved:
    """The profile's configuration with the rung's own size, length and schedule over it."""
    loop = own | {"schedule": "wsd", "keep": "last", "eval_every": 0, "sample_every": 0}
    source = {"corpus": str(text.corpus.absolute()), "tokenizer": str(text.tokenizer.absolute())}
    layer = {
        "seed": seed,
        "model": model.as_dict(),
        "base": {"loop": loop, "text": source, "branch": str(branch.absolute()) if branch else None},
        # Many short trainings: each would compile blocks of its own.
        "machine": {"compile": "off" if config.machine.compile == "auto" else config.machine.compile},
    }
    return resolve(profile, config, [("ladder", layer)])
