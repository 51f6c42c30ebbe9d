"""Numbers of many events as growing arrays, and how the fields of events become such numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_PLAIN = frozenset({int, float, type(None)})


class Columns:
    """Columns of one length. A name that never had a finite value takes no memory and reads as all NaN.

    Views that were handed out stay as they were: growing writes beyond them or into new arrays.
    """

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0
        self._arrays: dict[str, Floats] = {}
        self.forgotten = 0
        """Rows at the beginning that were dropped because more than `most` came."""

    def __len__(self) -> int:
        return self._held

    def __getitem__(self, name: str) -> Floats:
        array = self._arrays.get(name)
        return np.full(self._held, np.nan) if array is None else array[: self._held]

    def has(self, name: str) -> bool:
        return name in self._arrays

    def append(self, block: Mapping[str, Floats]) -> None:
        """Adds rows; all arrays of the block have one length."""
        count = len(next(iter(block.values())))
        known = {name for name, values in block.items() if name in self._arrays or np.isfinite(values).any()}
        for name in known | self._arrays.keys():
            array = self._reserve(name, count)
            array[self._held : self._held + count] = block.get(name, np.nan)
        self._held += count
        if self._held > self._most + self._most // 4:
            self._forget(self._held - self._most)

    def _reserve(self, name: str, count: int) -> Floats:
        """The array of a name with room for `count` more rows; pages that hold no row yet take no memory."""
        array = self._arrays.get(name)
        if array is None or len(array) < self._held + count:
            grown = np.empty(max(64, self._held + count, (self._held + count) * 3 // 2))
            grown[: self._held] = np.nan if array is None else array[: self._held]
            self._arrays[name] = array = grown
        return array

    def _forget(self, count: int) -> None:
        self._arrays = {name: array[count : self._held].copy() for name, array in self._arrays.items()}
        self._held -= count
        self.forgotten += count


def numbers(values: Sequence[Any]) -> Floats:
    """Numbers as they stand in events; NaN for whatever is none: text, a truth value, a list, nothing at all."""
    if set(map(type, values)) <= _PLAIN:
        try:
            return np.array(values, dtype=np.float64)
        except OverflowError:
            pass
    return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def seconds(values: Sequence[Any]) -> Floats:
    """Times of events (ISO 8601 in UTC, ending in Z) as seconds since 1970; NaN for whatever is none."""
    try:
        return _seconds([value[:-1] if value[-1] == "Z" and value[0] in "12" else "NaT" for value in values])
    except (TypeError, ValueError, KeyError, IndexError, OverflowError):
        return np.concatenate([_second(value) for value in values]) if len(values) else np.empty(0)


def _seconds(texts: list[str]) -> Floats:
    times = np.array(texts, dtype="datetime64[ms]")
    return np.where(np.isnat(times), np.nan, times.astype(np.int64) / 1000)


def _second(value: Any) -> Floats:
    try:
        sound = isinstance(value, str) and value[-1:] == "Z" and value[0] in "12"
        return _seconds([value[:-1]]) if sound else np.array([np.nan])
    except (ValueError, OverflowError):
        return np.array([np.nan])


def spans(starts: Sequence[int], count: int) -> list[tuple[int, int]]:
    """[begin, end) of stretches that begin at `starts` and cover `count` places."""
    return list(zip(starts, [*starts[1:], count], strict=True)) if starts else []
