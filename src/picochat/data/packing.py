"""Best-fit packing of whole items into rows of a fixed length. Nothing is cropped; what is left over is padding."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence


def pack_best_fit(lengths: Sequence[int], row_tokens: int) -> list[list[int]]:
    """Rows of item numbers. Each item goes to the fullest open row that still holds it (best fit, in the given order).

    Raises ValueError when an item is longer than a row: such items are left out and counted by the caller.
    """
    rows: list[list[int]] = []
    open_rows: list[tuple[int, int]] = []  # (free tokens, row), sorted
    for item, length in enumerate(lengths):
        if not 0 < length <= row_tokens:
            raise ValueError(f"item {item} has {length} tokens, a row has {row_tokens}")
        place = bisect_left(open_rows, (length, -1))
        if place < len(open_rows):
            free, row = open_rows.pop(place)
            rows[row].append(item)
        else:
            free, row = row_tokens, len(rows)
            rows.append([item])
        if free > length:
            insort(open_rows, (free - length, row))
    return rows
