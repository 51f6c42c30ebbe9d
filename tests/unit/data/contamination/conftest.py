"""Ways to ask for matches in a few texts."""

from collections.abc import Sequence

import pytest

from picochat.data.contamination.block import Block
from picochat.data.contamination.config import ContaminationConfig
from picochat.data.contamination.index import ContaminationIndex, build_index
from picochat.data.contamination.items import Item, ItemSet
from picochat.data.contamination.matches import Match
from picochat.data.contamination.scan import scan_block


class Finder:
    """The matches of items in texts."""

    def index(self, *items: Item) -> ContaminationIndex:
        return build_index([ItemSet("x", "eval", items)], ContaminationConfig())

    def matches(self, items: Sequence[Item], texts: Sequence[str], *, joined: bool = False) -> list[Match]:
        block = Block([text.encode() for text in texts], range(len(texts)), joined=joined)
        return scan_block(self.index(*items), block)

    def rules(self, item: Item, *texts: str, joined: bool = False) -> list[tuple[str, str]]:
        """(column, rule) of every match of one item."""
        return [(match.column, match.rule) for match in self.matches([item], texts, joined=joined)]


@pytest.fixture(scope="session")
def find() -> Finder:
    return Finder()
