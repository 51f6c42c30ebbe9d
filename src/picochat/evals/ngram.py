"""N-gram baselines: what counting alone reaches on the same held-out text.

Interpolated Witten-Bell (Witten and Bell 1991, method C): with c(h w) and c(h) counts after the context h, and T(h) the
number of different tokens seen after it,

    P(w | h) = (c(h w) + T(h) P(w | h')) / (c(h) + T(h)),    h' = h without its oldest token,    P(w) starts at 1 / V.

An unseen context leaves P unchanged. Contexts never reach over a document's start; a document's first token (BOS) is
context only. Counting sorts packed keys (one 64-bit integer an n-gram), so 1 M tokens take about a second.

    order   uniform 0, unigram 1, bigram 2, trigram 3, 4-gram 4 tokens (the target and what stands before it)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

NAMES = ("uniform", "unigram", "bigram", "trigram", "4-gram")
MAX_TRAIN_TOKENS = 20_000_000
_KEY_BITS = 64
_PACKED_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class NgramLevel:
    """Counts of one order: sorted n-gram keys with their counts, sorted context keys with total count and types."""

    order: int
    keys: np.ndarray
    counts: np.ndarray
    contexts: np.ndarray
    totals: np.ndarray
    types: np.ndarray


@dataclass(frozen=True)
class NgramModel:
    """One level for each order from 1 up; where they are only read once, each may be counted as it is asked for."""

    vocab_size: int
    levels: Iterable[NgramLevel]


def ngram_baselines(
    train_docs: Sequence[np.ndarray],
    val_docs: Sequence[np.ndarray],
    vocab_size: int,
    val_bytes: int,
    *,
    counted: np.ndarray,
    max_order: int = 4,
    max_train_tokens: int = MAX_TRAIN_TOKENS,
) -> dict[str, dict[str, float]]:
    """Held-out cost of every order: name -> {nats_per_token, bpb}.

    Documents are id arrays, BOS first and EOS last. `counted` is a bool for each vocabulary id: targets that stand for
    no bytes (specials) are predicted but not summed. `val_bytes` are the bytes of the counted targets. Training reads
    the first `max_train_tokens` tokens. Orders whose key does not fit 64 bits are left out. Raises ValueError when no
    target is counted.
    """
    # One order at a time: the counts of all of them together take several times the memory of the text.
    model = NgramModel(vocab_size, iter_levels(list(_take(train_docs, max_train_tokens)), vocab_size, max_order))
    mask = counted[_targets(val_docs)]
    targets = int(mask.sum())
    if targets == 0 or val_bytes <= 0:
        raise ValueError(f"{targets} counted targets in {val_bytes} bytes: nothing to measure")
    results: dict[str, dict[str, float]] = {}
    for name, nats in zip(NAMES, iter_nats(model, val_docs), strict=False):
        total = float(nats[mask].sum())
        results[name] = {"nats_per_token": total / targets, "bpb": total / (math.log(2) * val_bytes)}
    return results


def count_ngrams(docs: Sequence[np.ndarray], vocab_size: int, max_order: int = 4) -> NgramModel:
    """Counts all orders up to `max_order` that fit a packed key."""
    return NgramModel(vocab_size, tuple(iter_levels(docs, vocab_size, max_order)))


def iter_levels(docs: Sequence[np.ndarray], vocab_size: int, max_order: int = 4) -> Iterator[NgramLevel]:
    """The same, each order when it is asked for: about 35 bytes a token at most."""
    bits = _id_bits(vocab_size)
    ids, positions = _flatten(docs, vocab_size)
    for order in range(1, min(max_order, _KEY_BITS // bits) + 1):
        yield _count_level(ids, positions, order, bits)


def iter_nats(model: NgramModel, docs: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields, for uniform and then each order, -ln P of every target (every token but the first of its document)."""
    bits = _id_bits(model.vocab_size)
    ids, positions = _flatten(docs, model.vocab_size)
    targets = positions >= 1
    probability = np.full(len(ids), 1 / model.vocab_size)
    yield -np.log(probability[targets])
    for level in model.levels:
        ends = _ends(positions, level.order)
        probability[ends] = _interpolate(level, _pack(ids, ends, level.order, bits), bits, probability[ends])
        yield -np.log(probability[targets])
        del level, ends  # the next one may be counted only now


