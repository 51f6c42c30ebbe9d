"""What was found of the items, counted: by item, column and training text, and the hits that are stored.

A match over a joint of documents is taken back when the same field stands inside one of these documents, or in a longer
match over the joint: it would be the same evidence twice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from picochat.data.contamination.fields import COLUMNS
from picochat.data.contamination.index import ContaminationIndex
from picochat.data.contamination.jobs import Scanned
from picochat.data.contamination.passages import Found

_REMEMBERED = 64
"""Documents in which a field stood last; no joint reaches farther back."""


@dataclass
class SideTally:
    """One training text: which items stand in it, and how much of it was read."""

    columns: NDArray[np.bool_]
    """Items by COLUMNS."""
    hits: NDArray[np.int64]
    """By item: documents in which a field of it stands, a joint for one document; columns counted apart."""
    documents: int = 0
    bytes: int = 0
    stored: dict[int, list[Found]] = field(default_factory=dict)
    """By item its first hits in the order of the text, with passages."""
    _n_stored: int = 0
    _closed: int | None = None
    """The first item for which there was no room: none after it is stored."""

    def keep(self, item: int, found: Found, hits_per_item: int, hits_stored: int) -> None:
        """Stores a hit, unless the item has enough earlier ones, or the items before it have enough for all."""
        if self._closed is not None and item >= self._closed:
            return
        hits = self.stored.setdefault(item, [])
        hits.append(found)
        hits.sort(key=_order)
        self._n_stored += len(hits) <= hits_per_item
        del hits[hits_per_item:]
        if self._n_stored > 2 * hits_stored:
            self.trim(hits_stored)

    def trim(self, hits_stored: int) -> None:
        """Leaves the first items whose hits are no more than that together."""
        total = 0
        for item in sorted(self.stored):
            total += len(self.stored[item])
            if total > hits_stored:
                del self.stored[item]
                self._closed = item if self._closed is None else min(item, self._closed)
        self._n_stored = sum(map(len, self.stored.values()))


class ItemTally:
    """Takes the results of the pieces of every training text, in their order."""

    def __init__(self, index: ContaminationIndex) -> None:
        self._index = index
        self._joints: list[Found] = []
        self._alone: dict[tuple[int, str], list[int]] = {}
        self._told: list[Found] = []
        self.sides: dict[str, SideTally] = {}

    def open(self, against: str) -> SideTally:
        """The tally of a training text; one without pieces has an empty one."""
        n = self._index.n_items
        return self.sides.setdefault(against, SideTally(np.zeros((n, len(COLUMNS)), np.bool_), np.zeros(n, np.int64)))

    def add(self, against: str, scanned: Scanned) -> None:
        """Takes the next piece of a training text."""
        side = self.open(against)
        side.documents += scanned.documents
        side.bytes += scanned.bytes
        for found in scanned.found:
            if found.split:
                self._joints.append(found)
            else:
                self._alone.setdefault((found.field, found.column), []).append(found.first_document)
                self._take(against, found)
        self._settle(scanned.last_document)

    def close(self, against: str) -> None:
        """Ends a training text: what waits for the next document waits no longer."""
        self._settle(None)
        for joint in _longest(self._told):
            self._take(against, joint)
        self._told = []
        self._alone.clear()
        side, config = self.sides[against], self._index.config
        side.trim(config.hits_stored)

    def _settle(self, last_document: int | None) -> None:
        """Takes back the joints of fields that stand in one of their documents, once all of these have been read."""
        waiting = []
        for joint in self._joints:
            if last_document is not None and joint.last_document > last_document:
                waiting.append(joint)
            elif not self._stands_alone(joint):
                self._told.append(joint)
        self._joints = waiting
        oldest = min((joint.first_document for joint in waiting), default=last_document or 0)
        for documents in self._alone.values():
            del documents[: max(0, min(bisect_left(documents, oldest), len(documents) - _REMEMBERED))]

    def _stands_alone(self, joint: Found) -> bool:
        alone = self._alone.get((joint.field, joint.column), [])
        place = bisect_left(alone, joint.first_document)
        return place < len(alone) and alone[place] <= joint.last_document

    def _take(self, against: str, found: Found) -> None:
        side = self.sides[against]
        item = int(self._index.fields.item[found.field])
        side.columns[item, COLUMNS.index(found.column)] = True
        side.hits[item] += 1
        config = self._index.config
        side.keep(item, found, config.hits_per_item, config.hits_stored)

    def dirty(self, extra: Sequence[int] = ()) -> NDArray[np.bool_]:
        """By item: whether it stands in any training text, or is one of the `extra` ones."""
        found = np.zeros(self._index.n_items, np.bool_)
        for side in self.sides.values():
            found |= side.columns.any(axis=1)
        found[list(extra)] = True
        return found


def _order(found: Found) -> tuple[int, int, int, str]:
    return found.first_document, found.last_document, found.field, found.column


def _longest(joints: list[Found]) -> list[Found]:
    """Joints that lie inside no other one of the same field and column, each once."""
    kept: list[Found] = []
    for joint in sorted(joints, key=_rank):
        same = bool(kept) and (kept[-1].field, kept[-1].column) == (joint.field, joint.column)
        if not same or joint.last_document > kept[-1].last_document:
            kept.append(joint)
    return kept


def _rank(joint: Found) -> tuple[int, str, int, int, int, int]:
    """By field and column, and there the first ones before, the longer ones before the shorter."""
    where = joint.field, joint.column, joint.first_document, -joint.last_document
    return *where, -joint.n_equal, joint.field_begin
