"""The comparison text: what two texts are when case, punctuation, markup and ways of encoding are put aside.

    HTML entities decoded -> HTML tags taken out -> NFKC, casefold -> runs of letters, digits and marks are the words

All punctuation and symbols separate words, apostrophes and hyphens too ("don't" is two words, whichever apostrophe is
used); characters without width vanish. In scripts that write no space between words (Han, kana, Thai, Lao, Burmese,
Khmer) every character is a word. ASCII without `&` and `<` needs no conversion at all: `FOLD` does the rest by table.
"""

from __future__ import annotations

import functools
import html
import re
import string
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]

_WORD_BYTES = (string.ascii_letters + string.digits).encode() + bytes(range(128, 256))
IS_WORD: NDArray[np.bool_] = np.isin(np.arange(256), list(_WORD_BYTES))
FOLD = bytes(
    ord(chr(byte).lower()) if byte < 128 and IS_WORD[byte] else byte if IS_WORD[byte] else 32 for byte in range(256)
)
"""`data.translate(FOLD).split()` are the words of plain bytes."""

_ENTITY = re.compile(r"&(?:amp;)*(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_INLINE = "a abbr acronym b bdi bdo big cite code del dfn em font i ins kbd mark q s samp small span strike strong sub "
_INLINE += "sup tt u var wbr"
_BLOCK = (
    "address article aside audio blockquote body br button canvas caption center col colgroup dd details div dl dt "
)
_BLOCK += (
    "embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html iframe img "
)
_BLOCK += "input label legend li link main map meta nav noscript object ol optgroup option p param picture pre script "
_BLOCK += "section select source style summary svg table tbody td template textarea tfoot th thead time title tr track "
_BLOCK += "ul video"
_INLINE_NAMES = frozenset(_INLINE.split())
_TAG = re.compile(
    rf"<(?:/?({'|'.join(sorted((_INLINE + ' ' + _BLOCK).split(), key=len, reverse=True))})(?:[\s/][^<>]{{0,1000}})?"
    r"|!--[^<>]{0,1000}--|!doctype[^<>]{0,200})>",
    re.IGNORECASE | re.ASCII,
)
_RUN = re.compile(r"[^\x00-\x7f]+")
_RUN_AND_BASE = re.compile(r"[!-~]?[^\x00-\x7f]+")
"""With the character before, with which a mark may combine. An ASCII character never combines with what stands before
it, and in NFC nothing outside of ASCII combines with an ASCII character, so runs can be converted one by one."""
_CAPITAL = re.compile("[A-Z](?=[\u0300-\u036f])")
"""Some marks combine with the small letter alone."""
_INVISIBLE = re.compile("[\u00ad\u034f\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")
_RARE = re.compile(f"[\u0300-\u036f{_INVISIBLE.pattern[1:-1]}]")
"""Characters for which the slower steps are needed."""
_SPACING_ACCENT = re.compile(
    "[\u00a8\u00af\u00b4\u00b8\u02d8-\u02dd\u037a\u0384\u0385\u1fbd-\u1fc1\u1fcd-\u1fcf\u1fdd-\u1fdf\u1fed-\u1fef"
    "\u1ffd\u1ffe\u2017\u203e\u309b\u309c\ufc5e-\ufc63\ufe70\ufe72\ufe74\ufe76\ufe78\ufe7a\ufe7c\ufe7e]"
)
"""Accents that stand alone, often for a quote: NFKC would make a space with a mark of them."""
_OWN_WORDS = (
    *((0x0E01, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029)),
    *((0x3031, 0x3035), (0x3040, 0x30FF), (0x3100, 0x312F), (0x31A0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF)),
    *((0xF900, 0xFAFF), (0x1B000, 0x1B2FF), (0x20000, 0x3FFFF)),
)
"""Code points, first and last, of which each is a word."""
_CACHED_RUN = 24
_SPARSE = 16
"""Bytes a run of characters outside of ASCII from which on the runs are converted one by one, not the whole text."""


class Spans(NamedTuple):
    """First character and the one after the last of every word, as places in the original text."""

    starts: Places
    ends: Places


class _Edit(NamedTuple):
    """A stretch that was replaced: its place in the new text and in the old one."""

    new_start: int
    new_end: int
    old_start: int
    old_end: int


def comparison_bytes(data: bytes) -> bytes:
    """Plain bytes of a UTF-8 text, not yet folded: their words are `translate(FOLD).split()`. UnicodeDecodeError."""
    return data if is_plain(data) else _plain(data.decode())


def is_plain(data: bytes) -> bool:
    """Whether the bytes need no conversion."""
    return data.isascii() and b"&" not in data and b"<" not in data


def words_of(text: str) -> list[bytes]:
    """The comparison words of a text, in order."""
    return _plain(text).translate(FOLD).split()


def word_spans(text: str) -> Spans:
    """Where each word of `words_of` stands in the original text.

    A word that was changed by decoding is led back to all the characters it was made from.
    """
    edits: list[list[_Edit]] = []
    data = _substitute(_RUN, _convert_run, _decoded(text, edits), edits, split=True).encode()
    starts, ends = word_edges(np.frombuffer(data, np.uint8))
    if not data.isascii():
        first_bytes = (np.frombuffer(data, np.uint8) & 0xC0) != 0x80
        places = np.concatenate(([0], np.cumsum(first_bytes)))
        starts, ends = places[starts], places[ends]
    for step in reversed(edits):
        starts, ends = _lead_back(starts, step, False), _lead_back(ends - 1, step, True)
    return Spans(starts, ends)


def word_edges(data: NDArray[np.uint8]) -> tuple[Places, Places]:
    """First byte, and the one after the last, of every word of plain bytes."""
    inside = np.zeros(len(data) + 2, np.bool_)
    inside[1:-1] = IS_WORD[data]
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    return edges[::2], edges[1::2]


def _plain(text: str) -> bytes:
    text = _decoded(text)
    if text.isascii():
        return text.encode()
    # Half a surrogate pair is no character: it separates words like any other symbol.
    data = text.encode(errors="surrogatepass")
    places = np.flatnonzero(np.frombuffer(data, np.uint8) >= 128)
    first = np.flatnonzero(np.diff(places, prepend=-2) > 1)
    if len(data) < _SPARSE * len(first) or len(data) < _SPARSE * len(places):
        return _converted.__wrapped__(text).encode()
    parts, done = [], 0
    for begin, end in zip(places[first], np.append(places[first[1:] - 1], places[-1]) + 1, strict=True):
        parts += [data[done:begin], _convert_run(data[begin:end].decode(errors="surrogatepass")).encode()]
        done = end
    return b"".join([*parts, data[done:]])


def _decoded(text: str, edits: list[list[_Edit]] | None = None) -> str:
    """Without entities, tags and invisible characters, in NFC; `edits` takes what each step replaced."""
    if "&" in text:
        text = _substitute(_ENTITY, _decode_entity, text, edits)
    if "<" in text:
        text = _substitute(_TAG, _drop_tag, text, edits)
    if not text.isascii() and _RARE.search(text):
        text = _substitute(_INVISIBLE, _drop, text, edits)
        text = _substitute(_CAPITAL, str.lower, text, edits)
    if not unicodedata.is_normalized("NFC", text):
        text = _substitute(_RUN_AND_BASE, _compose, text, edits, split=True)
    return text


def _compose(run: str) -> str:
    return unicodedata.normalize("NFC", run)


def _substitute(
    pattern: re.Pattern[str],
    replace: Callable[[str], str],
    text: str,
    edits: list[list[_Edit]] | None,
    split: bool = False,
) -> str:
    if edits is None:
        return pattern.sub(lambda match: replace(match.group()), text)
    step: list[_Edit] = []
    parts: list[str] = []
    done = length = 0
    for match in pattern.finditer(text):
        begin, end = match.span()
        length += begin - done
        parts.append(text[done:begin])
        for piece, new in _pieces(match.group(), replace, split):
            parts.append(new)
            step.append(_Edit(length, length + len(new), begin, begin + len(piece)))
            begin, length = begin + len(piece), length + len(new)
        done = end
    edits.append(step)
    return "".join([*parts, text[done:]])


def _pieces(matched: str, replace: Callable[[str], str], split: bool) -> Iterator[tuple[str, str]]:
    """(old, new) of a match: character by character where that gives the same, so that places stay exact."""
    whole = replace(matched)
    single = [replace(char) for char in matched] if split else []
    if "".join(single) == whole and split:
        yield from zip(matched, single, strict=True)
    else:
        yield matched, whole


def _lead_back(places: Places, step: list[_Edit], to_end: bool) -> Places:
    """Characters of the new text as characters of the old one: the first, or with `to_end` the one after the last."""
    if not step:
        return places + to_end
    new_start, new_end, old_start, old_end = np.array(step, np.int64).T
    number = np.searchsorted(new_start, places, side="right") - 1
    known = np.maximum(number, 0)
    moved = np.where(number >= 0, places - new_end[known] + old_end[known], places) + to_end
    inside = (number >= 0) & (places < new_end[known])
    return np.where(inside, (old_end if to_end else old_start)[known], moved)


def _decode_entity(entity: str) -> str:
    """`&amp;quot;` was encoded twice: it is decoded until nothing changes."""
    while (decoded := html.unescape(entity)) != entity and _ENTITY.fullmatch(decoded):
        entity = decoded
    return decoded


def _drop_tag(tag: str) -> str:
    """Inline tags may stand inside a word, all others separate; a comment is nothing."""
    match = _TAG.fullmatch(tag)
    name = match.group(1) if match else None
    return "" if name is None or name.lower() in _INLINE_NAMES else " "


def _drop(_: str) -> str:
    return ""


def _convert_run(run: str) -> str:
    return _converted(run) if len(run) <= _CACHED_RUN else _converted.__wrapped__(run)


@functools.lru_cache(maxsize=1 << 16)
def _converted(run: str) -> str:
    """NFKC and casefold, until nothing changes; then every character is part of a word, a separator, or a word."""
    text = unicodedata.normalize("NFKC", _SPACING_ACCENT.sub(" ", run)).casefold()
    text = unicodedata.normalize("NFKC", text)
    return text.translate(_CLASSES)


class _Classes(dict[int, str | int]):
    """By code point what stands in the plain text for a character; filled as characters are met."""

    def __missing__(self, code: int) -> str | int:
        char = chr(code)
        category = unicodedata.category(char)
        if code < 128:
            found: str | int = code
        elif category[0] in "LMN":
            found = f" {char} " if any(first <= code <= last for first, last in _OWN_WORDS) else code
        else:
            found = "" if category == "Cf" else " "
        self[code] = found
        return found


_CLASSES = _Classes()
