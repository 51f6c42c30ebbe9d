"""Whether a model continues texts exactly as they go on: greedy decoding followed along the wanted path, in one pass.

Greedy decoding gives the wanted tokens if and only if each of them is the likeliest after those before it, so nothing
has to be generated: the wanted text is read once, and the first token that is not the likeliest ends the path. A whole
read and a step-by-step one differ in rounding alone, where two tokens are as likely as each other.

Suffixes: B rows, T tokens, N targets, D dim, V vocab.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from picochat.core.errors import refuse
from picochat.core.jsonio import canonical_json, parse_json
from picochat.distributed.world import SoloWorld, World, share_out
from picochat.inference.scoring import BATCH_TOKENS, CHUNK_TARGETS, Autocast, Item, evaluating
from picochat.model.transformer import Transformer


def follow_greedily(
    model: Transformer,
    items: Sequence[Item],
    *,
    batch_tokens: int = BATCH_TOKENS,
    autocast: Autocast = nullcontext,
    world: World | None = None,
) -> list[list[int]]:
    """The greedy reply to each prompt up to the first id that is not the wanted one, that id included.

    It equals the wanted ids where the model continues exactly. `items` are prompts with what should follow, all of one
    length together; ranks share the batches. Raises ValueError for items of unlike shape, `eval.too_long` for those
    that do not fit into the model's context.
    """
    if not items:
        return []
    shape = (len(items[0][0]), len(items[0][1]))
    if 0 in shape or any((len(prompt), len(wanted)) != shape for prompt, wanted in items):
        raise ValueError("all prompts, and all that should follow them, need one length above 0")
    length, context = sum(shape), model.config.max_seq_len
    if length > context + 1:
        refuse("eval.too_long", f"a text of {length - 1:,} tokens is longer than the context of {context:,}")
    size = max(1, batch_tokens // length)

    def follow(begin: int) -> bytes:
        return canonical_json(_follow(model, items[begin : begin + size], shape[0], autocast))

    with evaluating(model):
        parts = share_out(world or SoloWorld(), range(0, len(items), size), follow)
    return [reply for part in parts for reply in parse_json(part, "replies of a rank")]


def _follow(model: Transformer, items: Sequence[Item], begin: int, autocast: Autocast) -> list[list[int]]:
    ids_BT = torch.tensor([[*prompt, *wanted] for prompt, wanted in items], device=model.head_weight.device)
    with autocast():
        hidden_BTD = model(ids_BT[:, :-1])[:, begin - 1 :]
        likeliest_N = _likeliest(model, hidden_BTD.flatten(0, 1))
    likeliest_BT, wanted_BT = likeliest_N.view(len(items), -1), ids_BT[:, begin:]
    # Places after the first difference are those of a path that greedy decoding does not take.
    same_BT = (likeliest_BT == wanted_BT).int().cumprod(1)
    lengths = (same_BT.sum(1) + 1).clamp(max=wanted_BT.shape[1]).tolist()
    return [ids[:length] for ids, length in zip(likeliest_BT.tolist(), lengths, strict=True)]


def _likeliest(model: Transformer, hidden_ND: Tensor) -> Tensor:
    """The likeliest id after each state (N,); at most `CHUNK_TARGETS` x V scores stand in memory."""
    return torch.cat([model.logits(part).float().argmax(1) for part in hidden_ND.split(CHUNK_TARGETS)])
