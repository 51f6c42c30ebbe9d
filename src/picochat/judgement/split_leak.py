"""The hold-out, proved from the written files: every text is hashed again and the two sides are compared."""

from __future__ import annotations

import hashlib
from pathlib import Path

from picochat.data.corpus import CorpusReader
from picochat.data.duplicates import comparison_form
from picochat.data.split import TRAIN, VAL


def count_leaks(text_path: Path, records_path: Path) -> tuple[int, int]:
    """(faults, documents): texts on both sides in their comparison form, and documents that are not the recorded ones.

    Holds 32 bytes a document. Raises `artifact.missing` or `corpus.layout`.
    """
    reader = CorpusReader(text_path, records_path)
    sides: dict[int, set[bytes]] = {TRAIN: set(), VAL: set()}
    faults = 0
    for index, record in enumerate(reader.documents):
        side = int(record["split"])
        form = hashlib.sha256(comparison_form(reader.text(index)).encode()).digest()
        same = hashlib.sha256(reader.data(index)).digest() == record["sha256"].tobytes()
        faults += side not in sides or not same
        sides.setdefault(side, set()).add(form)
    return faults + len(sides[TRAIN] & sides[VAL]), len(reader)
