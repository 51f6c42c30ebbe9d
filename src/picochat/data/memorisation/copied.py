"""The longest stretch of words that a sample has in common with a text: seeds of a few words, and runs of them.

    samples -> SampleIndex (grams of `SEED_WORDS` words)    documents -> find_copies -> longest match a sample

Every gram of the text that stands in a sample is a pair of places; pairs that follow one another on one diagonal make a
run, and a run of r seeds is a match of r + SEED_WORDS - 1 words. So one pass over the text gives the exact answer for
every match of SEED_WORDS words or more, in memory that depends on the samples and on one piece of text. Words are those
of the comparison text: case, punctuation and markup are put aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.data.contamination.block import Block
from picochat.data.contamination.grams import GramTable, build_table
from picochat.data.contamination.words import words_of
from picochat.data.corpus import CorpusReader
from picochat.data.split import TRAIN

SEED_WORDS = 4
PIECE_BYTES = 1 << 20


class Copy(NamedTuple):
    """The longest match of one sample: its words, where it begins in the sample, and the document that holds it."""

    words: int
    begin: int
    document: int


@dataclass(frozen=True)
class SampleIndex:
    """All samples as one sequence of words. It travels to worker processes."""

    table: GramTable
    """Its fields are places in that sequence."""
    sample: NDArray[np.int64]
    """The sample of every word of the sequence."""
    first: NDArray[np.int64]
    """The place of the first word of every sample."""


def index_samples(samples: Sequence[str]) -> SampleIndex:
    """Grams that stand within one sample, at every place where they do."""
    block = Block([sample.encode(errors="replace") for sample in samples], range(len(samples)))
    owner = np.repeat(np.arange(len(samples)), np.diff(block.first_word))
    places = np.arange(max(0, block.n_words - SEED_WORDS + 1))
    places = places[owner[places] == owner[places + SEED_WORDS - 1]]
    hashes = block.grams.at(places, SEED_WORDS)
    return SampleIndex(build_table(SEED_WORDS, hashes, places, np.zeros_like(places)), owner, block.first_word[:-1])


def find_copies(index: SampleIndex, documents: Sequence[bytes], numbers: Sequence[int]) -> dict[int, Copy]:
    """The longest match of each sample with these documents, by sample; of equal ones the first in the text."""
    block = Block(documents, numbers)
    at, grams = index.table.find(block.grams)
    owner = block.documents_of(at)
    within = at + SEED_WORDS <= block.first_word[owner + 1]
    at, grams, owner = at[within], grams[within], owner[within]
    which, postings = index.table.postings(grams)
    text, word = at[which], index.table.fields[postings].astype(np.int64)
    order = np.lexsort((text, word - text))
    text, word, owner = text[order], word[order], owner[which][order]
    if not len(text):
        return {}
    # A seed never crosses the edge of a document or a sample, so neither does a run of neighbours on a diagonal.
    starts = np.flatnonzero(np.append(True, (np.diff(text) != 1) | (np.diff(word) != 1)))
    lengths = np.diff(np.append(starts, len(text))) + SEED_WORDS - 1
    found: dict[int, Copy] = {}
    for run in np.lexsort((text[starts], -lengths)).tolist():
        begin = int(word[starts[run]])
        sample = int(index.sample[begin])
        if sample not in found:
            place = begin - int(index.first[sample])
            found[sample] = Copy(int(lengths[run]), place, numbers[int(owner[starts[run]])])
    return found


def merge_copies(parts: Iterable[dict[int, Copy]]) -> dict[int, Copy]:
    """The longest over all pieces, the earliest piece first among equals."""
    best: dict[int, Copy] = {}
    for part in parts:
        for sample, copy in part.items():
            if sample not in best or copy.words > best[sample].words:
                best[sample] = copy
    return best


def iter_pieces(reader: CorpusReader, piece_bytes: int = PIECE_BYTES) -> Iterator[tuple[int, int]]:
    """(first, one after the last) document of pieces with about as much text each."""
    first = size = 0
    for number in range(len(reader)):
        size += int(reader.documents["length"][number])
        if size >= piece_bytes or number + 1 == len(reader):
            yield first, number + 1
            first, size = number + 1, 0


class CopySearcher:
    """Searches pieces of a corpus, train side only: what a worker process calls."""

    def __init__(self, index: SampleIndex, text: Path, records: Path) -> None:
        self._index, self._reader = index, CorpusReader(text, records)

    def __call__(self, piece: tuple[int, int]) -> dict[int, Copy]:
        first, last = piece
        sides = self._reader.documents["split"][first:last]
        numbers = (first + np.flatnonzero(sides == TRAIN)).tolist()
        return find_copies(self._index, [self._reader.data(number) for number in numbers], numbers) if numbers else {}


def holds_copy(sample: str, copy: Copy, text: str) -> bool:
    """Whether the words that a copy claims stand in the sample where it says, and somewhere in the text."""
    words = words_of(sample)[copy.begin : copy.begin + copy.words]
    wanted = b" " + b" ".join(words) + b" "
    return len(words) == copy.words and wanted in b" " + b" ".join(words_of(text)) + b" "
