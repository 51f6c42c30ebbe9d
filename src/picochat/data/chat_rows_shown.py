"""Chat rows as training sees them: ids and loss mask by the one renderer, and whether a row fits or is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json
from picochat.core.redact import BLANK, blank_secrets, show_blanks
from picochat.data.conversations import parse_chat_row
from picochat.tokenizer.chat import render
from picochat.tokenizer.explain import TokenPiece, explain_ids
from picochat.tokenizer.tokenizer import Tokenizer
from picochat.views.markup import seen
from picochat.views.plain import plain_text_of

SHOWN_TOKENS = 2048
TEXT_CHARS = 200


def show_chat_row(offset: int, line: bytes | None, tok: Tokenizer, row_tokens: int | None) -> dict[str, Any]:
    """One row of a chat file. What cannot be read has a `problem`, as training would refuse it, and no tokens.

    `row_tokens` is the length of a training row: a conversation of more targets is never cropped, it is left out.
    """
    if line is None:
        return _problem(offset, "the row is too long to be shown")
    try:
        row = parse_chat_row(parse_json(line, "the row"))
        found = render(row.to_messages(), tok)
    except ValidationError as err:
        first = err.errors()[0]
        return _problem(offset, f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": "))
    except PicochatError as err:
        return _problem(offset, err.detail)
    shown = explain_ids(tok, found.ids[:SHOWN_TOKENS])
    targets = len(found.ids) - 1  # the first id is never predicted
    return {
        "offset": offset,
        "problem": "",
        "id": _text(row.id),
        "category": _text(row.category),
        "template": _text(row.template),
        "source": _text(row.source),
        "entities": [_text(entity) for entity in row.entities[:20]],
        "tokens": [
            [piece.id, text, data, int(supervised)]
            for piece, (text, data), supervised in zip(shown, _masked(shown), found.mask, strict=False)
        ],
        "length": len(found.ids),
        "targets": targets,
        "supervised": found.supervised_tokens,
        "begins_with_bos": bool(found.ids) and found.ids[0] == tok.bos,
        "cut": max(0, len(found.ids) - SHOWN_TOKENS),
        "row_tokens": row_tokens,
        "left_out": _left_out(targets, found.supervised_tokens, row_tokens),
    }


def _masked(pieces: Sequence[TokenPiece]) -> list[tuple[str | None, str]]:
    """(text, bytes in hex) of each piece; those that a secret runs through show the mask and no bytes."""
    texts = [piece.text if piece.text is not None else "\ufffd" for piece in pieces]
    blanked, at, out = blank_secrets("".join(texts)), 0, []
    for piece, text in zip(pieces, texts, strict=True):
        shown = blanked[at : at + len(text)]
        at += len(text)
        hidden = BLANK in shown
        out.append((None if piece.text is None else seen(show_blanks(shown)), "" if hidden else piece.hex))
    return out


def _left_out(targets: int, supervised: int, row_tokens: int | None) -> str | None:
    """Why training leaves the row out; None when it takes it, or when the length of its rows is unknown."""
    if supervised == 0:
        return "nothing in it counts for the loss"
    if row_tokens is not None and targets > row_tokens:
        return f"{targets:,} targets, a training row holds {row_tokens:,}: it is left out whole, never cropped"
    return None


def _problem(offset: int, text: str) -> dict[str, Any]:
    empty = dict.fromkeys(("id", "category", "template", "source", "left_out", "length", "targets", "supervised"))
    flags = {"begins_with_bos": None, "row_tokens": None, "cut": 0}
    return {"offset": offset, "problem": plain_text_of(text), **empty, **flags, "entities": [], "tokens": []}


def _text(value: str | None) -> str | None:
    return None if value is None else plain_text_of(value, TEXT_CHARS)
