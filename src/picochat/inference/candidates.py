"""Many continuations of one prompt, compared: the prompt is computed once a batch, and its cache shared by the rows.

Suffixes: B rows, T tokens, N targets, D dim.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch

from picochat.core.errors import refuse
from picochat.data.rows import IGNORE
from picochat.distributed.world import SoloWorld, World, share_out
from picochat.inference.scoring import Autocast, evaluating, token_nats
from picochat.model.kv_cache import KVCache
from picochat.model.transformer import Transformer

BATCH_ROWS = 1024


def score_candidates(
    model: Transformer,
    prompt: Sequence[int],
    candidates: Sequence[Sequence[int]],
    *,
    batch_rows: int = BATCH_ROWS,
    autocast: Autocast = nullcontext,
    world: World | None = None,
) -> list[float]:
    """Log-likelihood in nats of each candidate after the prompt, as `scoring.score_texts` gives it, in the order given.

    Ranks share the batches. Raises ValueError for an empty prompt or candidate, `eval.too_long` for what does not fit
    into the model's context.
    """
    if not prompt or not all(candidates):
        raise ValueError("a prompt and each of its candidates need at least one id")
    width = max(map(len, candidates), default=1)
    if (length := len(prompt) + width - 1) > model.config.max_seq_len:
        context = model.config.max_seq_len
        refuse("eval.too_long", f"a text of {length:,} tokens is longer than the context of {context:,}")

    def score(begin: int) -> bytes:
        return np.array(_score(model, prompt, candidates[begin : begin + batch_rows], width, autocast)).tobytes()

    with evaluating(model):
        parts = share_out(world or SoloWorld(), range(0, len(candidates), batch_rows), score)
    return [value for part in parts for value in np.frombuffer(part).tolist()]


def _score(
    model: Transformer, prompt: Sequence[int], candidates: Sequence[Sequence[int]], width: int, autocast: Autocast
) -> list[float]:
    tokens = np.zeros((len(candidates), width), np.int64)
    targets = np.full((len(candidates), width), IGNORE, np.int64)
    tokens[:, 0] = prompt[-1]
    for row, ids in enumerate(candidates):
        tokens[row, 1 : len(ids)] = ids[:-1]
        targets[row, : len(ids)] = ids
    weight = model.head_weight
    device = weight.device
    tokens_BT, targets_BT = torch.from_numpy(tokens).to(device), torch.from_numpy(targets).to(device)
    cache = KVCache(model.config, 1, len(prompt) - 1 + width, dtype=weight.dtype, device=device)
    kept_BT = targets_BT != IGNORE
    with autocast():
        if len(prompt) > 1:
            model(torch.tensor([list(prompt[:-1])], device=device), cache=cache)
        cache.keep_rows(torch.zeros(len(candidates), dtype=torch.int64, device=device))
        nats_N = token_nats(model, model(tokens_BT, cache=cache)[kept_BT], targets_BT[kept_BT])
    rows_N = kept_BT.nonzero()[:, 0].cpu()
    sums_B = torch.zeros(len(candidates), dtype=torch.float64).index_add_(0, rows_N, nats_N.double().cpu())
    return [-value for value in sums_B.tolist()]
