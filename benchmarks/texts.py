"""Text for benchmarks: the documentation inside Python, real speeches where they are given, and as much as is wanted.

Documents are repeated with a part of their words replaced, which makes them other documents of the same kind.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from picochat.data.builtin import BUILTIN_PATHS, iter_builtin

PASSAGE_WORDS = 400


def read_passages(real_data: Path | None) -> list[str]:
    """Passages of about 400 words with their line breaks: of speeches and of the documentation inside Python."""
    texts = [text for path in BUILTIN_PATHS for _, text in iter_builtin(path)]
    if real_data is not None:
        texts += [path.read_text(encoding="utf-8") for path in sorted((real_data / "sotu").glob("*.txt"))]
    return [passage for text in texts for passage in cut(text)]


def cut(text: str) -> Iterator[str]:
    """Pieces of a text at line ends, each of about PASSAGE_WORDS words; short texts stay whole."""
    lines: list[str] = []
    words = 0
    for line in text.splitlines(keepends=True):
        lines.append(line)
        words += len(line.split())
        if words >= PASSAGE_WORDS:
            yield "".join(lines)
            lines, words = [], 0
    if words >= 20:
        yield "".join(lines)


def iter_texts(passages: list[str], wanted_bytes: int, seed: int = 1, replaced: float = 0.3) -> Iterator[str]:
    """Documents until they hold `wanted_bytes`: the passages themselves, then copies with words replaced."""
    rng = random.Random(seed)
    vocabulary = sorted({word for passage in passages[:2000] for word in passage.split() if word.isalpha()})
    size, turn = 0, 0
    while size < wanted_bytes:
        for passage in passages:
            text = passage if turn == 0 else _other(passage, vocabulary, rng, replaced)
            size += len(text.encode()) + 1
            yield text
            if size >= wanted_bytes:
                return
        turn += 1


def _other(passage: str, vocabulary: list[str], rng: random.Random, replaced: float) -> str:
    """The passage with some words replaced; lines and spaces stay."""
    pieces = passage.split(" ")
    for place in rng.sample(range(len(pieces)), int(len(pieces) * replaced)):
        if pieces[place].isalpha():
            pieces[place] = rng.choice(vocabulary)
    return " ".join(pieces)
