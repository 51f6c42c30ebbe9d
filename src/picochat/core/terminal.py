"""What a program wrote for a terminal, as plain text."""

from __future__ import annotations

import re

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor, erasing
    r"|\x1b[\]PX^_][^\x07\x1b]{0,512}(?:\x07|\x1b\\)"  # titles and links, up to their end: without one, text stays
    r"|\x1b[ -/]*[0-~]?"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Tab and line feed stay; marks that turn the direction of a line go, because they make it read as another one."""


def strip_sequences(text: str) -> str:
    """The text without escape sequences; what else nobody sees is left to whoever shows it."""
    return _SEQUENCE.sub("", text)


def plain_text(text: str) -> str:
    """The text without escape sequences and control characters; a carriage return begins a new line."""
    text = strip_sequences(text)
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
