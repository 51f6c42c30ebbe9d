"""Pools that are divided by hash before anything is generated, and the decks that deal from them."""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from picochat.core.errors import refuse
from picochat.data.skills.rows import Split

Item = TypeVar("Item")

WORD = re.compile(r"(?<![\w'-])[a-z]{3,9}(?![\w'-])")
SHORT_WORD = 7
MIN_SHORT_WORDS: dict[Split, int] = {"train": 100, "heldout": 20, "eval": 20}
MIN_FIRST_LETTERS = 6
SPLITS: tuple[Split, ...] = ("train", "heldout", "eval")


def split_of(entity: str) -> Split:
    """The side an entity is on, for ever: 80 % train, 10 % held-out, 10 % eval, by its sha256."""
    bucket = int.from_bytes(hashlib.sha256(entity.encode()).digest()[:4], "big") % 10
    return "eval" if bucket == 9 else "heldout" if bucket == 8 else "train"


@dataclass(frozen=True, slots=True)
class WordPools:
    """Real words of the documents by side, and every word that no made-up word may hit."""

    train: tuple[str, ...]
    heldout: tuple[str, ...]
    eval: tuple[str, ...]
    taken: frozenset[str]

    def of(self, split: Split) -> tuple[str, ...]:
        """The real words of one side."""
        return {"train": self.train, "heldout": self.heldout, "eval": self.eval}[split]


def build_word_pools(documents: Iterable[str], reserved: frozenset[str]) -> WordPools:
    """Lower-case words of 3 to 9 letters seen at least twice, less `reserved`, divided by hash.

    `reserved` are the words of templates, answers and entity lists: they stand in SFT rows as ordinary text,
    so they can be nobody's held-out word. Refuses with `skills.words` when a side would be too small.
    """
    seen: Counter[str] = Counter()
    for document in documents:
        seen.update(WORD.findall(document))
    words = sorted(word for word, count in seen.items() if count >= 2 and word not in reserved)
    sides: dict[Split, list[str]] = {"train": [], "heldout": [], "eval": []}
    for word in words:
        sides[split_of(f"word:{word}")].append(word)
    for side, minimum in MIN_SHORT_WORDS.items():
        short = [word for word in sides[side] if len(word) <= SHORT_WORD]
        letters = {word[0] for word in short}
        if len(short) < minimum or len(letters) < MIN_FIRST_LETTERS:
            refuse(
                "skills.words",
                f"the documents give {len(short)} {side} words of 3 to {SHORT_WORD} letters with {len(letters)} first"
                f" letters, {minimum} with {MIN_FIRST_LETTERS} are needed",
            )
    taken = reserved.union(sides["heldout"], sides["eval"])
    return WordPools(tuple(sides["train"]), tuple(sides["heldout"]), tuple(sides["eval"]), taken)


def build_pseudo_word(pools: WordPools, rng: random.Random) -> str:
    """The head of one train word and the tail of another, 3 to 9 letters, never a held-out, eval or reserved word."""
    while True:
        first, second = rng.choice(pools.train), rng.choice(pools.train)
        word = first[: rng.randint(1, len(first) - 1)] + second[rng.randint(1, len(second) - 1) :]
        if 3 <= len(word) <= 9 and word not in pools.taken:
            return word


class Deck(Generic[Item]):
    """Deals every item equally often: shuffled, dealt out, shuffled again."""

    def __init__(self, items: Sequence[Item], rng: random.Random) -> None:
        self._items = tuple(items)
        self._rng = rng
        self._left: list[Item] = []

    def deal(self) -> Item:
        """The next item."""
        if not self._left:
            self._left = list(self._items)
            self._rng.shuffle(self._left)
        return self._left.pop()


def weighted_items(weights: dict[str, int]) -> list[str]:
    """Each key as often as its weight says, for a deck."""
    return [key for key, weight in weights.items() for _ in range(weight)]
