"""A corpus of made documents with its records, and a tokenizer for it: what streams and shards are tested on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from picochat.artifacts import layout
from picochat.data.corpus import CorpusReader, Document, corpus_writer
from picochat.data.split import TRAIN, VAL
from picochat.tokenizer.bpe import train_bpe
from picochat.tokenizer.config import TokenizerConfig
from picochat.tokenizer.tokenizer import Tokenizer

WORDS = ("stone", "river", "lamp", "Größe", "naïve", "漢字", "🙂", "harbour", "quiet", "seven", "x" * 40)


class MadeCorpus(NamedTuple):
    """Where it lies, opened."""

    text: Path
    records: Path
    tokenizer: Path
    reader: CorpusReader
    tok: Tokenizer


def made_texts(count: int, seed: int = 1) -> list[str]:
    """Documents of one word to some hundred; a few hold what looks like a control token."""
    rng = random.Random(seed)
    texts = []
    for number in range(count):
        words = rng.choices(WORDS, k=rng.choice((1, 3, 12, 40, 150)))
        texts.append(f"{number} " + " ".join(words) + ("<|bos|>" if number % 7 == 3 else ""))
    return texts


@lru_cache(maxsize=1)
def made_tokenizer() -> bytes:
    return train_bpe(made_texts(120), TokenizerConfig(vocab_size=300))


def make_corpus(
    folder: Path, texts: Sequence[str], sides: Sequence[int] | None = None, sources: Sequence[int] | None = None
) -> MadeCorpus:
    """Writes the texts; without `sides` every ninth document is held out."""
    folder.mkdir(parents=True, exist_ok=True)
    text, records, tokenizer = (folder / name for name in (layout.CORPUS, layout.CORPUS_DOCUMENTS, layout.TOKENIZER))
    with corpus_writer(text, records) as writer:
        for number, content in enumerate(texts):
            side = sides[number] if sides else VAL if number % 9 == 4 else TRAIN
            writer.add(Document(content, sources[number] if sources else 0, side, number))
    tokenizer.write_bytes(made_tokenizer())
    return MadeCorpus(text, records, tokenizer, CorpusReader(text, records), Tokenizer(made_tokenizer()))