def _interpolate(level: NgramLevel, keys: np.ndarray, bits: int, lower: np.ndarray) -> np.ndarray:
    context = _find(level.contexts, keys >> np.uint64(bits) if level.order > 1 else np.zeros_like(keys))
    total, types = _values(level.totals, context), _values(level.types, context)
    count = _values(level.counts, _find(level.keys, keys))
    seen = total > 0
    return np.where(seen, (count + types * lower) / np.where(seen, total + types, 1), lower)


def _count_level(ids: np.ndarray, positions: np.ndarray, order: int, bits: int) -> NgramLevel:
    keys, counts = _count_sorted(_pack(ids, _ends(positions, order), order, bits))
    owners = keys >> np.uint64(bits) if order > 1 else np.zeros_like(keys)
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]]) if len(keys) else np.zeros(0, dtype=np.int64)
    totals = np.add.reduceat(counts, starts, dtype=np.int64) if len(keys) else counts
    return NgramLevel(order, keys, counts, owners[starts], totals, np.diff(np.r_[starts, len(keys)]))


def _count_sorted(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different keys, ascending, and how often each stands there. `keys` are sorted in place."""
    keys.sort()
    kind = _index_kind(len(keys))
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)]).astype(kind)
    return keys[starts], np.diff(starts, append=np.array([len(keys)], kind))


def _pack(ids: np.ndarray, ends: np.ndarray, order: int, bits: int) -> np.ndarray:
    """One key for the n-gram that ends at each position of `ends`: the oldest token in the highest bits."""
    keys = np.zeros(len(ends), dtype=np.uint64)
    for first in range(0, len(ends), _PACKED_AT_ONCE):
        part, own = keys[first : first + _PACKED_AT_ONCE], ends[first : first + _PACKED_AT_ONCE]
        for back in range(order - 1, -1, -1):
            np.left_shift(part, np.uint64(bits), out=part)
            part |= ids[own - back]
    return keys


def _ends(positions: np.ndarray, order: int) -> np.ndarray:
    """Positions of the targets that have `order - 1` tokens of their own document before them."""
    return np.flatnonzero(positions >= max(1, order - 1)).astype(positions.dtype)


def _find(table: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Index of each key in a sorted table, -1 where it is absent."""
    if len(table) == 0:
        return np.full(len(keys), -1)
    at = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return np.where(table[at] == keys, at, -1)


def _values(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.where(index >= 0, values[index] if len(values) else 0, 0).astype(np.float64)


def _flatten(docs: Sequence[np.ndarray], vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    """All ids in one array, and the position of each inside its document."""
    sizes = np.array([len(doc) for doc in docs], dtype=np.int64)
    ids = np.concatenate(docs).astype(np.uint32) if len(docs) else np.zeros(0, dtype=np.uint32)
    if len(ids) and int(ids.max()) >= vocab_size:
        raise ValueError(f"id {int(ids.max())} is outside a vocabulary of {vocab_size}")
    kind = _index_kind(len(ids))
    positions = np.arange(len(ids), dtype=kind)
    positions -= np.repeat((np.cumsum(sizes) - sizes).astype(kind), sizes)
    return ids, positions


def _targets(docs: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(doc[1:], dtype=np.int64) for doc in docs]) if len(docs) else np.zeros(0, np.int64)


def _take(docs: Sequence[np.ndarray], limit: int) -> Iterator[np.ndarray]:
    for doc in docs:
        if limit <= 0:
            return
        yield doc[:limit]
        limit -= len(doc)


def _index_kind(count: int) -> type[np.signedinteger]:
    """The narrowest type for places among so many."""
    return np.int32 if count < 2**31 else np.int64


def _id_bits(vocab_size: int) -> int:
    return max(1, (vocab_size - 1).bit_length())
