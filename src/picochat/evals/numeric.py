"""Rule `numeric`: one number read from a reply as an exact fraction, or none when the reply is ambiguous.

    reply -> after the last "####" or "=" (or all of it) -> chunks with digits -> exactly one, well-formed -> Fraction

A chunk that holds digits but is no number on its own ("B12", "2024-01-02", "3x4") makes the reply ambiguous.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

MARKER = re.compile(r"####|=")
MAX_CHUNK = 200
_CHUNK = re.compile(r"[\w.,'/+%-]*\d[\w.,'/+%-]*")
_GROUPED = r"\d{1,3}(?:(?P<sep>[,_'])\d{3}(?:(?P=sep)\d{3})*)"
_UNIT = r"%|[^\W\d_]+(?:/[^\W\d_]+)?"
_NUMBER = re.compile(
    rf"(?P<sign>[+-]?)(?P<whole>{_GROUPED}|\d+)?(?P<part>\.\d+)?(?P<below>/\d+)?(?P<unit>{_UNIT})?",
)
_SPACED_GROUP = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")
_RAISED_AFTER_LETTER = re.compile(r"(?<=[^\W\d_])[\u00b2\u00b3\u00b9\u2070-\u2079]+")
_LOOKALIKES = str.maketrans({"\u2212": "-", "\u2044": "/", "\u2019": "'"})


def read_number(text: str) -> Fraction | None:
    """The final number of a text: the one after the last marker, else the only one. None when there is none or two."""
    plain = _plain_digits(text)
    markers = list(MARKER.finditer(plain))
    chunks = _CHUNK.findall(plain[markers[-1].end() :] if markers else plain)
    return _parse_chunk(chunks[0]) if len(chunks) == 1 else None


def _plain_digits(text: str) -> str:
    """NFKC, with every character that hides a digit (superscript, fraction, circled) kept apart from its neighbours."""
    text = _RAISED_AFTER_LETTER.sub("", _SPACED_GROUP.sub("", text))
    parts: list[str] = []
    for c in text:
        form = unicodedata.normalize("NFKC", c)
        hidden = not c.isdecimal() and any(d.isdigit() for d in form)
        parts.append(f" {form} " if hidden else form)
    return "".join(parts).translate(_LOOKALIKES)


def _parse_chunk(chunk: str) -> Fraction | None:
    chunk = chunk.rstrip(".,'")
    match = _NUMBER.fullmatch(chunk) if len(chunk) <= MAX_CHUNK else None
    if match is None or not (match["whole"] or match["part"]):
        return None
    if match["part"] and match["below"]:
        return None
    value = Fraction((re.sub(r"[,_']", "", match["whole"] or "0")) + (match["part"] or ""))
    if match["below"]:
        below = int(match["below"][1:])
        if below == 0:
            return None
        value /= below
    return -value if match["sign"] == "-" else value
