"""The order of the samples: a keyed bijection on 0..n-1 that needs no list.

Sample k of a run is item `perm_e(k mod n)` of epoch `e = k div n`. World size, accumulation and workers change
nothing, because each sample is a function of its number. The bijection is a balanced Feistel network (Luby and Rackoff
1988) with cycle walking (Black and Rogaway 2002): numbers outside 0..n-1 are encrypted again until they fall inside.
"""

from __future__ import annotations

import hashlib

import numpy as np

ROUNDS = 6


class SampleOrder:
    """The order of `n_items` items under a seed, epoch after epoch."""

    def __init__(self, n_items: int, seed: int) -> None:
        if n_items < 1:
            raise ValueError(f"an order needs at least one item, got {n_items}")
        self.n_items = n_items
        self.seed = seed

    def samples_at(self, numbers: np.ndarray) -> np.ndarray:
        """The items, int64, of the samples with these numbers (any shape, not negative)."""
        numbers = np.asarray(numbers, dtype=np.int64)
        epochs, places = np.divmod(numbers, self.n_items)
        items = np.empty(numbers.shape, dtype=np.int64)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            items[chosen] = permute(places[chosen], self.n_items, epoch_keys(self.seed, int(epoch)))
        return items

    def sample_at(self, number: int) -> int:
        """The item of one sample."""
        return int(self.samples_at(np.array([number]))[0])


def epoch_keys(seed: int, epoch: int) -> np.ndarray:
    """One 64-bit key a round, from the seed and the epoch."""
    words = [hashlib.sha256(f"order:{seed}:{epoch}:{r}".encode()).digest()[:8] for r in range(ROUNDS)]
    return np.array([int.from_bytes(word, "big") for word in words], dtype=np.uint64)


def permute(places: np.ndarray, n_items: int, keys: np.ndarray) -> np.ndarray:
    """The images, int64, of `places` (1-D, in 0..n_items-1) under the keyed bijection of 0..n_items-1."""
    half_bits = max(1, ((n_items - 1).bit_length() + 1) // 2)
    items = _encrypt(places.astype(np.uint64), half_bits, keys)
    outside = np.flatnonzero(items >= n_items)
    while outside.size:
        items[outside] = _encrypt(items[outside], half_bits, keys)
        outside = outside[items[outside] >= n_items]
    return items.astype(np.int64)


def _encrypt(values: np.ndarray, half_bits: int, keys: np.ndarray) -> np.ndarray:
    """A Feistel network over 2 x `half_bits` bits."""
    shift, mask = np.uint64(half_bits), np.uint64((1 << half_bits) - 1)
    left, right = values >> shift, values & mask
    for key in keys:
        left, right = right, left ^ (_mix(right + key) & mask)
    return (left << shift) | right


def _mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014), element by element."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
