"""Canaries: made-up facts that stand nowhere else, planted a known number of times (Carlini et al. 2019,
arXiv:1802.08232).

**Each canary is one document of the corpus, and its copies are a weight.** Nine digits behind a made-up name, under 13
words, so the search for near copies passes over it; its own key puts it on the train side, so the rule of the hold-out
holds for it as for any text. So no proof needs an exception: every text stands once, every document is on the side of
its key, and shards are counted against the copies that the weights ask for. Written as documents, copies would be
duplicates, and whatever forgives those would forgive others. What reads the stream of an epoch (`data.stream`) spreads
the copies over the first pass, so that two copies of a fact rarely share a row.

Everything follows from the salt, the held-out fraction and the wish of the pack, so whoever has them can make the list
again; nobody can choose digits that suit him.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from picochat.data.duplicates.forms import comparison_form
from picochat.data.memorisation.config import Canaries, source_id
from picochat.data.split import TRAIN, document_key, split_of

DIGITS = 9
_FIRST = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "tr")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "io")
_LAST = ("n", "r", "l", "s", "m", "k", "th", "x")


class Canary(NamedTuple):
    """A fact: what stands before the digits, the digits, and how often the document stands in an epoch."""

    prefix: str
    secret: str
    copies: int

    @property
    def text(self) -> str:
        return f"{self.prefix}{self.secret}."

    def with_secret(self, secret: str) -> str:
        """The same words with other digits."""
        return f"{self.prefix}{secret}."

    def to_row(self, document: int) -> dict[str, Any]:
        """A line of the list of canaries; `document` is its number in the corpus."""
        words = {"document": document, "text": self.text, "prefix": self.prefix, "secret": self.secret}
        return words | {"copies": self.copies, "source": source_id(self.copies)}


def make_canaries(wish: Canaries, salt: str, val_fraction: float) -> list[Canary]:
    """All canaries, by number of copies. No two share a name, and every one belongs to the train side by its key."""
    made, names = [], set()
    facts = _iter_facts(salt)
    for copies in sorted(wish.copies):
        wanted = len(made) + wish.each
        while len(made) < wanted:
            name, secret = next(facts)
            canary = Canary(f"Registry entry: the number of {name} is ", secret, copies)
            key = document_key(salt, comparison_form(canary.text))
            if name not in names and split_of(key, val_fraction) == TRAIN:
                names.add(name)
                made.append(canary)
    return made


def reference_texts(canary: Canary, salt: str, count: int) -> list[str]:
    """The words of a canary with `count` other random digits, all different."""
    found: dict[str, None] = {}
    number = 0
    while len(found) < count:
        secret = _digits(f"{salt}|reference|{canary.prefix}|{number}")
        if secret != canary.secret:
            found[secret] = None
        number += 1
    return [canary.with_secret(secret) for secret in found]


def _iter_facts(salt: str) -> Iterator[tuple[str, str]]:
    """Names and digits without end, the same for the same salt."""
    number = 0
    while True:
        seed = f"{salt}|canary|{number}"
        yield f"{_name(seed, 'first')} {_name(seed, 'last')}", _digits(seed)
        number += 1


def _name(seed: str, part: str) -> str:
    """A made-up name of two syllables."""
    draws = iter(hashlib.sha256(f"{seed}|{part}".encode()).digest())
    syllables = [_pick(_FIRST, draws) + _pick(_VOWELS, draws) + _pick(_LAST, draws) for _ in range(2)]
    return "".join(syllables).capitalize()


def _pick(parts: tuple[str, ...], draws: Iterator[int]) -> str:
    return parts[next(draws) % len(parts)]


def _digits(seed: str) -> str:
    number = int.from_bytes(hashlib.sha256(f"{seed}|digits".encode()).digest()[:16], "big")
    return f"{number % 10**DIGITS:0{DIGITS}d}"
