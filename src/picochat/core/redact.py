"""One filter for secrets, in front of logs, events, reports, errors and answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MASK = "[redacted]"
BLANK = "\ue0ff"
"""Stands for a character of a secret: of the private use area, so it means nothing in any text."""
_SECRET_NAME = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL)", re.IGNORECASE)
_SECRET_SHAPE = re.compile(
    # "task-" and "disk-" end in sk- and are no keys; one letter before it may be the rest of an escape.
    r"hf_[A-Za-z0-9]{20,}|(?<![a-z][a-z])sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{40,}|AKIA[0-9A-Z]{16}"
    r"|xox[baprs]-[A-Za-z0-9-]{10,}"
    # A private key is its body, not the line above it: up to its last line, or as many lines as look like a body.
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?s:(?!-----).){0,16384}-----END [A-Z ]*PRIVATE KEY-----"
    r"|(?:\s+[A-Za-z0-9+/=]{20,})*)"
)
_MARKS = ("hf_", "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "AKIA", "xox", "PRIVATE KEY-----")
"""Every secret shape holds one of these."""

_known: set[str] = set()


def register_secrets(environment: Iterable[tuple[str, str]]) -> None:
    """Remembers the values of variables whose name says that they are secret (8 characters and more)."""
    _known.update(value for name, value in environment if _SECRET_NAME.search(name) and len(value) >= 8)


def redact(text: str) -> str:
    """The text with known secret values and key-like shapes masked."""
    for value in sorted(_known, key=len, reverse=True):  # one may contain another
        text = text.replace(value, MASK)
    return _SECRET_SHAPE.sub(MASK, text)


def redact_tree(obj: Any) -> Any:
    """Redacts every string of a JSON-like object."""
    if isinstance(obj, str):
        return redact(obj)
    if isinstance(obj, dict):
        return {redact(key): redact_tree(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [redact_tree(item) for item in obj]
    return obj


def blank_secrets(text: str, mark: str = BLANK) -> str:
    """The text with every character of a secret replaced by `mark`, line ends kept: places and lines stay as they were.

    For text that is cut into lines or pieces afterwards; `show_blanks` then makes the usual mask of what is left of it.
    """
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, mark * len(value))
    return _SECRET_SHAPE.sub(lambda found: re.sub(r"[^\n]", mark, found.group()), text)


def show_blanks(text: str, mark: str = BLANK) -> str:
    """A piece of a text in which secrets were blanked, with the mask where they stood."""
    return re.sub(f"{mark}+", MASK, text)


def mask_secrets(text: str) -> str:
    """The text with key-like strings masked: used on documents."""
    return _SECRET_SHAPE.sub(MASK, text)


def secret_shapes(text: str) -> int:
    """How many key-like strings stand in a text: used on documents."""
    if not any(mark in text for mark in _MARKS):  # most texts hold none, and this is many times quicker to see
        return 0
    return len(_SECRET_SHAPE.findall(text))
