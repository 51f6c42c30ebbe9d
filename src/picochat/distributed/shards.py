"""Slices of tensors that FSDP made, and whole tensors made of them again.

    slice_like(parameter, full)     this rank's slice of a whole tensor, as the parameter is sliced
    own_slices(world, tensors)      what this rank saves by itself
    gather_to_main(world, slices)   whole tensors, on rank 0
    Gathered(slices)                a mapping that gives whole tensors, one at a time

Everything else in the package sees plain tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from picochat.distributed.world import World


def is_sliced(tensor: Tensor) -> bool:
    return isinstance(tensor, DTensor)


def whole(tensor: Tensor) -> Tensor:
    """The tensor of which every rank holds a slice; collective. A plain tensor is whole already."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def slice_like(parameter: Tensor, full: Tensor) -> Tensor:
    """`full`, which every rank has, cut as `parameter` is cut; nothing is sent."""
    if not isinstance(parameter, DTensor):
        return full
    return distribute_tensor(full.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None)


def own_slices(world: World, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What this rank holds of each tensor; what all ranks hold alike is rank 0's."""
    return {
        name: tensor.to_local() if isinstance(tensor, DTensor) else tensor
        for name, tensor in tensors.items()
        if isinstance(tensor, DTensor) or world.is_main
    }


def gather_to_main(world: World, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Whole tensors in the memory of rank 0's host; the other ranks take part and get nothing."""
    found = {}
    for name in sorted(tensors):
        full = whole(tensors[name])
        if world.is_main:
            found[name] = full.detach().cpu()
        del full
    return found


class Gathered(Mapping[str, Tensor]):
    """Whole tensors by name. Every rank must read the same names in the same order, because each read is collective."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> Tensor:
        return whole(self._tensors[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)
