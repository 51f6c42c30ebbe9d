"""Spelling: letters of a word, forward and backward, counts, first and last; mostly of made-up words in training."""

import random

from picochat.data.skills.pools import Deck, WordPools, build_pseudo_word, weighted_items
from picochat.data.skills.rows import SkillRow, Split
from picochat.data.skills.templates_spelling import SPELLINGS
from picochat.data.skills.wording import Surround, list_templates

KIND_WEIGHTS = {"spell": 2, "reverse": 3, "count": 3, "first": 1, "last": 1}
LONG_WORD = 7


class SpellingSkill:
    """Draws spelling rows of one side."""

    def __init__(self, split: Split, rng: random.Random, pools: WordPools, pseudo_frac: float) -> None:
        self._split: Split = split
        self._rng = rng
        self._pools = pools
        self._words = Deck(pools.of(split), rng)
        self._pseudo_frac = pseudo_frac if split == "train" else 0.0
        self._kinds = Deck(weighted_items(KIND_WEIGHTS) if split == "train" else list(KIND_WEIGHTS), rng)
        self._templates = {kind: Deck(list_templates("spelling", SPELLINGS, kind, split), rng) for kind in SPELLINGS}
        self._surround = Surround(split, rng)

    def draw(self) -> SkillRow:
        """One row; the answer is `w o r d`, a single letter, or a number."""
        template = self._templates[self._kinds.deal()].deal()
        word = self._word()
        letter = self._letter(word) if template.kind == "count" else ""
        prefix, suffix, _ = self._surround.deal()
        answer = spell_answer(template.kind, word, letter)
        hard = template.kind in ("reverse", "count") or len(word) >= LONG_WORD
        return SkillRow(
            split=self._split,
            category="spelling",
            kind=template.kind,
            template=template.id,
            core=template.core,
            prefix=prefix,
            suffix=suffix,
            user=prefix + template.core.format(w=word, x=letter) + suffix,
            assistant=answer,
            entities=(f"word:{word}",),
            level="hard" if hard else "easy",
            rule="exact",
            expected=(answer,),
        )

    def _word(self) -> str:
        if self._rng.random() < self._pseudo_frac:
            return build_pseudo_word(self._pools, self._rng)
        return self._words.deal()

    def _letter(self, word: str) -> str:
        """A letter to count: absent in one row of six, repeated if it can be in half of the others."""
        if self._rng.random() < 1 / 6:
            return self._rng.choice([letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in word])
        repeated = sorted({letter for letter in word if word.count(letter) > 1})
        return self._rng.choice(repeated if repeated and self._rng.random() < 0.5 else word)


def spell_answer(kind: str, word: str, letter: str = "") -> str:
    """The right answer of one kind of question about a word."""
    if kind == "count":
        return str(word.count(letter))
    return {"spell": " ".join(word), "reverse": " ".join(reversed(word)), "first": word[0], "last": word[-1]}[kind]
