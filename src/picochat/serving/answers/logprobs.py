"""Log-probabilities in the two shapes of OpenAI's answers, from the same scored tokens.

A token is written as its text. One that is not whole UTF-8, or whose text looks like another token's name, is written
`bytes:\\xe6` with all its bytes, so two ids never share a key. A special token is written by its name and stands for no
text.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterable, Sequence
from typing import Any

from picochat.inference.engine.request import ScoredToken
from picochat.tokenizer.codec import Codec

LOWEST = -9999.0
"""What stands for the logarithm of 0: JSON has no infinity."""
BYTES_MARK = "bytes:"


class Spelling:
    """How ids are written; remembers what it has spelled."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._names = {codec.piece(token).decode("utf-8", "replace") for token in codec.special_ids}
        self._known: dict[int, str] = {}

    def text_bytes(self, token: int) -> bytes:
        """The bytes of text that an id stands for; none for a special one."""
        return b"" if token in self._codec.special_ids else self._codec.piece(token)

    def text(self, tokens: Iterable[int]) -> str:
        """The text of ids, special ones left out."""
        return b"".join(map(self.text_bytes, tokens)).decode("utf-8", "replace")

    def spell(self, token: int) -> str:
        if token not in self._known:
            self._known[token] = self._spell(token)
        return self._known[token]

    def _spell(self, token: int) -> str:
        piece = self._codec.piece(token)
        if token in self._codec.special_ids:
            return piece.decode("utf-8", "replace")
        try:
            text = piece.decode()
        except UnicodeDecodeError:
            return _escaped(piece)
        return _escaped(piece) if text.startswith(BYTES_MARK) or text in self._names else text


def _escaped(piece: bytes) -> str:
    return BYTES_MARK + "".join(f"\\x{byte:02x}" for byte in piece)


def _number(logprob: float) -> float:
    return float(logprob) if math.isfinite(logprob) else LOWEST


class CompletionLogprobs:
    """tokens, token_logprobs, top_logprobs and text_offset of one choice, as its tokens come.

    Offsets count the characters of the text that were whole before a token began.
    """

    def __init__(self, spelling: Spelling, top: int) -> None:
        self._spelling = spelling
        self._top = top
        self._chars = 0
        self._restart()

    def _restart(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def prompt(self, tokens: Sequence[ScoredToken]) -> dict[str, list[Any]]:
        """The part of the prompt; the first entry of both lists of numbers is null: nothing stood before it."""
        part = self.part(tokens)
        self._chars += len(self._decoder.decode(b"", True))
        self._restart()
        return part

    def part(self, tokens: Sequence[ScoredToken]) -> dict[str, list[Any]]:
        rows = [self._row(token) for token in tokens]
        names = ("tokens", "token_logprobs", "top_logprobs", "text_offset")
        return {name: [row[place] for row in rows] for place, name in enumerate(names)}

    def _row(self, scored: ScoredToken) -> tuple[str, float | None, dict[str, float] | None, int]:
        offset = self._chars
        self._chars += len(self._decoder.decode(self._spelling.text_bytes(scored.token)))
        name = self._spelling.spell(scored.token)
        if scored.logprob is None:
            return name, None, None, offset
        logprob = _number(scored.logprob)
        top = {self._spelling.spell(token): _number(value) for token, value in scored.top[: self._top]}
        return name, logprob, top | {name: logprob}, offset


def join_logprobs(parts: Iterable[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    """Parts of a choice one after the other."""
    whole: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for part in parts:
        for name, values in whole.items():
            values.extend(part[name])
    return whole


def chat_logprobs(spelling: Spelling, top: int, tokens: Sequence[ScoredToken]) -> dict[str, Any]:
    """`logprobs` of a chat choice or of one of its chunks."""

    def entry(token: int, logprob: float | None) -> dict[str, Any]:
        value = LOWEST if logprob is None else _number(logprob)
        return {"token": spelling.spell(token), "logprob": value, "bytes": list(spelling.text_bytes(token))}

    content = [
        entry(scored.token, scored.logprob) | {"top_logprobs": [entry(*pair) for pair in scored.top[:top]]}
        for scored in tokens
    ]
    return {"content": content, "refusal": None}
