"""Log-probabilities of tokens under the model's own distribution, before temperature and penalties.

A token's value and those of its alternatives come from one vector, so the likeliest token's value is, as a float, the
largest among them. Suffixes: N tokens, V vocab.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from picochat.inference.engine.request import ScoredToken


def score_tokens(logits_NV: Tensor, tokens: Sequence[int], tops: int) -> list[ScoredToken]:
    """Each token after its row of scores, with `tops` alternatives, best first (natural logarithms, float32)."""
    logprobs_NV = torch.log_softmax(logits_NV.float(), dim=1)
    chosen_N1 = torch.tensor(tokens, device=logits_NV.device).unsqueeze(1)
    values = logprobs_NV.gather(1, chosen_N1).squeeze(1).tolist()
    best = logprobs_NV.topk(min(tops, logprobs_NV.shape[1]), dim=1)
    tables = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [
        ScoredToken(token, value, tuple(zip(ids, likely, strict=True)))
        for token, value, (ids, likely) in zip(tokens, values, tables, strict=True)
    ]
