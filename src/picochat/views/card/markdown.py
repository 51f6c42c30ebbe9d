"""Markdown and YAML from text that nobody vouches for: what a file says can neither mark up nor end a line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from picochat.views.dataset import Table
from picochat.views.markup import seen

_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~$-])")
_CODE = re.compile(r"[A-Za-z0-9_./:= -]+")
_PLAIN_KEY = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[a-z][a-z0-9_-]*")
"""Keys that YAML reads as nothing but themselves."""
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def text(value: str) -> str:
    """Text as text, on one line."""
    line = " ".join(seen(value).split())
    for mark, entity in _ENTITIES.items():
        line = line.replace(mark, entity)
    return _MARKS.sub(r"\\\1", line)


def code(value: str) -> str:
    """An inline code span for a name, a digest or a command; anything else is text."""
    return f"`{value}`" if _CODE.fullmatch(value) else text(value)


def table(found: Table) -> str:
    """A Markdown table; nothing without rows."""
    if not found.rows:
        return ""
    lines = [found.columns, ["---"] * len(found.columns), *([text(cell) for cell in row] for row in found.rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def fenced(value: str) -> str:
    """A block of code that its own text cannot end."""
    body = seen(value)
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{body}\n{fence}"


def yaml(values: Mapping[str, Any]) -> str:
    """Block mappings and lists of a subset of YAML; each string is quoted as JSON, which YAML reads as the same."""
    return "\n".join(_mapping(values, 0))


def _mapping(values: Mapping[str, Any], depth: int) -> list[str]:
    lines = []
    for key, value in values.items():
        name = key if _PLAIN_KEY.fullmatch(key) else _scalar(key)
        lines += _entry(f"{'  ' * depth}{name}:", value, depth + 1)
    return lines


def _entry(head: str, value: Any, depth: int) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [head, *_mapping(value, depth)]
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return [head, *(line for item in value for line in _item(item, depth))]
    return [f"{head} {_scalar(value)}"]


def _item(item: Any, depth: int) -> list[str]:
    if not isinstance(item, Mapping):
        return [f"{'  ' * depth}- {_scalar(item)}"]
    lines = _mapping(item, depth + 1)
    return [f"{'  ' * depth}- {lines[0].lstrip()}", *lines[1:]]


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(seen(value), ensure_ascii=False)
    return json.dumps(value, allow_nan=False)
