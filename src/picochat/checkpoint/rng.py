"""The states of all random generators as tensors: captured, saved like weights, restored to the bit. No pickle.

Names are `rank<r>.<generator>`, so that the states of all ranks lie in one file.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from picochat.core.errors import refuse

Generators = Mapping[str, torch.Generator | random.Random]
_PYTHON_VERSION = 3
_PYTHON_WORDS = 625
_NUMPY_WORDS = 624


def seed_rng(seed: int) -> None:
    """Sets the generators of python, numpy and torch (every device) to states that follow from `seed` alone."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def capture_rng(
    private: Generators | None = None, *, rank: int = 0, cuda: Sequence[int] | None = None
) -> dict[str, Tensor]:
    """Python, numpy's global generator, torch on the CPU and its CUDA devices, and the private generators by name.

    `cuda` lists the devices of this process; None is all. Their names count from 0, because a rank may come back on
    another GPU.
    """
    states = {"python": _python_state(random.getstate()), "numpy": _numpy_state(), "torch": torch.get_rng_state()}
    for place, index in enumerate(_devices(cuda)):
        states[f"cuda{place}"] = torch.cuda.get_rng_state(index)
    for name, generator in (private or {}).items():
        is_python = isinstance(generator, random.Random)
        states[f"private.{name}"] = _python_state(generator.getstate()) if is_python else generator.get_state()
    return {f"rank{rank}.{name}": state.clone() for name, state in states.items()}


def _devices(cuda: Sequence[int] | None) -> Sequence[int]:
    return range(torch.cuda.device_count()) if cuda is None else cuda


def restore_rng(
    states: Mapping[str, Tensor],
    private: Generators | None = None,
    *,
    rank: int = 0,
    cuda: Sequence[int] | None = None,
) -> None:
    """Puts every generator back. Raises `checkpoint.rng` when the saved set is not the one of this process.

    Nothing is restored unless everything can be.
    """
    prefix = f"rank{rank}."
    own = {name.removeprefix(prefix): state for name, state in states.items() if name.startswith(prefix)}
    expected = {"python", "numpy", "torch"}
    expected |= {f"cuda{place}" for place, _ in enumerate(_devices(cuda))}
    expected |= {f"private.{name}" for name in private or {}}
    if set(own) != expected:
        refuse("checkpoint.rng", f"saved generators of rank {rank}: {sorted(own)}; this process has {sorted(expected)}")
    try:
        _restore(own, private or {}, _devices(cuda))
    except (RuntimeError, TypeError, ValueError, OverflowError, struct.error) as err:
        refuse("checkpoint.rng", f"a saved generator of rank {rank} is not one of this version: {err}")


def _restore(own: Mapping[str, Tensor], private: Generators, cuda: Sequence[int]) -> None:
    for name, generator in private.items():
        state = own[f"private.{name}"]
        if isinstance(generator, random.Random):
            generator.setstate(_python_tuple(state))
        else:
            generator.set_state(state.clone())
    for place, index in enumerate(cuda):
        torch.cuda.set_rng_state(own[f"cuda{place}"].clone(), index)
    torch.set_rng_state(own["torch"].clone())
    np.random.set_state(_numpy_tuple(own["numpy"]))
    random.setstate(_python_tuple(own["python"]))


def _float_bits(value: float) -> int:
    return struct.unpack("<q", struct.pack("<d", value))[0]


def _bits_float(bits: int) -> float:
    return struct.unpack("<d", struct.pack("<q", bits))[0]


def _python_state(state: tuple) -> Tensor:
    """[version, 625 words, whether a second normal number waits, its bits]."""
    version, words, waiting = state
    return torch.tensor([version, *words, int(waiting is not None), _float_bits(waiting or 0.0)], dtype=torch.int64)


def _python_tuple(state: Tensor) -> tuple:
    version, *rest = state.tolist()
    if version != _PYTHON_VERSION or len(rest) != _PYTHON_WORDS + 2:
        raise ValueError(f"python state of version {version} with {len(rest)} numbers")
    waiting = _bits_float(rest[-1]) if rest[-2] else None
    return version, tuple(rest[:_PYTHON_WORDS]), waiting


def _numpy_state() -> Tensor:
    """[624 words, position, whether a second normal number waits, its bits]."""
    state = np.random.get_state(legacy=False)
    if not isinstance(state, dict) or state["bit_generator"] != "MT19937":
        raise RuntimeError(f"numpy's global generator is not MT19937: {state}")
    inner = state["state"]
    tail = [inner["pos"], state["has_gauss"], _float_bits(state["gauss"])]
    return torch.tensor([*inner["key"].tolist(), *tail], dtype=torch.int64)


def _numpy_tuple(state: Tensor) -> tuple:
    numbers = state.tolist()
    if len(numbers) != _NUMPY_WORDS + 3:
        raise ValueError(f"numpy state with {len(numbers)} numbers")
    key = np.array(numbers[:_NUMPY_WORDS], dtype=np.uint32)
    position, has_gauss, bits = numbers[_NUMPY_WORDS:]
    return "MT19937", key, position, has_gauss, _bits_float(bits)
