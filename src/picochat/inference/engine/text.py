"""Text of an answer while it is made: whole code points, nothing that may begin a stop string, no special token.

    id -> bytes -> code points -> held back while it may begin a stop string -> shown

The text, and where it is cut, depend on the bytes alone and never on how they were divided into tokens.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from picochat.tokenizer.codec import Codec


class TextAssembler:
    """The text of one answer. `stopped` is True once a stop string was found; nothing is shown after it."""

    def __init__(self, codec: Codec, stop: Sequence[str] = ()) -> None:
        """`stop` holds no empty string."""
        self._codec, self._stop = codec, tuple(stop)
        self._special, self._size = codec.special_ids, codec.vocab_size
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """What may be shown after one more id."""
        # A model may have more rows than its tokenizer has ids: those stand for no text either.
        silent = token in self._special or token >= self._size
        return self._add(self._decoder.decode(b"" if silent else self._codec.piece(token)))

    def finish(self) -> str:
        """The rest: what was held back, and U+FFFD for a broken tail."""
        shown = self._add(self._decoder.decode(b"", final=True))
        rest, self._held = self._held, ""
        return shown if self.stopped else shown + rest

    def _add(self, new: str) -> str:
        if self.stopped or not new:
            return ""
        text = self._held + new
        cut = find_stop(text, self._stop)
        self.stopped = cut is not None
        shown = len(text) - held_length(text, self._stop) if cut is None else cut
        self._held = "" if self.stopped else text[shown:]
        return text[:shown]


def find_stop(text: str, stop: Sequence[str]) -> int | None:
    """Where the stop string begins that is complete first; of those that end together, the longest."""
    found = [(place + len(word), place) for word in stop if (place := text.find(word)) >= 0]
    return min(found)[1] if found else None


def held_length(text: str, stop: Sequence[str]) -> int:
    """The length of the longest end of the text that a stop string begins with, without being complete."""
    lengths = (_overlap(text, word) for word in stop)
    return max(lengths, default=0)


def _overlap(text: str, word: str) -> int:
    for length in range(min(len(word) - 1, len(text)), 0, -1):
        if text.endswith(word[:length]):
            return length
    return 0
