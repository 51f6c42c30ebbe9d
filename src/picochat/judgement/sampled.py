"""Faults of the samples that a training writes: a text that repeats its prompt, itself, or a training document.

The same arithmetic as for eval rows and for memorisation, so that a mark beside a sample means what it means there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from picochat.data.corpus import CorpusReader
from picochat.data.memorisation.copied import Copy, CopySearcher, index_samples, iter_pieces, merge_copies
from picochat.evals.echo import is_echo, repetition_frac

MAX_CORPUS_BYTES = 64 * 1024 * 1024
"""A larger corpus is not searched while somebody waits for a page."""


class Faults(NamedTuple):
    """Of one sample."""

    echo: bool
    repetition_frac: float
    """Share of its 4-grams of words that stood in it before."""
    copied_words: int | None
    """Words of the longest stretch that a training document has too: 0 for less than four, None where nobody looked."""
    document: int | None


def find_faults(samples: Sequence[tuple[str, str]], corpus: tuple[Path, Path] | None) -> list[Faults]:
    """For each (prompt, text). `corpus` is text and records; None where they cannot or shall not be read.

    Raises `corpus.*` or `artifact.*` for a corpus that is broken.
    """
    texts = [text for _, text in samples]
    copies = {} if corpus is None or not texts else _search(texts, *corpus)
    faults = []
    for place, (prompt, text) in enumerate(samples):
        found = copies.get(place)
        words = None if corpus is None else found.words if found else 0
        faults.append(Faults(is_echo([prompt], text), repetition_frac(text), words, found.document if found else None))
    return faults


def _search(texts: Sequence[str], text: Path, records: Path) -> dict[int, Copy]:
    searcher = CopySearcher(index_samples(texts), text, records)
    return merge_copies(searcher(piece) for piece in iter_pieces(CorpusReader(text, records)))
