"""The hold-out, proved from the written corpus: every text is hashed, compared and searched for again.

Nothing is taken from how the corpus was made. Looked for are texts that are not the recorded ones, texts that stand
twice or on both sides, and held-out texts with a near copy on the train side; a sample of all documents is held against
the whole corpus, which says how many near copies are left. The near search is exact: it misses no pair of what it
indexes, and says what it could not index.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.core.disk_arrays import open_array
from picochat.core.workers import map_in_order
from picochat.data.corpus import BLOCK_DOCUMENTS, CorpusReader
from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.exact import DIGEST, find_exact
from picochat.data.duplicates.forms import comparison_form
from picochat.data.duplicates.similar import SimilarIndex
from picochat.data.pack import Split
from picochat.data.split import TRAIN, VAL, document_key
from picochat.data.stream import document_fractions

RANGE_BYTES = 16_000_000
BATCH_BYTES = 2_000_000
MAX_SHINGLES = 12_000_000
"""Of the indexed documents: 16 bytes each, in every process."""
AUDITED_DOCUMENTS = 2000


@dataclass(frozen=True)
class HoldoutFacts:
    """What the files say. All counts are documents."""

    documents: int
    unknown_side: int
    digest_mismatch: int
    """Whose bytes are not those of their record."""
    misplaced: int
    """On the train side although their own text belongs to the held-out one."""
    exact_left: int
    """Whose comparison form stands earlier."""
    exact_leak: int
    """Whose comparison form stands on the other side too."""
    near_leak: int
    """Held-out ones with a near copy on the train side."""
    near_checked: int
    """Held-out ones that were searched for."""
    near_unchecked: int
    """Held-out ones for which there was no room in the index, or that are too short."""
    audited: int
    audit_near: int
    """Of the sample, those with a near copy anywhere in the corpus."""

    @property
    def leaks(self) -> int:
        """Faults that make a held-out number worthless."""
        return self.unknown_side + self.digest_mismatch + self.exact_leak + self.near_leak


class _Stretch(NamedTuple):
    first: int
    last: int


class _Found(NamedTuple):
    """What a stretch says: counts, the digests of its forms, and (document, indexed document) of its near copies."""

    digest_mismatch: int
    misplaced: int
    forms: bytes
    pairs: list[tuple[int, int]]


def examine_holdout(
    text: Path,
    records: Path,
    scratch: Path,
    *,
    duplicates: DuplicatesConfig,
    split: Split | None = None,
    audited: int = AUDITED_DOCUMENTS,
    processes: int = 1,
    progress: Callable[[float, float], None] = lambda done, total: None,
) -> HoldoutFacts:
    """Reads the whole corpus once. Without `split` nothing is said of misplaced documents.

    `scratch` takes 40 bytes a document. Raises `artifact.missing`, `corpus.layout`, `workers.lost`.
    """
    reader = CorpusReader(text, records)
    sample = choose_sample(reader, audited)
    held_out = _numbers(reader, VAL)
    # The held-out ones first and in order: validation reads the first ones, and the index may have no room for all.
    wanted = np.concatenate([held_out, np.setdiff1d(sample, held_out)])
    forms_of = ((number, comparison_form(reader.text(number))) for number in wanted.tolist())
    index = SimilarIndex.build(forms_of, duplicates, MAX_SHINGLES)
    forms = open_array(_made(scratch) / "forms.bin", DIGEST, (len(reader),), create=True)
    mismatches = misplaced = done = 0
    near: set[tuple[int, int]] = set()
    stretches = list(_iter_stretches(reader))
    results = map_in_order(
        partial(_build_examiner, text, records, index, split), stretches, processes=min(processes, len(stretches))
    )
    for stretch, found in zip(stretches, results, strict=True):
        mismatches, misplaced = mismatches + found.digest_mismatch, misplaced + found.misplaced
        forms[stretch.first : stretch.last] = np.frombuffer(found.forms, DIGEST)
        near.update(found.pairs)
        done = stretch.last
        progress(done, len(reader))
    twin = find_exact(forms, scratch)
    exact_left, exact_leak = _count_exact(reader, twin)
    checked = np.intersect1d(index.members, held_out)
    sides = reader.documents["split"]
    leaks = {member for document, member in near if sides[document] == TRAIN and sides[member] == VAL}
    audited_numbers = np.intersect1d(sample, index.members)
    twins = {member for _, member in near} & set(audited_numbers.tolist())
    return HoldoutFacts(
        documents=len(reader),
        unknown_side=_count_unknown(reader),
        digest_mismatch=mismatches,
        misplaced=misplaced,
        exact_left=exact_left,
        exact_leak=exact_leak,
        near_leak=len(leaks),
        near_checked=len(checked),
        near_unchecked=len(held_out) - len(checked),
        audited=len(audited_numbers),
        audit_near=len(twins),
    )


def choose_sample(reader: CorpusReader, count: int) -> NDArray[np.int64]:
    """About `count` documents, chosen by what they say; all of a small corpus."""
    share = count / len(reader) if len(reader) else 0.0
    chosen = [np.empty(0, np.int64)]
    for first in range(0, len(reader), BLOCK_DOCUMENTS):
        block = reader.documents[first : first + BLOCK_DOCUMENTS]
        chosen.append(first + np.flatnonzero(document_fractions(block) < share))
    return np.concatenate(chosen)


def _numbers(reader: CorpusReader, side: int) -> NDArray[np.int64]:
    blocks = range(0, len(reader), BLOCK_DOCUMENTS)
    found = [f + np.flatnonzero(reader.documents["split"][f : f + BLOCK_DOCUMENTS] == side) for f in blocks]
    return np.concatenate([np.empty(0, np.int64), *found])


def _count_unknown(reader: CorpusReader) -> int:
    blocks = range(0, len(reader), BLOCK_DOCUMENTS)
    return sum(int(np.count_nonzero(reader.documents["split"][f : f + BLOCK_DOCUMENTS] > VAL)) for f in blocks)


def _iter_stretches(reader: CorpusReader) -> Iterator[_Stretch]:
    """Stretches of documents with about as much text each."""
    offsets, first = reader.documents["offset"], 0
    while first < len(reader):
        # bisect asks for a few numbers; searchsorted would copy the whole column of the records.
        last = max(first + 1, bisect_left(offsets, int(offsets[first]) + RANGE_BYTES))
        yield _Stretch(first, last)
        first = last


def _build_examiner(
    text: Path, records: Path, index: SimilarIndex, split: Split | None
) -> Callable[[_Stretch], _Found]:
    reader = CorpusReader(text, records)
    return lambda stretch: _examine(reader, index, split, stretch)


def _examine(reader: CorpusReader, index: SimilarIndex, split: Split | None, stretch: _Stretch) -> _Found:
    mismatches = misplaced = 0
    digests: list[bytes] = []
    pairs: list[tuple[int, int]] = []
    for batch in _iter_batches(reader, stretch):
        forms = []
        for number in batch:
            record, data = reader.documents[number], reader.data(number)
            form = comparison_form(reader.text(number))
            mismatches += hashlib.sha256(data).digest() != record["sha256"].tobytes()
            if split is not None and int(record["split"]) == TRAIN:
                misplaced += document_key(split.salt, form) < split.val_fraction
            digests.append(hashlib.sha256(form.encode()).digest())
            forms.append(form)
        for match in index.find(forms):
            if batch[match.document] != match.member:
                pairs.append((batch[match.document], match.member))
    return _Found(mismatches, misplaced, b"".join(digests), pairs)


def _iter_batches(reader: CorpusReader, stretch: _Stretch) -> Iterator[list[int]]:
    batch: list[int] = []
    size = 0
    for number in range(*stretch):
        batch.append(number)
        size += int(reader.documents["length"][number])
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _count_exact(reader: CorpusReader, twin: NDArray[np.int64]) -> tuple[int, int]:
    """(documents whose form stands earlier, those of them that stand on another side than the earlier one)."""
    left = leak = 0
    for first in range(0, len(reader), BLOCK_DOCUMENTS):
        twins = twin[first : first + BLOCK_DOCUMENTS]
        later = np.flatnonzero(twins >= 0)
        left += len(later)
        sides = reader.documents["split"]
        leak += int(np.count_nonzero(sides[first + later] != sides[twins[later]]))
    return left, leak


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
