"""A model that is led along a given continuation: how likely it was, and what the model would have said instead.

    (prompt, continuation) ids -> force_texts -> log-likelihood, and the likeliest id at every place

Suffixes: B rows, T tokens, N targets, V vocab.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch

from picochat.core.jsonio import canonical_json, parse_json
from picochat.distributed.world import SoloWorld, World, share_out
from picochat.inference.scoring import (
    BATCH_TOKENS,
    Autocast,
    Item,
    evaluating,
    iter_batches,
    pad_batch,
    require_fitting,
)
from picochat.model.transformer import Transformer

CHUNK_TARGETS = 1024


class ForcedText(NamedTuple):
    """Sum of log-likelihoods in nats over a continuation, and the greedy id at each of its places."""

    logprob: float
    predicted: list[int]


def force_texts(
    model: Transformer,
    items: Sequence[Item],
    *,
    batch_tokens: int = BATCH_TOKENS,
    autocast: Autocast = nullcontext,
    world: World | None = None,
) -> list[ForcedText]:
    """Each continuation after its prompt, in the order given; batches and ranks as in `score_texts`.

    The continuation's own tokens stand before every place, so the predicted ids are what greedy generation gives only
    as far as they agree with it: all of them agree exactly when greedy generation writes the continuation.
    """
    lengths = [require_fitting(model, item) for item in items]
    order = sorted(range(len(items)), key=lambda index: (lengths[index], index))
    batches = list(iter_batches(order, lengths, batch_tokens))

    def force(batch: list[int]) -> bytes:
        texts = _force_batch(model, [items[index] for index in batch], autocast)
        return canonical_json([[text.logprob.hex(), text.predicted] for text in texts])

    found = [ForcedText(0.0, [])] * len(items)
    with evaluating(model):
        for batch, data in zip(batches, share_out(world or SoloWorld(), batches, force), strict=True):
            for index, (logprob, predicted) in zip(batch, parse_json(data, "texts of a rank"), strict=True):
                found[index] = ForcedText(float.fromhex(logprob), predicted)
    return found


def _force_batch(model: Transformer, items: Sequence[Item], autocast: Autocast) -> list[ForcedText]:
    tokens_BT, targets_BT, kept_BT = pad_batch(items, model.head_weight.device)
    with autocast():
        hidden_ND, targets_N = model(tokens_BT)[kept_BT], targets_BT[kept_BT]
        nats, predicted = [], []
        for hidden, targets in zip(hidden_ND.split(CHUNK_TARGETS), targets_N.split(CHUNK_TARGETS), strict=True):
            logits_NV = model.logits(hidden).float()
            nats.append(logits_NV.logsumexp(1) - logits_NV.gather(1, targets.unsqueeze(1)).squeeze(1))
            predicted.append(logits_NV.argmax(1))
    sizes = [len(continuation) for _, continuation in items]
    by_item = zip(torch.cat(nats).double().cpu().split(sizes), torch.cat(predicted).cpu().split(sizes), strict=True)
    return [ForcedText(-float(part.sum()), ids.tolist()) for part, ids in by_item]
