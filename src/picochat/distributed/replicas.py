"""Whether all ranks hold the same bits: an integer checksum of each rank's tensors, made where they lie.

A sum of floats is no checksum: it rounds, and a swap of two values leaves it alone. Here every word of at most 32 bits
is mixed with its place, and the results are added modulo 2^64. The mixing of a place is a bijection (the finaliser of
SplitMix64, Steele, Lea and Flood 2014), so one changed word always changes the sum.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from picochat.core.errors import refuse
from picochat.core.failpoints import flips
from picochat.distributed.world import World

CHUNK_WORDS = 1 << 22
PLACE_FACTOR = 0x9E3779B97F4A7C15 - (1 << 64)
"""2^64 divided by the golden ratio, odd, as a signed number: spreads the places over all 64 bits."""
MIX_FACTOR = 0xBF58476D1CE4E5B9 - (1 << 64)


@torch.no_grad()
def checksum(tensor: Tensor) -> Tensor:
    """A scalar int64 on the tensor's device."""
    flat = tensor.detach().reshape(-1)
    if flat.stride(0) != 1:  # a single element may keep a stride of its own, which no view of words accepts
        flat = flat.clone(memory_format=torch.contiguous_format)
    words = _words(flat)
    total = torch.zeros((), dtype=torch.int64, device=tensor.device)
    for begin in range(0, words.numel(), CHUNK_WORDS):
        piece = words[begin : begin + CHUNK_WORDS].to(torch.int64)
        places = torch.arange(begin, begin + piece.numel(), dtype=torch.int64, device=tensor.device)
        mixed = piece.add_(places.mul_(PLACE_FACTOR))
        mixed = _fold(mixed, 30).mul_(MIX_FACTOR)
        total += _fold(mixed, 27).sum()
    return total


def _fold(words: Tensor, bits: int) -> Tensor:
    """`words ^ (words >> bits)`, in place. The shift brings in zeros: with copies of the sign, which torch's brings in,
    a word and its complement would become the same."""
    return words.bitwise_xor_((words >> bits) & ((1 << (64 - bits)) - 1))


def _words(flat: Tensor) -> Tensor:
    """The bytes of a flat tensor as integers of its own width, at most 32 bits."""
    kinds = {1: torch.uint8, 2: torch.int16}
    return flat.view(kinds.get(flat.element_size(), torch.int32))


def checksums(tensors: Mapping[str, Tensor]) -> Tensor:
    """(N,) int64 on the CPU: one checksum a tensor, in the order of the names."""
    if not tensors:
        return torch.zeros(0, dtype=torch.int64)
    found = [checksum(tensors[name]) for name in sorted(tensors)]
    return torch.stack([value.cpu() for value in found] if len({t.device for t in found}) > 1 else found).cpu()


def flip_bit(tensor: Tensor) -> None:
    """Changes the lowest bit of the last element: the smallest damage there is, for tests."""
    _words(tensor.view(-1))[-1] ^= 1


def require_equal_replicas(world: World, tensors: Mapping[str, Tensor], step: int) -> None:
    """Compares every tensor over all ranks. Raises `launch.replicas` on every rank, naming tensor and ranks.

    The rank with the rarest value is named; where that does not decide, all that differ from rank 0 are.
    """
    if world.size == 1:
        return
    if tensors and flips("replica.weights"):
        flip_bit(tensors[sorted(tensors)[-1]])
    table = world.gather(checksums(tensors))
    if bool((table == table[0]).all()):
        return
    column = int((table != table[0]).any(0).nonzero()[0])
    values = table[:, column].tolist()
    rarest = [rank for rank, value in enumerate(values) if values.count(value) * 2 < len(values)]
    odd = rarest or [rank for rank, value in enumerate(values) if value != values[0]]
    named = " and ".join(f"rank {rank}" for rank in odd)
    against = "the others" if rarest else "rank 0 (their numbers do not tell which of them is wrong)"
    refuse(
        "launch.replicas",
        f"step {step:,}: {named} holds other bits than {against}, first in {sorted(tensors)[column]}; nothing is saved",
    )
