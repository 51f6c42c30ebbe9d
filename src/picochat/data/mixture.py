"""How much of each source an epoch takes: a weight in copies, or a budget in tokens that a weight is derived from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from picochat.data.corpus import BLOCK_DOCUMENTS, CorpusReader
from picochat.data.split import TRAIN
from picochat.data.stream import document_fractions

SAMPLE_BYTES = 4_000_000
"""Text of a source on which bytes a token are measured."""
BOUNDARY_TOKENS = 2


class Share(NamedTuple):
    """What a pack asks for of a source: either copies of each document, or tokens an epoch."""

    source: str
    weight: float = 1.0
    token_budget: int | None = None
    planted: bool = False
    """Whether its documents are canaries, all copies of which stand in the first pass."""


def read_shares(manifest: Any) -> tuple[Share, ...]:
    """What the manifest of a corpus says of its sources, canaries last; an older one says nothing of weights."""
    try:
        found = [Share(each["id"], each.get("weight", 1.0), each.get("token_budget")) for each in manifest["sources"]]
        planted = (manifest.get("canaries") or {}).get("sources", [])
        return (*found, *(Share(each["id"], float(each["copies"]), planted=True) for each in planted))
    except (KeyError, TypeError, AttributeError):
        return ()


def name_shares(reader: CorpusReader, shares: Sequence[Share]) -> tuple[Share, ...]:
    """A share for every source number of the records; sources that nobody named have weight 1."""
    count = int(reader.documents["source"].max()) + 1 if len(reader) else 0
    return (*shares, *(Share(f"source-{number}") for number in range(len(shares), count)))


def resolve_weights(reader: CorpusReader, shares: Sequence[Share], count_tokens: Callable[[str], int]) -> list[float]:
    """Copies a source. A budget is divided by the source's tokens, which are estimated from a sample of its documents.

    The estimate follows from the documents alone; what is really written stands in the manifest.
    """
    weights = []
    for number, share in enumerate(shares):
        if share.token_budget is None:
            weights.append(share.weight)
        else:
            unique = estimate_tokens(reader, number, count_tokens)
            weights.append(share.token_budget / unique if unique else 0.0)
    return weights


def estimate_tokens(reader: CorpusReader, source: int, count_tokens: Callable[[str], int]) -> int:
    """Tokens of a source's train documents, boundary tokens included, from an even sample of about 4 MB of them."""
    documents = size = 0
    for first in range(0, len(reader.documents), BLOCK_DOCUMENTS):
        block = reader.documents[first : first + BLOCK_DOCUMENTS]
        mine = (block["source"] == source) & (block["split"] == TRAIN)
        documents, size = documents + int(mine.sum()), size + int(block["length"][mine].sum())
    if not documents:
        return 0
    share = min(1.0, SAMPLE_BYTES / max(1, size))
    sampled_bytes = sampled_tokens = 0
    for first in range(0, len(reader.documents), BLOCK_DOCUMENTS):
        block = reader.documents[first : first + BLOCK_DOCUMENTS]
        mine = (block["source"] == source) & (block["split"] == TRAIN) & (document_fractions(block) < share)
        for index in (first + np.flatnonzero(mine)).tolist():
            sampled_bytes += int(reader.documents["length"][index])
            sampled_tokens += count_tokens(reader.text(index))
    if not sampled_bytes:  # a handful of documents, none of which fell into the sample
        return size // 4 + BOUNDARY_TOKENS * documents
    return round(size * sampled_tokens / sampled_bytes) + BOUNDARY_TOKENS * documents
