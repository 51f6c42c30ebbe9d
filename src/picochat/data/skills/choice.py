"""Multiple choice that the prompt itself answers; options are `- text=A` and the answer repeats `text=A`."""

import random

from picochat.data.skills.pools import SHORT_WORD, Deck, WordPools, split_of
from picochat.data.skills.rows import SkillRow, Split
from picochat.data.skills.templates_choice import CHOICES
from picochat.data.skills.wording import Surround, list_templates

LETTERS = "ABCDE"


class ChoiceSkill:
    """Draws choice rows of one side; at each number of options every letter is right equally often."""

    def __init__(self, split: Split, rng: random.Random, pools: WordPools, max_options: int) -> None:
        self._split: Split = split
        self._rng = rng
        self._words = Deck([word for word in pools.of(split) if len(word) <= SHORT_WORD], rng)
        self._numbers = {
            digits: [n for n in range(low, high) if split_of(f"number:{n}") == split]
            for digits, low, high in ((2, 10, 100), (3, 100, 1000))
        }
        self._kinds = Deck(list(CHOICES), rng)
        self._sizes = Deck(range(2, max_options + 1), rng)
        self._keys = {size: Deck(range(size), rng) for size in range(2, max_options + 1)}
        self._templates = {kind: Deck(list_templates("choice", CHOICES, kind, split), rng) for kind in CHOICES}
        self._surround = Surround(split, rng)

    def draw(self) -> SkillRow:
        """One row; `options` are the strings a model's likelihoods are compared on."""
        template = self._templates[self._kinds.deal()].deal()
        size = self._sizes.deal()
        texts = self._texts(template.kind, size)
        key = self._keys[size].deal()
        texts.insert(key, texts.pop(0))
        options = tuple(f"{text}={letter}" for text, letter in zip(texts, LETTERS, strict=False))
        prefix, suffix, _ = self._surround.deal()
        question = prefix + template.core.format(w=texts[key], x=texts[key][0]) + suffix
        entity = "number" if template.kind == "largest" else "word"
        return SkillRow(
            split=self._split,
            category="choice",
            kind=template.kind,
            template=template.id,
            core=template.core,
            prefix=prefix,
            suffix=suffix,
            user="\n".join([question, *(f"- {option}" for option in options)]),
            assistant=options[key],
            entities=tuple(f"{entity}:{text}" for text in texts),
            level=template.kind,
            rule="option",
            expected=(options[key],),
            options=options,
            answer=options[key],
        )

    def _texts(self, kind: str, size: int) -> list[str]:
        """Different option texts, the right one first."""
        if kind == "largest":
            return self._number_texts(size)
        texts = [self._words.deal()]
        while len(texts) < size:
            word = self._words.deal()
            if word not in texts and not (kind == "starts" and word[0] == texts[0][0]):
                texts.append(word)
        return texts

    def _number_texts(self, size: int) -> list[str]:
        """Two-digit numbers in a third of the rows, three-digit in a third, both in the others."""
        pool = self._rng.choice([self._numbers[2], self._numbers[3], None])
        chosen: set[int] = set()
        while len(chosen) < size:
            chosen.add(self._rng.choice(pool or self._numbers[self._rng.choice([2, 3])]))
        ranked = sorted(chosen, reverse=True)
        rest = ranked[1:]
        self._rng.shuffle(rest)
        return [str(ranked[0]), *map(str, rest)]
