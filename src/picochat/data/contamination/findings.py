"""All that a scan collects: what was looked for, in which training texts, and what was found of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from picochat.data.contamination.compare import RowHit
from picochat.data.contamination.documents import DocumentTally
from picochat.data.contamination.items import Item, ItemSet
from picochat.data.contamination.jobs import Needles, Scanned
from picochat.data.contamination.tally import ItemTally

TextOf = Callable[[str, int], str]
"""The text of a document or row: (name of the training text, its number)."""
HELDOUT = "heldout"
"""The set whose rows are compared as rows, too."""
ROWS = "sft"
"""The training text whose rows they are compared with."""


@dataclass
class Findings:
    """Takes the pieces of one training text after the other. `sets` are those of the items of `needles`."""

    sets: Sequence[ItemSet]
    needles: Needles
    rows: list[RowHit] = field(default_factory=list)
    """What held-out rows share with training rows."""

    def __post_init__(self) -> None:
        self.items = ItemTally(self.needles.items)
        self.documents: dict[str, DocumentTally] = {}

    def take(self, against: Sequence[str], pieces: Iterable[Scanned]) -> None:
        """All pieces of the training texts named, one text after the other, each in its order."""
        for name in against:
            self.items.open(name)
            self.documents[name] = DocumentTally(self.needles.documents)
        current = ""
        for piece in pieces:
            if current and piece.against != current:
                self.items.close(current)
            current = piece.against
            self.items.add(current, piece)
            self.documents[current].add(piece.spans)
        if current:
            self.items.close(current)

    def bounds(self, number: int) -> tuple[int, int]:
        """(first, one after the last) item of a set, counted over all sets."""
        low, high = self.needles.items.fields.set_first[number : number + 2].tolist()
        return low, high

    def place_of_item(self, item: int) -> tuple[ItemSet, Item]:
        """The set of an item that is counted over all sets, and the item."""
        for number, item_set in enumerate(self.sets):
            low, high = self.bounds(number)
            if low <= item < high:
                return item_set, item_set.items[item - low]
        raise IndexError(item)

    def found_in(self, number: int, against: str) -> set[str]:
        """Ids of the items of a set that stand in a training text."""
        low, high = self.bounds(number)
        items, columns = self.sets[number].items, self.items.sides[against].columns[low:high]
        found = {items[place].id for place in np.flatnonzero(columns.any(axis=1)).tolist()}
        return found | ({items[hit.heldout].id for hit in self.row_hits(number)} if against == ROWS else set())

    def row_hits(self, number: int) -> list[RowHit]:
        """What the rows of a set share with training rows; only held-out rows are compared."""
        return self.rows if self.sets[number].name == HELDOUT else []
