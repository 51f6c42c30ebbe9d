"""The documents that were not taken into the corpus, one row each, with the reason; a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json
from picochat.views.data.drop_reasons import explain_reason
from picochat.views.data.row_page import RowPage, read_rows
from picochat.views.plain import plain_text_of
from picochat.views.reading import dict_of, number_of, text_of

NAME_CHARS = 400


def read_dropped(
    stream: BinaryIO, cursor: int, limit: int, run: Mapping[str, Any], *, reason: str | None, name: str | None
) -> RowPage:
    """Documents dropped for a reason, or whose name holds a text; all where neither is asked for."""
    return read_rows(stream, cursor, limit, lambda offset, line: _row(offset, line, run, reason, name))


def _row(
    offset: int, line: bytes | None, run: Mapping[str, Any], reason: str | None, name: str | None
) -> dict[str, Any] | None:
    asked = reason is not None or name is not None
    if line is not None and not line.strip():
        return None
    if line is None:
        return None if asked else _problem(offset, "the line is too long to be read")
    if reason is not None and reason.encode() not in line:  # most lines are seen through at once
        return None
    if name is not None and _is_plain(name) and name.lower().encode() not in line.lower():
        return None
    try:
        row = dict_of(parse_json(line, "the line"))
    except PicochatError as err:
        return None if asked else _problem(offset, err.detail)
    code, found = text_of(row.get("reason")), text_of(row.get("name"))
    if code is None:
        return None if asked else _problem(offset, "the line names no reason")
    if reason is not None and code.partition(":")[0] != reason:
        return None
    if name is not None and (found is None or name.lower() not in found.lower()):
        return None
    more = {key: value for key, value in row.items() if key not in ("name", "reason", "source", "document")}
    return {
        "offset": offset,
        "source": _shown(text_of(row.get("source"))),
        "name": _shown(found),
        "reason": plain_text_of(code, NAME_CHARS),
        "document": number_of(row.get("document")),
        "more": {plain_text_of(str(key), NAME_CHARS): _shown(str(value)) for key, value in more.items()},
        "problem": "",
        **explain_reason(code, run),
    }


def _is_plain(name: str) -> bool:
    """Whether the name stands in a JSON line as it is written here, whatever its case."""
    return name.isascii() and name.isprintable() and not set(name) & {'"', "\\"}


def _problem(offset: int, text: str) -> dict[str, Any]:
    empty = dict.fromkeys(("source", "name", "reason", "document", "says", "setting", "limit"))
    return {"offset": offset, **empty, "more": {}, "problem": plain_text_of(text, NAME_CHARS)}


def _shown(text: str | None) -> str | None:
    return None if text is None else plain_text_of(text, NAME_CHARS)
