"""Texts on which an export is compared: prompts, each with the model's own greedy continuation.

Suffixes: N tokens of a continuation, T tokens, V vocab.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from picochat.inference.sampling import SamplingParams, generate_batch
from picochat.model.transformer import Transformer

PROMPTS = 16
TOKENS = 64
SHORTEST, LONGEST = 8, 192
TELLING_STEPS, REPEATED = 40, 2
"""A model tells when on some path at most two of its first 40 greedy tokens repeat an earlier one: one that runs in
circles everywhere agrees with itself in almost any layout."""
_SEED = "picochat export parity"


class GreedyPath(NamedTuple):
    """A prompt's ids and the model's greedy continuation."""

    prompt: list[int]
    tokens: list[int]


def walk(model: Transformer, text_ids: int, bos: int) -> list[GreedyPath]:
    """The 16 paths of a model: BOS and random ids below `text_ids`, then 64 greedy tokens or what the context leaves.

    One prompt of the 16 is long, so that distant positions are read too.
    """
    context = model.config.max_seq_len
    tokens = min(TOKENS, context // 2)
    longest = max(1, min(LONGEST, context - tokens))
    lengths = [min(SHORTEST + number, longest) for number in range(PROMPTS - 1)] + [longest]
    chosen = random.Random(_SEED)
    prompts = [[bos, *(chosen.randrange(text_ids) for _ in range(length - 1))] for length in lengths]
    found = generate_batch(model, prompts, SamplingParams(max_new_tokens=tokens), ())
    return [GreedyPath(prompt, reply.ids) for prompt, reply in zip(prompts, found, strict=True)]


def longest(paths: Sequence[GreedyPath]) -> int:
    """Tokens of the longest path."""
    return max(len(path.prompt) + len(path.tokens) for path in paths)


def count_distinct(paths: list[GreedyPath]) -> tuple[int, int]:
    """(different tokens, tokens) among the first steps of the path that repeats itself least."""
    beginnings = [path.tokens[:TELLING_STEPS] for path in paths]
    return max(len(set(steps)) for steps in beginnings), len(beginnings[0])


@torch.no_grad()
def path_logits(model: Transformer, path: GreedyPath) -> Tensor:
    """Our logits (N, V) for every token of a path, each after the tokens before it.

    Attention is torch's fused kernel at every length: the one that transformers takes, so that equal weights give
    equal bits.
    """
    tokens_BT = torch.tensor([[*path.prompt, *path.tokens[:-1]]])
    geometry = model.build_geometry(tokens_BT, None, None, None, None)._replace(mask_BTS=None)
    x_BTD = model.embed(tokens_BT)
    for block in model.blocks:
        x_BTD = block(x_BTD, geometry, None)
    return model.logits(model.norm(x_BTD))[0, len(path.prompt) - 1 :]
