"""The body of a request as JSON, with nothing in it that two readers could read in two ways."""

from __future__ import annotations

import json
import math
from typing import Any

from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json
from picochat.serving.protocol.errors import ApiError

MAX_DEPTH = 16


def parse_body(body: bytes) -> dict[str, Any]:
    """One JSON object, 16 deep at most, without doubled key, NaN, Infinity, lone surrogate or NUL.

    Raises `invalid_json`.
    """
    try:
        document = parse_json(body, "the body")
    except PicochatError as err:
        raise ApiError("invalid_json", err.detail) from None
    _require_plain(document)
    if not isinstance(document, dict):
        raise ApiError("invalid_json", f"the body is a JSON {_kind(document)}, not an object")
    return document


def _require_plain(document: Any) -> None:
    """Level by level, not by recursion: the depth is the sender's choice."""
    level = [[document]] if not isinstance(document, dict | list) else [document]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for container in level:
            if isinstance(container, dict):
                for key in container:
                    _require_text(key)
                container = container.values()
            for value in container:
                if isinstance(value, str):
                    _require_text(value)
                elif isinstance(value, dict | list):
                    deeper.append(value)
                elif isinstance(value, float) and not math.isfinite(value):
                    raise ApiError("invalid_json", "the body holds a number that is too large for a float")
        if not deeper:
            return
        level = deeper
    raise ApiError("invalid_json", f"the body is nested deeper than {MAX_DEPTH} levels")


def _require_text(text: str) -> None:
    if "\0" in text:
        raise ApiError("invalid_json", "the body holds the character NUL")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as err:
            at = f"U+{ord(text[err.start]):04X}"
            raise ApiError("invalid_json", f"the body holds half of a surrogate pair, {at}") from None


def _kind(value: Any) -> str:
    return {str: "string", list: "array", bool: "boolean", type(None): "null"}.get(type(value), "number")


def dump(document: dict[str, Any]) -> bytes:
    """An answer's bytes: compact, UTF-8, no NaN."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
