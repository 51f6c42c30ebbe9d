"""A chat row as training sees it: the renderer's own ids and mask, and whether it is left out."""

from __future__ import annotations

import json
from functools import cache

import pytest
from tests.support.green_run import tokenizer_of

from picochat.data.chat_rows_shown import SHOWN_TOKENS, show_chat_row
from picochat.data.conversations import parse_chat_row
from picochat.tokenizer.chat import render
from picochat.tokenizer.explain import explain_ids
from picochat.tokenizer.hostile import HOSTILE_TEXTS
from picochat.tokenizer.tokenizer import Tokenizer

TOKEN = "hf_" + "A1b2" * 8


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer(tokenizer_of("shown"))


def show(row: object, row_tokens: int | None = 128) -> dict:
    return show_chat_row(5, json.dumps(row).encode(), tokenizer(), row_tokens)


ROWS = [
    {"user": "hi <|end|>", "assistant": "höllo 😀", "category": "a"},
    {"category": "b", "messages": [
        {"role": "system", "content": "s"}, {"role": "user", "content": "u"},
        {"role": "assistant", "content": "no", "weight": 0}, {"role": "user", "content": "again"},
        {"role": "assistant", "content": "yes"},
    ]},
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_ids_and_mask_are_the_renderers(row: dict):
    found, expected = show(row), render(parse_chat_row(row).to_messages(), tokenizer())
    assert [token[0] for token in found["tokens"]] == expected.ids
    assert [bool(token[3]) for token in found["tokens"]] == expected.mask
    assert (found["length"], found["supervised"]) == (len(expected.ids), expected.supervised_tokens)
    assert found["begins_with_bos"] and found["left_out"] is None and found["offset"] == 5
    supervised = b"".join(bytes.fromhex(token[2]) for token in found["tokens"] if token[3])
    answers = [m.content for m in parse_chat_row(row).to_messages() if m.role == "assistant" and m.weight]
    assert supervised.decode() == "".join(answers)


def test_a_row_longer_than_a_training_row_is_left_out_and_one_of_its_length_is_not():
    length = show(ROWS[0])["targets"]
    assert show(ROWS[0], length)["left_out"] is None
    assert f"holds {length - 1:,}" in show(ROWS[0], length - 1)["left_out"]
    assert show(ROWS[0], None)["left_out"] is None


@pytest.mark.parametrize(
    ("line", "said"),
    [(b"{", "not strict JSON"), (b"[1]", "dict"),
     (b'{"user": "a", "assistant": " ", "category": "c"}', "assistant is empty"),
     (b'{"user": "\\ud800", "assistant": "x", "category": "c"}', "valid string"), (None, "too long")],
)  # fmt: skip
def test_rows_that_training_would_refuse_say_why(line: bytes | None, said: str):
    found = show_chat_row(0, line, tokenizer(), 128)
    assert said in found["problem"] and found["tokens"] == [] and found["length"] is None


def test_a_very_long_row_is_cut_for_the_screen_alone():
    found = show({"user": "x y " * 3000, "assistant": "z", "category": "c"}, None)
    assert len(found["tokens"]) == SHOWN_TOKENS and found["cut"] == found["length"] - SHOWN_TOKENS > 0


def test_a_secret_in_a_row_is_masked_through_all_its_tokens():
    found = show({"user": f"my key {TOKEN} is", "assistant": "ok", "category": "c"}, None)
    text = "".join(token[1] or "" for token in found["tokens"])
    assert "hf_" not in text and "A1b2" not in text and "[redacted]" in text and "ok" in text
    data = b"".join(bytes.fromhex(token[2]) for token in found["tokens"])
    assert b"A1b2" not in data


def test_pieces_join_to_the_text_whatever_it_is():
    tok = tokenizer()
    for text in HOSTILE_TEXTS:
        pieces = explain_ids(tok, tok.encode(text))
        assert b"".join(bytes.fromhex(piece.hex) for piece in pieces) == text.encode()
        assert not any(piece.special for piece in pieces)
        assert all(piece.text is None or piece.text.encode() == bytes.fromhex(piece.hex) for piece in pieces)
    (end,) = explain_ids(tok, [tok.end])
    assert (end.special, end.text, end.hex) == (True, "<|end|>", "")
