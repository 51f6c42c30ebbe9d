"""Chat and eval rows: bad ones are refused with their line, good ones come back as they were."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json
from picochat.data.conversations import (
    ConversationRow,
    EvalRow,
    PairRow,
    encode_rows,
    parse_chat_row,
    read_chat_rows,
    read_eval_rows,
)

PAIR = {"user": "Hi", "assistant": "Hello.", "category": "talk"}
QUESTION = {"id": "q1", "user": "2+2?", "rule": "numeric", "expected": ["4"], "category": "sums"}


def turns(*roles: str) -> list[dict[str, Any]]:
    return [{"role": role, "content": "text"} for role in roles]


def write_lines(path: Path, *rows: Any) -> Path:
    path.write_text(
        "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n", encoding="utf-8"
    )
    return path


def test_rows_come_back_as_written(tmp_path: Path) -> None:
    conversation = {"messages": turns("system", "user", "assistant", "tool", "assistant"), "category": "talk"}
    path = write_lines(tmp_path / "chat.jsonl", {**PAIR, "system": "Be kind.", "entities": ["word:hi"]}, conversation)
    rows = read_chat_rows(path)
    assert isinstance(rows[0], PairRow) and isinstance(rows[1], ConversationRow)
    assert [message.role for message in rows[0].to_messages()] == ["system", "user", "assistant"]
    assert [message.role for message in rows[1].to_messages()] == ["system", "user", "assistant", "tool", "assistant"]
    path.write_bytes(encode_rows(rows))
    assert read_chat_rows(path) == rows


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**PAIR, "assistant": "  "}, "assistant is empty"),
        ({**PAIR, "user": ""}, "user is empty"),
        ({**PAIR, "systme": "x"}, "systme"),
        ({"user": "Hi", "assistant": "Hello."}, "category"),
        ({"category": "t", "messages": turns("user", "user", "assistant")}, "message 1 is user, expected assistant"),
        ({"category": "t", "messages": turns("user", "system", "assistant")}, "message 1 is system"),
        ({"category": "t", "messages": turns("assistant", "user")}, "message 0 is assistant"),
        ({"category": "t", "messages": turns("user")}, "last message is user, expected assistant"),
        ({"category": "t", "messages": turns("user", "narrator")}, "messages.1.role"),
        ({"category": "t", "messages": [*turns("user"), {"role": "assistant", "content": " "}]}, "blank"),
        ({"category": "t", "messages": [*turns("user"), {"role": "assistant", "content": "x", "weight": 0}]}, "weight"),
        ('{"user": "a", "user": "b"}', "stands twice"),
        ("[1", "not strict JSON"),
    ],
)
def test_bad_chat_rows_are_refused_with_their_line(tmp_path: Path, row: Any, message: str) -> None:
    path = write_lines(tmp_path / "chat.jsonl", PAIR, "", row)
    with pytest.raises(PicochatError, match="line 3") as caught:
        read_chat_rows(path)
    assert caught.value.code == "chat.row" and caught.value.exit_code == 4
    assert message in caught.value.detail


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": "substring"}, "rule"),
        ({"expected": []}, "needs expected"),
        ({"user": None}, "either user or messages"),
        ({"messages": turns("user")}, "either user or messages"),
        ({"user": None, "messages": turns("user", "assistant")}, "expected user"),
        ({"rule": "option", "options": ["a"], "answer": "a"}, "two or more"),
        ({"rule": "option", "options": ["a", "a"], "answer": "a"}, "two or more"),
        ({"rule": "option", "options": ["a", "b"], "answer": "c"}, "not one of the options"),
        ({"max_words": 0}, "max_words"),
        ({"id": "q0"}, "earlier line"),
    ],
)
def test_bad_eval_rows_are_refused_with_their_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write_lines(tmp_path / "eval.jsonl", {**QUESTION, "id": "q0"}, {**QUESTION, **change})
    with pytest.raises(PicochatError, match="line 2") as caught:
        read_eval_rows(path)
    assert caught.value.code == "eval.row" and message in caught.value.detail


def test_eval_rows_come_back_as_written(tmp_path: Path) -> None:
    pick = {
        "id": "q2",
        "messages": turns("user"),
        "rule": "option",
        "options": ["a=A", "b=B"],
        "answer": "b=B",
        "category": "c",
    }
    rows = read_eval_rows(write_lines(tmp_path / "eval.jsonl", QUESTION, pick))
    assert rows[0].to_messages()[0].content == "2+2?" and rows[1].to_messages()[0].role == "user"
    assert (rows[0].max_words, rows[0].answerable, rows[0].echo_ok) == (30, True, False)
    (tmp_path / "again.jsonl").write_bytes(encode_rows(rows))
    assert read_eval_rows(tmp_path / "again.jsonl") == rows


@pytest.mark.parametrize("reader", [read_chat_rows, read_eval_rows])
def test_missing_and_empty_files_are_errors(tmp_path: Path, reader: Any) -> None:
    with pytest.raises(PicochatError) as missing:
        reader(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_bytes(b"\n \n")
    with pytest.raises(PicochatError, match="0 rows") as empty:
        reader(tmp_path / "empty.jsonl")
    assert (missing.value.exit_code, empty.value.code) == (2, "chat.empty")


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@given(texts, texts, st.lists(texts, max_size=3))
def test_any_text_survives_a_row(user: str, assistant: str, entities: list[str]) -> None:
    row = PairRow(user=user, assistant=assistant, category="any", entities=entities)
    line = encode_rows([row])
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert parse_chat_row(parse_json(line, "row")) == row


@given(texts)
def test_an_eval_row_is_canonical(user: str) -> None:
    row = EvalRow(id="a", user=user, rule="exact", expected=["x"], category="c")
    line = encode_rows([row])
    assert list(json.loads(line)) == sorted(json.loads(line))
    assert EvalRow.model_validate(parse_json(line, "row")) == row
