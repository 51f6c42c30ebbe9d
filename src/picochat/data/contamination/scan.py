"""All matches of a block, and the short answer for a builder of corpora: which items does a text hold?"""

from __future__ import annotations

from collections.abc import Sequence

from picochat.data.contamination.block import Block
from picochat.data.contamination.index import ContaminationIndex
from picochat.data.contamination.long_fields import match_grams, match_small_grams
from picochat.data.contamination.matches import Match
from picochat.data.contamination.short_fields import match_short, with_answer


def scan_block(index: ContaminationIndex, block: Block) -> list[Match]:
    """The matches that begin in the core of a block: one for each document, field and column, and one over each joint.

    A question that stands beside one of its answers gives a second match, in the column `both`.
    """
    if not index.n_items:
        return []
    grams = list(match_grams(index, block))
    done = {(match.document, match.field, match.split) for match in grams}
    alone = [*grams, *match_small_grams(index, block, done), *match_short(index, block)]
    both = [with_answer(index, block, match) for match in alone if match.column == "question"]
    found = [*alone, *(match for match in both if match)]
    return sorted(found, key=_order)


def _order(match: Match) -> tuple[int, int, int, str, int]:
    return match.document, match.last_document, match.field, match.column, match.begin


def find_items(index: ContaminationIndex, texts: Sequence[str]) -> list[list[int]]:
    """For every text the numbers of the items that it holds, each text taken as a document by itself.

    Items are numbered through all sets (see `items.name_items`). Many short texts at once are quicker than one by one.
    """
    block = Block([text.encode(errors="replace") for text in texts], range(len(texts)))
    found: list[set[int]] = [set() for _ in texts]
    for match in scan_block(index, block):
        found[match.document].add(int(index.fields.item[match.field]))
    return [sorted(items) for items in found]
