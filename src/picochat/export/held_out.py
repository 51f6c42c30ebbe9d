"""What fewer bits cost: bits a byte on a fixed held-out text, before and after the weights were rounded."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.hashing import sha256_bytes
from picochat.data.corpus import CorpusReader
from picochat.inference.scoring import ValidationSet, score_validation
from picochat.model.transformer import Transformer
from picochat.tokenizer.tokenizer import Tokenizer

TEXT_BYTES = 64 * 1024
BATCH_ROWS = 4


@dataclass(frozen=True)
class HeldOutText:
    """The first held-out documents of the corpus; `sha256` is of their texts, joined by newlines."""

    documents: tuple[str, ...]
    sha256: str


@dataclass(frozen=True)
class RoundingCost:
    """`change` is rounded minus source, in bits a byte: above 0 is worse."""

    kind: str
    source_bpb: float
    rounded_bpb: float
    change: float
    bytes: int
    documents: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_held_out(store: RunStore) -> HeldOutText | None:
    """At most 64 KiB of whole documents, and one in any case; None where the run holds no text of its own."""
    if not store.has(layout.CORPUS) or not store.has(layout.CORPUS_DOCUMENTS):
        return None
    taken: list[str] = []
    total = 0
    for text in CorpusReader(store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS)).iter_texts("val"):
        total += len(text.encode())
        if taken and total > TEXT_BYTES:
            break
        taken.append(text)
    return HeldOutText(tuple(taken), sha256_bytes("\n".join(taken).encode())) if taken else None


def bits_per_byte(model: Transformer, tok: Tokenizer, text: HeldOutText) -> tuple[float, int]:
    """(bits a byte, bytes) over whole documents, each in windows of the model's context."""
    documents = [[tok.bos, *tok.encode(document), tok.eos] for document in text.documents]
    val = ValidationSet(documents, row_tokens=model.config.max_seq_len, pad=tok.pad, token_bytes=tok.token_bytes)
    found = score_validation(model, val, BATCH_ROWS)
    return found.bpb, found.bytes


def rounding_cost(
    kind: str, source: tuple[float, int], rounded: Transformer, tok: Tokenizer, text: HeldOutText
) -> RoundingCost:
    """Of one type; `source` is `bits_per_byte` of the weights before rounding."""
    bpb, _ = bits_per_byte(rounded, tok, text)
    return RoundingCost(kind, source[0], bpb, bpb - source[0], source[1], len(text.documents))
