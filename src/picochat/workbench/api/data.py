"""What a run was made from: corpus, what was dropped and why, tokenizer, chat rows with their mask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import Field

from picochat.artifacts import layout
from picochat.core.confined import open_below, read_below
from picochat.core.errors import PicochatError
from picochat.data.chat_rows_shown import show_chat_row
from picochat.tokenizer.explain import explain_ids
from picochat.tokenizer.tokenizer import Tokenizer
from picochat.views.data.dataset_facts import read_dataset
from picochat.views.data.dropped import read_dropped
from picochat.views.data.row_page import RowPage, read_rows
from picochat.views.data.token_facts import read_contamination, read_packing, read_tokenizer
from picochat.views.plain import plain_tree
from picochat.views.reading import PRESENT, UNREADABLE, find_document, state_of, value_at, why_of
from picochat.workbench.bench import Workbench
from picochat.workbench.routing import Call, Question, Route

MOST_TEXT_CHARS = 2000
TOKENIZER_BYTES = 64 * 1024 * 1024
_Cursor = Field(default=0, ge=0, le=1 << 60)


class Dropped(Question):
    """Which dropped documents: for one reason, or with a text in their name."""

    reason: str | None = Field(default=None, min_length=1, max_length=80)
    name: str | None = Field(default=None, min_length=1, max_length=200)
    cursor: int = _Cursor
    limit: int = Field(default=100, ge=1, le=200)


class Text(Question):
    """A text to encode, as it is: no character of it becomes a control token."""

    text: str = Field(max_length=MOST_TEXT_CHARS)


class ChatRows(Question):
    """Rows of chat/train.jsonl, by byte offset."""

    cursor: int = _Cursor
    category: str | None = Field(default=None, min_length=1, max_length=80)
    limit: int = Field(default=10, ge=1, le=50)


def show_data(call: Call) -> dict[str, Any]:
    """Pack, manifest, splits, duplicates, packing, exposure, tokenizer, contamination."""
    root, name = call.run.root, call.names["run"]
    reports = (layout.CORPUS_MANIFEST, layout.RUN, layout.TOKENIZER_REPORT, layout.SHARDS_MANIFEST, layout.HONESTY)
    paths = [root / path for path in (*reports, layout.report_path(layout.BASE), layout.report_path(layout.SFT))]

    def build() -> dict[str, Any]:
        found = {"dataset": read_dataset(root), "tokenizer": read_tokenizer(root)}
        found |= {"packing": read_packing(root), "contamination": read_contamination(root)}
        return plain_tree(found)

    found = call.bench.memo.read(("data", str(root)), paths, build)
    return {"run": name, **found, "command": f"picochat data inspect {call.run_word}"}


def list_dropped(call: Call) -> dict[str, Any]:
    """The documents that were not taken, with the reason and the setting that decided."""
    root, asked = call.run.root, call.query
    run = find_document(root, layout.RUN).body

    def read(stream: BinaryIO) -> RowPage:
        return read_dropped(stream, asked.cursor, asked.limit, run, reason=asked.reason, name=asked.name)

    return {"run": call.names["run"], **_paged(root, layout.CORPUS_DROPPED, read)}


def encode_text(call: Call) -> dict[str, Any]:
    """The ids of a text under the run's tokenizer, with the bytes that each stands for."""
    text, state, why, tokens = call.query.text, PRESENT, "", None
    try:
        tok = _tokenizer(call.bench, call.run.root)
        pieces = explain_ids(tok, tok.encode(text))
        tokens = [[piece.id, piece.text, piece.hex] for piece in pieces]
        vocab: int | None = tok.vocab_size
    except (PicochatError, OSError) as err:
        state, why, vocab = (*_state(err, layout.TOKENIZER), None)
    return {
        "run": call.names["run"],
        "state": state,
        "why": why,
        "vocab_size": vocab,
        "tokens": tokens,
        "bytes": len(text.encode("utf-8", "surrogatepass")),
        "chars": len(text),
    }


def list_chat_rows(call: Call) -> dict[str, Any]:
    """Conversations as SFT sees them: ids, and which of them count for the loss."""
    root, asked = call.run.root, call.query
    try:
        tok = _tokenizer(call.bench, root)
    except (PicochatError, OSError) as err:
        state, why = _state(err, layout.TOKENIZER)
        return {"run": call.names["run"], "state": state, "why": why, **_nothing(), "row_tokens": None}
    row_tokens = value_at(find_document(root, layout.RUN).body, "config", "sft", "loop", "seq_len")
    row_tokens = row_tokens if isinstance(row_tokens, int) else None
    wanted = asked.category.encode() if asked.category else None

    def take(offset: int, line: bytes | None) -> dict[str, Any] | None:
        if (line is not None and not line.strip()) or (wanted and (line is None or wanted not in line)):
            return None
        row = show_chat_row(offset, line, tok, row_tokens)
        return row if asked.category in (None, row["category"]) else None

    def read(stream: BinaryIO) -> RowPage:
        return read_rows(stream, asked.cursor, asked.limit, take)

    return {"run": call.names["run"], **_paged(root, layout.CHAT_TRAIN, read), "row_tokens": row_tokens}


def _tokenizer(bench: Workbench, root: Path) -> Tokenizer:
    """The run's own, read again when one of its two files is another one. Raises what `read_below` and it raise."""

    def load() -> Tokenizer:
        proof = find_document(root, layout.TOKENIZER_REPORT).value("fast_path", "equal")
        data = read_below(root, layout.TOKENIZER, TOKENIZER_BYTES)
        return Tokenizer(data, layout.TOKENIZER, fast=proof is not False)

    paths = [root / layout.TOKENIZER, root / layout.TOKENIZER_REPORT]
    return bench.memo.read(("tokenizer", str(root)), paths, load)


def _paged(root: Path, path: str, read: Callable[[BinaryIO], RowPage]) -> dict[str, Any]:
    try:
        with open_below(root, path) as stream:
            return {"state": PRESENT, "why": "", **read(stream)._asdict()}
    except OSError as err:
        return {"state": state_of(err), "why": why_of(err, path), **_nothing()}


def _nothing() -> dict[str, Any]:
    return {"rows": [], "next": None, "size": None, "whole": True}


def _state(err: PicochatError | OSError, path: str) -> tuple[str, str]:
    return (state_of(err), why_of(err, path)) if isinstance(err, OSError) else (UNREADABLE, err.detail)


ROUTES = [
    Route("GET", "api/runs/{run}/data", show_data, "Pack, splits, tokenizer, packing", "picochat data inspect"),
    Route(
        "GET",
        "api/runs/{run}/dropped",
        list_dropped,
        "Why documents were dropped",
        "picochat data inspect",
        query=Dropped,
    ),
    Route("GET", "api/runs/{run}/tokens", encode_text, "A text as ids and bytes", query=Text),
    Route("GET", "api/runs/{run}/chat_rows", list_chat_rows, "Chat rows with their loss mask", query=ChatRows),
]
