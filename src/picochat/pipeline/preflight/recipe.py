"""What base and SFT will do, resolved as the stages resolve it, beside what the rules derive."""

from __future__ import annotations

from picochat.data.shards.manifest import is_long
from picochat.judgement.preflight.facts import RecipeFacts
from picochat.model.sizing import count_parameters
from picochat.pipeline.config import RunConfig
from picochat.training import recipe as rules

TARGET_TOKENS_PER_PARAMETER = 20
"""Hoffmann et al. 2022, arXiv:2203.15556: about 20 tokens a parameter are the best use of a fixed compute."""


def recipe_facts(config: RunConfig) -> RecipeFacts:
    """The plan of both trainings for this configuration."""
    parameters = count_parameters(config.model).total
    base = rules.resolve_recipe(config.base.loop, parameters)
    sft = rules.resolve_recipe(config.sft.loop, parameters)
    row_tokens = config.base.loop.micro_batch_size * config.base.loop.seq_len
    return RecipeFacts(
        parameters=parameters,
        target_tokens=TARGET_TOKENS_PER_PARAMETER * parameters,
        planned_tokens=base.steps * base.tokens_per_step,
        steps=base.steps,
        lr=base.optim.lr,
        rule_lr=float(rules.peak_lr(parameters).value),
        step_tokens=base.tokens_per_step,
        rule_step_tokens=int(rules.tokens_per_step(parameters, row_tokens).value),
        sft_lr=sft.optim.lr,
        long=is_long(base.steps, parameters),
        data_mode=config.base.data_mode,
    )
