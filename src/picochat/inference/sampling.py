"""Tokens from a model: whole batches for an eval, one stream for a person.

    prompts -> sorted by length -> left-padded batches -> KV cache -> rows leave the batch when they end

Suffixes: B rows, T tokens, V vocab.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor

from picochat.core.jsonio import canonical_json, parse_json
from picochat.distributed.world import SoloWorld, World, share_out
from picochat.inference.scoring import Autocast, evaluating
from picochat.model.kv_cache import KVCache
from picochat.model.transformer import Transformer

KEEP_FRAC = 0.75


@dataclass(frozen=True)
class SamplingParams:
    """How the next token is picked: greedy at `temperature` 0, else at random after both filters.

    `top_k` keeps the k likeliest tokens (0: all). `top_p` then keeps the fewest likeliest tokens that together reach
    that probability (Holtzman et al. 2020, arXiv:1904.09751, section 3.1; 1: all).
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    max_new_tokens: int = 128

    def __post_init__(self) -> None:
        if self.temperature < 0 or self.top_k < 0 or not 0 < self.top_p <= 1 or self.max_new_tokens < 1:
            raise ValueError(f"{self} is outside of temperature >= 0, top_k >= 0, 0 < top_p <= 1, max_new_tokens >= 1")


@dataclass(frozen=True)
class Generated:
    """New ids without the stop id; `finished` is False when a limit of tokens ended the reply."""

    ids: list[int]
    finished: bool


@torch.no_grad()
def generate_batch(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    params: SamplingParams,
    stop_ids: Collection[int],
    *,
    batch_size: int = 64,
    autocast: Autocast = nullcontext,
    on_progress: Callable[[int], None] | None = None,
    world: World | None = None,
) -> list[Generated]:
    """A reply for every prompt, in the order given; the batch size decides speed and memory only.

    Ranks share the batches, each of which is the same whoever runs it.

    Prompt and reply together fill the model's context at most: a reply cut there, or one to a prompt that leaves no
    room, is not finished. `on_progress` is told how many replies are done. Raises ValueError for an empty prompt.
    """
    if not all(prompts):
        raise ValueError("a prompt needs at least one id")
    replies = [Generated([], False) for _ in prompts]
    order = [index for index, prompt in enumerate(prompts) if len(prompt) < model.config.max_seq_len]
    order.sort(key=lambda index: (len(prompts[index]), index))

    def reply_to(begin: int) -> bytes:
        chosen = [(index, prompts[index]) for index in order[begin : begin + batch_size]]
        found = _Batch(model, chosen, params, stop_ids, autocast).run()
        if on_progress:
            on_progress(min(begin + batch_size, len(order)))
        return canonical_json([[index, reply.ids, reply.finished] for index, reply in found.items()])

    with evaluating(model):
        for data in share_out(world or SoloWorld(), range(0, len(order), batch_size), reply_to):
            for index, ids, finished in parse_json(data, "replies of a rank"):
                replies[index] = Generated(ids, finished)
    return replies


def stream(
    model: Transformer,
    prompt: Sequence[int],
    params: SamplingParams,
    stop_ids: Collection[int],
    autocast: Autocast = nullcontext,
) -> Iterator[int]:
    """Yields the ids of one reply as they are made, up to a stop id or a limit of tokens.

    The same ids as `generate_batch` gives for this prompt alone. Raises ValueError for an empty prompt.
    """
    if not prompt:
        raise ValueError("a prompt needs at least one id")
    room = min(params.max_new_tokens, model.config.max_seq_len - len(prompt))
    if room <= 0:
        return
    cache = _build_cache(model, 1, len(prompt) + room)
    rng = _row_random(params, 0)
    ids = list(prompt)
    for _ in range(room):
        with torch.no_grad(), autocast():
            tokens_BT = torch.tensor([ids], device=model.head_weight.device)
            logits_BV = model.logits(model(tokens_BT, cache=cache)[:, -1])
        token = int(pick_tokens(logits_BV, params, [rng])[0])
        if token in stop_ids:
            return
        yield token
        ids = [token]


def pick_tokens(logits_BV: Tensor, params: SamplingParams, rngs: Sequence[random.Random]) -> Tensor:
    """The next id of every row (B,). Each row draws from its own generator, so neighbours do not change it."""
    logits_BV = logits_BV.float()
    if params.temperature == 0:
        return logits_BV.argmax(1)
    probs_BV = filtered_probs(logits_BV, params)
    draws_B1 = torch.tensor([[rng.random()] for rng in rngs], dtype=torch.float64, device=probs_BV.device)
    cumulative_BV = probs_BV.cumsum(1)
    picked_B1 = torch.searchsorted(cumulative_BV, draws_B1 * cumulative_BV[:, -1:], right=True)
    # Rounding may carry a draw of nearly 1 past the last token that is possible.
    last_B = probs_BV.shape[1] - 1 - (probs_BV > 0).flip(1).int().argmax(1)
    return torch.minimum(picked_B1.squeeze(1), last_B)


