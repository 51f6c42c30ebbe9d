"""Proof from the written tokens: every document decoded, found in the corpus, and on the side where it belongs.

Nothing is taken from how the shards were made: the tokens are turned into bytes again, and their digest is that of the
document that they claim to be.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.data.corpus import CorpusReader
from picochat.data.shards.layout import ShardFile, ShardRecord
from picochat.data.shards.manifest import ShardsBody
from picochat.data.split import SIDES
from picochat.tokenizer.tokenizer import Tokenizer


class ShardFaults(NamedTuple):
    """What the tokens of one shard say against it, in pieces."""

    pieces: int = 0
    unknown: int = 0
    """Of documents that the corpus does not have."""
    wrong_side: int = 0
    wrong_text: int = 0
    """Whose bytes are not those of their document."""

    @property
    def total(self) -> int:
        return self.unknown + self.wrong_side + self.wrong_text


class CheckJob(NamedTuple):
    """One shard to check, and where everything that it is compared with lies."""

    folder: Path
    body: ShardsBody
    record: ShardRecord


def build_shard_checker(corpus: Path, documents: Path, tokenizer: Path) -> Callable[[CheckJob], ShardFaults]:
    """Opens corpus and tokenizer once, for as many shards as a process is handed."""
    reader, tok = CorpusReader(corpus, documents), Tokenizer.load(tokenizer)

    def check(job: CheckJob) -> ShardFaults:
        shard = ShardFile(job.folder / job.record.name, job.record, job.body.dtype, job.body.pad_id)
        return check_shard(shard, reader, tok)

    return check


def check_shard(shard: ShardFile, reader: CorpusReader, tok: Tokenizer) -> ShardFaults:
    """Decodes every piece of a shard. Holds the pieces of documents that lie in several of them."""
    unknown = wrong_side = wrong_text = 0
    for document, data, is_whole in iter_documents(shard, tok, len(reader)):
        if document is None:
            unknown += 1
            continue
        record = reader.documents[document]
        wrong_side += int(record["split"]) != SIDES[shard.record.side]
        if is_whole:
            wrong_text += hashlib.sha256(data).digest() != record["sha256"].tobytes()
        else:
            wrong_text += not reader.data(document).startswith(data)
    return ShardFaults(len(shard.starts), unknown, wrong_side, wrong_text)


def iter_documents(shard: ShardFile, tok: Tokenizer, n_documents: int) -> Iterator[tuple[int | None, bytes, bool]]:
    """(document, its bytes, whether its end stands there too) of a shard; None for a number the corpus does not have.

    A document without an end was cropped: then its bytes are the beginning of its text.
    """
    unmarked = shard.record.bos == 0  # without boundary tokens every piece is a whole document
    parted: dict[int, list[tuple[int, NDArray[np.integer]]]] = defaultdict(list)
    for piece in range(len(shard.starts)):
        number, offset, tokens = int(shard.documents[piece]), int(shard.offsets[piece]), shard.piece_tokens(piece)
        ends = len(tokens) > 0 and tokens[-1] == tok.eos
        if not 0 <= number < n_documents:
            yield None, b"", False
        elif offset == 0 and (ends or unmarked or shard.record.cropped_tokens):
            yield number, tok.text_bytes(tokens), bool(ends) or unmarked
        else:
            parted[number].append((offset, np.array(tokens)))
    for number, pieces in parted.items():
        yield number, tok.text_bytes(_join(pieces)), True


def _join(pieces: list[tuple[int, NDArray[np.integer]]]) -> NDArray[np.integer]:
    """Pieces of one document by offset; where they overlap, the later one is cut. A gap leaves the text wrong."""
    pieces.sort(key=lambda piece: piece[0])
    end, parts = 0, []
    for offset, tokens in pieces:
        parts.append(tokens[max(0, end - offset) :])
        end = max(end, offset + len(tokens))
    return np.concatenate(parts)


def count_documents(shards: list[ShardFile], n_documents: int) -> NDArray[np.int64]:
    """How often each document of the corpus begins in these shards: int64 (n_documents,)."""
    counts = np.zeros(n_documents, np.int64)
    for shard in shards:
        begun = np.array(shard.documents)[np.array(shard.offsets) == 0]
        counts += np.bincount(begun[(begun >= 0) & (begun < n_documents)], minlength=n_documents)
    return counts
