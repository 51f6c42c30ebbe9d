"""Lines of a log as they are shown: colours gone, controls visible, secrets masked, long lines folded.

Logs are shown as text and nothing more: no figure is ever taken from one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from picochat.core.redact import blank_secrets, show_blanks
from picochat.core.terminal import strip_sequences
from picochat.views.files.log_window import RawLine
from picochat.views.markup import seen

SHOWN_CHARS = 2000
LINE_BYTES = 24_000
"""Of one line that are looked at: more than a private key in one line has."""


class ShownLine(NamedTuple):
    """A line as text. `bytes` is its size in the file; `cut` says that text is left out."""

    offset: int
    text: str
    bytes: int
    cut: bool = False
    begun: bool = False
    """Whether it began before the part of the file that was read."""


def show_lines(lines: Sequence[RawLine], before: bytes = b"") -> list[ShownLine]:
    """The lines for people. `before` is what stands ahead of the first: a secret that begins there is masked too."""
    head, texts = strip_codes(before), [strip_codes(line.data[:LINE_BYTES]) for line in lines]
    begun = bool(lines) and lines[0].begun
    # Blanked as one text, because a private key has many lines; every place stays where it was.
    shown = blank_secrets(head + ("" if begun else "\n") + "\n".join(texts)).split("\n")
    shown = shown[head.count("\n") + (0 if begun else 1) :]
    if begun:
        shown[0] = shown[0][len(head.rpartition("\n")[2]) :]
    return [_shown(line, text) for line, text in zip(lines, shown, strict=bool(lines))]


def strip_codes(data: bytes) -> str:
    """The text of some bytes without what a terminal would obey; a carriage return at a line's end goes with it."""
    return strip_sequences(data.decode("utf-8", "backslashreplace")).replace("\r\n", "\n").removesuffix("\r")


def _shown(line: RawLine, text: str) -> ShownLine:
    text = show_blanks(text)
    cut = len(text) > SHOWN_CHARS or line.bytes > min(len(line.data), LINE_BYTES)
    return ShownLine(line.offset, seen(text[:SHOWN_CHARS]), line.bytes, cut, line.begun)
