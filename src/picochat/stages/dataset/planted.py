"""The pack's canaries in the corpus: behind all documents, in no count of them, and on a list of their own.

They are written after cleaning, de-duplication, the choice of sides and the search for contamination, so none of these
sees them; the corpus is read back with them, and the proofs of the hold-out hold for them too.
"""

from __future__ import annotations

from typing import Any

from picochat.data.corpus import FLAG_CANARY, CorpusWriter, Document
from picochat.data.duplicates.forms import cluster_of, comparison_form
from picochat.data.memorisation.canaries import make_canaries
from picochat.data.memorisation.config import Canaries, source_id
from picochat.data.pack import Pack, Split
from picochat.data.split import TRAIN

Rows = list[dict[str, Any]]
LARGE_SHARE = 0.05


def plant(corpus: CorpusWriter, pack: Pack, split: Split) -> Rows:
    """Writes each canary once and gives the lines of the list; their sources are numbered after the pack's own."""
    if pack.canaries is None:
        return []
    rows = []
    numbers = {copies: len(pack.sources) + place for place, copies in enumerate(sorted(pack.canaries.copies))}
    for canary in make_canaries(pack.canaries, split.salt, split.val_fraction):
        cluster = cluster_of(comparison_form(canary.text))
        rows.append(canary.to_row(corpus.n_documents))
        corpus.add(Document(canary.text, numbers[canary.copies], TRAIN, cluster, FLAG_CANARY))
    return rows


def describe_planted(wish: Canaries | None, rows: Rows) -> dict[str, Any] | None:
    """The `canaries` part of the corpus manifest; None without any."""
    if wish is None:
        return None
    return {
        **wish.as_dict(),
        "documents": len(rows),
        "copies_written": sum(row["copies"] for row in rows),
        "bytes_written": sum(row["copies"] * len(row["text"].encode()) for row in rows),
        "sources": [{"id": source_id(copies), "copies": copies} for copies in sorted(wish.copies)],
    }


def warn_of_planted(described: dict[str, Any] | None, train_bytes: int) -> list[str]:
    """A warning when an epoch is canaries to more than a twentieth."""
    if described is None or described["bytes_written"] <= LARGE_SHARE * train_bytes:
        return []
    written = described["bytes_written"]
    return [f"canaries: {written:,} bytes of an epoch, {written / max(1, train_bytes):.0%} of the train side"]
