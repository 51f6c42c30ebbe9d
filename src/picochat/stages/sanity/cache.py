"""Proofs: generation with the KV cache is generation without it. Always in float32, as evaluation runs.

Suffixes: B rows, T tokens, V vocab.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from picochat.artifacts.checks import CheckResult
from picochat.inference.sampling import SamplingParams, generate_batch, stream
from picochat.inference.scoring import evaluating
from picochat.model.kv_cache import KVCache
from picochat.model.transformer import Transformer
from picochat.stages.sanity.building import Workplace
from picochat.stages.sanity.verdicts import judge

LOGIT_BAR = 1e-3
"""Other shapes sum in another order: about 1e-6 of a logit. A token at a wrong place moves logits by tenths."""
NEW_TOKENS = 12
SINGLE_STEPS = 16
CHUNK = 5
PROMPTS = 4


def prove_cache(place: Workplace) -> list[CheckResult]:
    """The largest difference of a logit, and how many greedy tokens are others."""
    model = place.material.build_model(place.machine.world.device)
    windows = place.material.windows()
    rows = windows.take(np.arange(min(place.material.config.rows, len(windows)))).tokens
    with evaluating(model):
        tokens_BT = torch.from_numpy(rows).to(place.machine.world.device)
        difference = (read_cached(model, tokens_BT) - model.logits(model(tokens_BT))).abs().max()
        prompts = cut_prompts(rows[:PROMPTS].tolist(), model.config.max_seq_len)
        expected = [continue_plainly(model, prompt) for prompt in prompts]
        others = count_others(expected, continue_cached(model, prompts))
    n = 2 * sum(map(len, expected))
    return [
        judge("sanity.cache_logits", float(difference), LOGIT_BAR, tokens_BT.numel()),
        judge("sanity.cache_tokens", others, 0, n),
    ]


def read_cached(model: Transformer, tokens_BT: Tensor) -> Tensor:
    """Logits (B, T, V) as a reply is made: a prompt at once, some tokens together, the last ones singly."""
    B, T = tokens_BT.shape
    cache = KVCache(model.config, B, T, dtype=model.head_weight.dtype, device=tokens_BT.device)
    singles = min(SINGLE_STEPS, T // 3)
    begin = max(1, T - singles - CHUNK)
    cuts = sorted({0, begin, *range(T - singles, T + 1)})
    parts = [
        model.logits(model(tokens_BT[:, start:end], cache=cache)) for start, end in zip(cuts, cuts[1:], strict=False)
    ]
    return torch.cat(parts, dim=1)


def cut_prompts(rows: Sequence[Sequence[int]], context: int) -> list[list[int]]:
    """Prompts of different lengths, so that a batch of them needs padding; each leaves room for the reply."""
    longest = max(2, min(len(rows[0]), context - NEW_TOKENS))
    return [list(row[: max(1, longest * (i + 1) // len(rows))]) for i, row in enumerate(rows)]


def continue_plainly(model: Transformer, prompt: Sequence[int]) -> list[int]:
    """Greedy tokens of a model that reads everything again for each."""
    ids = list(prompt)
    for _ in range(min(NEW_TOKENS, model.config.max_seq_len - len(prompt))):
        tokens_BT = torch.tensor([ids], device=model.head_weight.device)
        ids.append(int(model.logits(model(tokens_BT)[:, -1]).argmax()))
    return ids[len(prompt) :]


def continue_cached(model: Transformer, prompts: Sequence[Sequence[int]]) -> list[list[list[int]]]:
    """The same with the cache, as an evaluation asks (in one padded batch) and as a chat does (alone)."""
    params = SamplingParams(max_new_tokens=NEW_TOKENS)
    batch = [reply.ids for reply in generate_batch(model, prompts, params, ())]
    return [batch, [list(stream(model, prompt, params, ())) for prompt in prompts]]


def count_others(expected: Sequence[Sequence[int]], ways: Sequence[Sequence[Sequence[int]]]) -> int:
    """Places at which a reply has another token than expected, or none."""
    count = 0
    for replies in ways:
        for want, got in zip(expected, replies, strict=True):
            count += sum(a != b for a, b in zip(want, got, strict=False)) + abs(len(want) - len(got))
    return count