def filtered_probs(logits_BV: Tensor, params: SamplingParams) -> Tensor:
    """Probabilities after temperature, `top_k` and `top_p`, float64 (B, V); rows sum to 1."""
    probs_BV = torch.softmax(logits_BV.double() / params.temperature, dim=1)
    sorted_BV, order_BV = probs_BV.sort(dim=1, descending=True, stable=True)
    before_BV = sorted_BV.cumsum(1) - sorted_BV
    if params.top_k:
        sorted_BV[:, params.top_k :] = 0
        before_BV = before_BV / sorted_BV.sum(1, keepdim=True)
    if params.top_p < 1:
        sorted_BV[before_BV >= params.top_p] = 0
    kept_BV = torch.zeros_like(probs_BV).scatter_(1, order_BV, sorted_BV)
    return kept_BV / kept_BV.sum(1, keepdim=True)


@dataclass
class _Row:
    """One prompt in a batch and what was made of it."""

    index: int
    prompt: Sequence[int]
    limit: int
    rng: random.Random
    ids: list[int] = field(default_factory=list)
    finished: bool = False

    @property
    def ended(self) -> bool:
        return self.finished or len(self.ids) >= self.limit

    def take(self, token: int, stop_ids: Collection[int]) -> None:
        """Counts a new token, unless the row has ended and only waits to leave the batch."""
        if self.ended:
            return
        if token in stop_ids:
            self.finished = True
        else:
            self.ids.append(token)


class _Batch:
    """Left-padded prompts that are continued together; positions count from each prompt's own first token."""

    def __init__(
        self,
        model: Transformer,
        prompts: Sequence[tuple[int, Sequence[int]]],
        params: SamplingParams,
        stop_ids: Collection[int],
        autocast: Autocast,
    ) -> None:
        context = model.config.max_seq_len
        self._model, self._params, self._stop_ids, self._autocast = model, params, stop_ids, autocast
        self._rows = [
            _Row(index, prompt, min(params.max_new_tokens, context - len(prompt)), _row_random(params, index))
            for index, prompt in prompts
        ]
        width = max(len(prompt) for _, prompt in prompts)
        capacity = width + max(row.limit for row in self._rows)
        device = model.head_weight.device
        self._cache = _build_cache(model, len(prompts), capacity)
        pads_B1 = torch.tensor([[width - len(prompt)] for _, prompt in prompts], device=device)
        slots_S = torch.arange(capacity, device=device)
        self._key_mask_BS = slots_S >= pads_B1
        self._positions_BS = (slots_S - pads_B1).clamp(0, context - 1)
        padded = [[0] * (width - len(prompt)) + list(prompt) for _, prompt in prompts]
        self._tokens_BT = torch.tensor(padded, device=device)

    def run(self) -> dict[int, Generated]:
        """Replies by the index of their prompt."""
        rows = list(self._rows)
        while not all(row.ended for row in rows):
            tokens_B = self._next_tokens()
            for row, token in zip(self._rows, tokens_B.tolist(), strict=True):
                row.take(token, self._stop_ids)
            self._tokens_BT = tokens_B.unsqueeze(1)
            self._drop_ended()
        return {row.index: Generated(row.ids, row.finished) for row in rows}

    def _next_tokens(self) -> Tensor:
        begin, end = self._cache.length, self._cache.length + self._tokens_BT.shape[1]
        with self._autocast():
            hidden_BTD = self._model(
                self._tokens_BT,
                positions_BT=self._positions_BS[:, begin:end],
                cache=self._cache,
                key_mask=self._key_mask_BS[:, :end],
            )
            logits_BV = self._model.logits(hidden_BTD[:, -1])
        return pick_tokens(logits_BV, self._params, [row.rng for row in self._rows])

    def _drop_ended(self) -> None:
        """Takes ended rows out once they are many enough to be worth a copy of the cache."""
        places = [place for place, row in enumerate(self._rows) if not row.ended]
        if not places or len(places) > KEEP_FRAC * len(self._rows):
            return
        rows = torch.tensor(places, device=self._tokens_BT.device)
        self._rows = [self._rows[place] for place in places]
        self._cache.keep_rows(rows)
        self._key_mask_BS, self._positions_BS = self._key_mask_BS[rows], self._positions_BS[rows]
        self._tokens_BT = self._tokens_BT[rows]


def _build_cache(model: Transformer, batch_size: int, capacity: int) -> KVCache:
    weight = model.head_weight
    return KVCache(model.config, batch_size, capacity, dtype=weight.dtype, device=weight.device)


def _row_random(params: SamplingParams, index: int) -> random.Random:
    return random.Random(f"{params.seed}:{index}")
