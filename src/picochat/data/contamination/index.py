"""Everything that is looked for, ready for scanning: built once from the eval texts, handed to every worker.

A field is compared by one of three rules, by its length in words:

    long     13 and more: grams of 13, and half of its grams of 5 within twice its length
    whole    8 to 12: all its words in a row
    pair     under 8: a question in a row, with one of its answers within 50 words

A field with under 24 bytes of letters and digits is short whatever its words: "c a t s" is no sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from picochat.data.contamination.boilerplate import (
    LISTED,
    Boilerplate,
    Phrase,
    common_hashes,
    covered_words,
    least_items,
    list_phrases,
)
from picochat.data.contamination.config import ContaminationConfig
from picochat.data.contamination.fields import Fields, build_fields
from picochat.data.contamination.grams import GramTable, build_table
from picochat.data.contamination.hashing import GramHashes, hash_words
from picochat.data.contamination.items import ItemSet
from picochat.data.contamination.words import Places

NO_RULE, LONG, WHOLE, PAIR = range(4)


@dataclass(frozen=True)
class ContaminationIndex:
    """Tables of the grams of all fields. Arrays and bytes only, so that it travels to worker processes."""

    config: ContaminationConfig
    fields: Fields
    rules: NDArray[np.int8]
    """By field: long, whole, pair, or none when there is nothing to compare."""
    needed: NDArray[np.int64]
    """By field: different small grams that make a hit together; 0 where the small grams are not compared."""
    grams: GramTable
    small_grams: GramTable
    prefixes: GramTable
    """The first words of the fields of the rules whole and pair: where none begins, nothing else is looked up."""
    short: tuple[GramTable, ...]
    """Those fields as a whole, one table a length."""
    boilerplate: tuple[Boilerplate, ...]
    """By set."""

    @property
    def n_items(self) -> int:
        return len(self.fields.item_first) - 1

    @property
    def checkable(self) -> NDArray[np.bool_]:
        """By item: whether any of its fields can be compared."""
        found = np.zeros(self.n_items, np.bool_)
        found[self.fields.item[self.rules != NO_RULE]] = True
        return found

    @property
    def reach(self) -> int:
        """Words before and after a document that may belong to a hit which begins in it: a window, then an answer."""
        lengths = self.fields.words.lengths
        if not len(lengths):
            return 0
        longest = int(lengths.max())
        return int(self.config.window * longest) + max(self.config.pair_window_words, longest)


def build_index(sets: Sequence[ItemSet], config: ContaminationConfig) -> ContaminationIndex:
    """The index of all sets together; items are numbered through, in the order of the sets."""
    fields = build_fields(sets)
    return _Builder(fields, config).build()


class _Builder:
    """Arrays over all words of all fields: n is the number of words, F the number of fields."""

    def __init__(self, fields: Fields, config: ContaminationConfig) -> None:
        self.fields, self.config = fields, config
        self.lengths = fields.words.lengths
        self.grams = GramHashes(hash_words(fields.words.text).hashes)
        self.field_of = np.repeat(np.arange(len(self.lengths)), self.lengths)
        self.place_of = np.arange(len(self.field_of)) - fields.words.first[self.field_of]
        self.item_set = np.repeat(np.arange(len(fields.set_first) - 1), np.diff(fields.set_first))
        self.letters = np.concatenate(([0], np.cumsum(np.diff(fields.words.starts) - 1)))
        self.at_least = self._least_items()
        self.rules = self._rules_by_length()

    def build(self) -> ContaminationIndex:
        common, boilerplate = self._find_boilerplate()
        fresh = ~self._wording()
        grams = self._gram_table(fresh)
        small_grams, needed = self._small_table(common, fresh)
        has_grams = np.zeros(len(self.rules), np.bool_)
        has_grams[grams.fields] = True
        self.rules[(self.rules == LONG) & ~has_grams & (needed == 0)] = NO_RULE
        prefixes, short = self._short_tables()
        return ContaminationIndex(
            self.config, self.fields, self.rules, needed, grams, small_grams, prefixes, short, boilerplate
        )

    def _least_items(self) -> list[int]:
        """By set the number of different items that makes a gram boilerplate."""
        edges = self.fields.set_first.tolist()
        sizes = [int(self.fields.distinct[low:high].sum()) for low, high in pairwise(edges)]
        return [least_items(size, self.config) for size in sizes]

    def _rules_by_length(self) -> NDArray[np.int8]:
        config, lengths, fields = self.config, self.lengths, self.fields
        rules = np.zeros(len(lengths), np.int8)
        rules[lengths >= config.whole_words] = WHOLE
        rules[lengths >= config.gram_words] = LONG
        first = fields.words.first
        rules[self.letters[first[1:]] - self.letters[first[:-1]] < config.gram_bytes] = NO_RULE
        questions = fields.item_first[:-1]
        for item, question in enumerate(questions.tolist()):
            words = int(lengths[question])
            if rules[question] == NO_RULE and words >= config.pair_question_words:
                answers = [int(lengths[answer]) for answer in fields.answers(item)]
                if answers and words + max(answers) >= config.pair_words:
                    rules[question] = PAIR
        return rules

    def _starts(self, n: int, letters: int = 0) -> Places:
        """The words at which a gram of n words of one field begins that has so many letters and digits, in bytes."""
        starts = np.flatnonzero(self.place_of + n <= self.lengths[self.field_of])
        return starts[self.letters[starts + n] - self.letters[starts] >= letters]

    def _find_boilerplate(self) -> tuple[NDArray[np.bool_], tuple[Boilerplate, ...]]:
        """Where common small grams begin. Fields that are boilerplate as a whole lose their rule."""
        n = self.config.small_gram_words
        common, counts = self._common(n)
        covered = covered_words(common, n)
        sets = range(len(self.at_least))
        wholes = [self._drop_common_wholes(number) for number in sets]
        return common, tuple(self._described(number, counts[number], wholes[number], covered) for number in sets)

    def _wording(self) -> NDArray[np.bool_]:
        """By word: whether it lies in a short stretch that many items have, as the words between two slots do."""
        n = self.config.wording_words
        return covered_words(self._common(n)[0], n)

    def _common(self, n: int) -> tuple[NDArray[np.bool_], list[int]]:
        """By word, whether a gram of n words begins there that is common in its set; and how many there are, by set."""
        starts, fields = self._starts(n), self.fields
        hashes, items = self.grams.at(starts, n), fields.item[self.field_of[starts]]
        common, counts = np.zeros(len(self.field_of), np.bool_), []
        for number, at_least in enumerate(self.at_least):
            mine = self.item_set[items] == number
            counted = mine & fields.distinct[items]
            shared = common_hashes(hashes[counted], items[counted], at_least)
            common[starts[mine & np.isin(hashes, shared)]] = True
            counts.append(len(shared))
        return common, counts

    def _drop_common_wholes(self, number: int) -> list[Phrase]:
        """Takes the rule from fields of a set that are compared as a whole and stand in many of its items."""
        fields = self.fields
        short = np.flatnonzero((self.rules == WHOLE) | (self.rules == PAIR))
        short = short[self.item_set[fields.item[short]] == number]
        hashes = self._whole_hashes(short)
        counted = fields.distinct[fields.item[short]]
        common = common_hashes(hashes[counted], fields.item[short][counted], self.at_least[number])
        dropped = short[np.isin(hashes, common)]
        self.rules[dropped] = NO_RULE
        texts: dict[bytes, set[int]] = {}
        for field in dropped.tolist():
            if fields.distinct[fields.item[field]]:
                texts.setdefault(b" ".join(fields.words.words(field)), set()).add(int(fields.item[field]))
        return [Phrase(text.decode(), len(items)) for text, items in texts.items()]

    def _described(self, number: int, grams: int, wholes: list[Phrase], covered: NDArray[np.bool_]) -> Boilerplate:
        """The commonest stretches of common grams, and the phrases that are common as a whole."""
        fields = self.fields
        low, high = fields.item_first[fields.set_first[number : number + 2]]
        mine = np.arange(low, high)
        stretches = list_phrases(fields, mine[fields.distinct[fields.item[mine]]], covered)
        phrases = {phrase.text: phrase for phrase in [*stretches, *wholes]}
        ranked = sorted(phrases.values(), key=lambda phrase: (-phrase.items, phrase.text))
        return Boilerplate(grams, self.at_least[number], ranked[:LISTED])

    def _gram_table(self, fresh: NDArray[np.bool_]) -> GramTable:
        n = self.config.gram_words
        sums = np.concatenate(([0], np.cumsum(fresh)))
        starts = self._starts(n, self.config.gram_bytes)
        starts = starts[sums[starts + n] - sums[starts] >= self.config.fresh_words]
        return self._table(n, starts)

    def _small_table(self, common: NDArray[np.bool_], fresh: NDArray[np.bool_]) -> tuple[GramTable, Places]:
        """The small grams that prove something, and by field how many of them make a hit."""
        n = self.config.small_gram_words
        starts = self._starts(n, self.config.small_gram_bytes)
        starts = starts[self.rules[self.field_of[starts]] == LONG]
        every = np.bincount(self._table(n, starts).fields, minlength=len(self.lengths))
        starts = starts[~common[starts]]
        different = np.bincount(self._table(n, starts).fields, minlength=len(self.lengths))
        templated = 2 * np.bincount(self.field_of[fresh], minlength=len(self.lengths)) < self.lengths
        needed = self._needed(different, every, templated)
        return self._table(n, starts[needed[self.field_of[starts]] > 0]), needed

    def _needed(self, different: Places, every: Places, templated: NDArray[np.bool_]) -> Places:
        """Half of what is no boilerplate; in a field that is mostly wording of its set, more.

        There one word of other content makes several grams, and the next item of the same wording shares some of them:
        half of all grams are asked for, or all but those that one edited word spoils, and more than two words give.
        """
        config, n = self.config, self.config.small_gram_words
        needed = np.ceil(different * config.small_gram_frac)
        strict = np.minimum(different - n, np.ceil(every * config.small_gram_frac))
        strict = np.maximum(strict, np.minimum(different, 2 * n + 1))
        needed = np.where(templated, np.maximum(needed, strict), needed)
        needed = np.maximum(needed, config.small_grams).astype(np.int64)
        needed[different < config.small_grams] = 0
        return needed

    def _table(self, n: int, starts: Places) -> GramTable:
        return build_table(n, self.grams.at(starts, n), self.field_of[starts], self.place_of[starts])

    def _whole_hashes(self, numbers: Places) -> NDArray[np.uint64]:
        hashes = np.empty(len(numbers), np.uint64)
        for n in np.unique(self.lengths[numbers]).tolist():
            mine = self.lengths[numbers] == n
            hashes[mine] = self.grams.at(self.fields.words.first[numbers[mine]], n)
        return hashes

    def _short_tables(self) -> tuple[GramTable, tuple[GramTable, ...]]:
        numbers = np.flatnonzero((self.rules == WHOLE) | (self.rules == PAIR))
        hashes, lengths = self._whole_hashes(numbers), self.lengths[numbers]
        tables = []
        for n in np.unique(lengths).tolist():
            mine = lengths == n
            tables.append(build_table(n, hashes[mine], numbers[mine], np.zeros(int(mine.sum()), np.int64)))
        prefix = self.config.pair_question_words
        starts = self.grams.at(self.fields.words.first[numbers], prefix)
        return build_table(prefix, starts, numbers, np.zeros(len(numbers), np.int64)), tuple(tables)
