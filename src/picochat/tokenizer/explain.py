"""A text as its tokens, for people: which bytes each id stands for, and where in the text they lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from picochat.tokenizer.tokenizer import Tokenizer


class TokenPiece(NamedTuple):
    """One id. `text` is None where the bytes alone are no whole characters; `hex` are the bytes in any case.

    A special token has its name as text and stands for no bytes.
    """

    id: int
    hex: str
    text: str | None
    special: bool


def explain_ids(tok: Tokenizer, ids: Iterable[int]) -> list[TokenPiece]:
    """The pieces of some ids, in order. Raises `tokenizer.id` for one outside of the vocabulary."""
    first_special = tok.vocab_size - len(tok.specials)
    return [_piece(tok, token, token >= first_special) for token in ids]


def _piece(tok: Tokenizer, token: int, special: bool) -> TokenPiece:
    data = tok.decode_bytes([token])
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = None
    return TokenPiece(token, "" if special else data.hex(" "), text, special)
