"""The training row whose question is nearest to a text: by shared words and pairs of words, as a share of all of both.

    chat/train.jsonl -> build_near_index -> 4 bytes a gram -> find_nearest -> the row itself, read again from the file

A hint for the eye, no proof: that no eval row stands in the training text is shown by the honesty report.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from picochat.artifacts import layout
from picochat.core.confined import open_below, reason_of
from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json
from picochat.data.contamination.words import words_of
from picochat.views.evals.artifact_state import objects
from picochat.views.evals.shown import shown

MAX_ROWS = 300_000
MAX_LINE_BYTES = 1024 * 1024


class NearIndex(NamedTuple):
    """Grams of all rows behind one another; row i has those from `first[i]` to `first[i + 1]`."""

    state: str
    why: str
    grams: NDArray[np.uint32]
    first: NDArray[np.int64]
    offsets: NDArray[np.int64]
    whole: bool
    """False when the file has more rows than were read."""


def build_near_index(root: Path, relative: str = layout.CHAT_TRAIN) -> NearIndex:
    """Reads the training rows once; rows that cannot be read are left out."""
    grams: list[NDArray[np.uint32]] = []
    offsets: list[int] = []
    state, why, whole, place = "ready", "", True, 0
    try:
        with open_below(root, relative) as stream:
            while line := stream.readline(MAX_LINE_BYTES):
                if len(offsets) == MAX_ROWS:
                    whole = False
                    break
                if found := _question(line):
                    grams.append(_grams(found))
                    offsets.append(place)
                place += len(line)
    except FileNotFoundError:
        state, why = "missing", "the run has no chat rows"
    except OSError as err:
        state, why = "unreadable", reason_of(err)
    first = np.concatenate(([0], np.cumsum([len(row) for row in grams], dtype=np.int64)))
    joined = np.concatenate(grams) if grams else np.zeros(0, np.uint32)
    return NearIndex(state, why, joined, first.astype(np.int64), np.array(offsets, np.int64), whole)


def find_nearest(root: Path, index: NearIndex, text: str, relative: str = layout.CHAT_TRAIN) -> dict[str, Any] | None:
    """The nearest row with its `share` of common grams, 0 to 1; None without rows or without a word in common."""
    asked = _grams(text)
    if not len(index.offsets) or not len(asked):
        return None
    hits = np.isin(index.grams, asked)
    common = np.diff(np.concatenate(([0], np.cumsum(hits)))[index.first])
    share = common / (np.diff(index.first) + len(asked) - common)
    best = int(share.argmax())
    if not common[best]:
        return None
    row = _read(root, relative, int(index.offsets[best]))
    if row is None:
        return None
    return {
        "line": best + 1,
        "share": float(share[best]),
        "id": shown(row.get("id"), 200),
        "category": shown(row.get("category"), 200),
        "prompt": shown(_text(row)),
        "reply": shown(_answer(row)),
    }


def _read(root: Path, relative: str, offset: int) -> dict[str, Any] | None:
    try:
        with open_below(root, relative) as stream:
            stream.seek(offset)
            return _parse(stream.readline(MAX_LINE_BYTES))
    except OSError:
        return None


def _question(line: bytes) -> str:
    row = _parse(line)
    return _text(row) if row else ""


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = parse_json(line, "a row", MAX_LINE_BYTES)
    except PicochatError:
        return None
    return row if isinstance(row, dict) else None


def _text(row: dict[str, Any]) -> str:
    """What the user says, the last time that a user speaks."""
    if isinstance(row.get("user"), str):
        return row["user"]
    said = [entry.get("content") for entry in objects(row.get("messages")) if entry.get("role") == "user"]
    return said[-1] if said and isinstance(said[-1], str) else ""


def _answer(row: dict[str, Any]) -> str:
    if isinstance(row.get("assistant"), str):
        return row["assistant"]
    said = [entry.get("content") for entry in objects(row.get("messages")) if entry.get("role") == "assistant"]
    return said[-1] if said and isinstance(said[-1], str) else ""


def _grams(text: str) -> NDArray[np.uint32]:
    """Checksums of the words and of the pairs of neighbours, each once."""
    words = words_of(text)
    pairs = [first + b" " + second for first, second in zip(words, words[1:], strict=False)]
    return np.unique(np.fromiter((zlib.crc32(gram) for gram in (*words, *pairs)), np.uint32))
