"""The normal form of a document and the filters that it must pass. Nothing here knows a language or a script.

Every filter is a value of `CleaningConfig`; None switches it off. `clean` answers with the normal form or the reason.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from picochat.core.config import Config
from picochat.core.redact import mask_secrets, secret_shapes

GRAM_WORDS = 10
EMAIL_MASK = "[email]"
# It begins where a run of such characters begins, so a long run without an at sign is looked at once.
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])"
)
_FOREIGN = re.compile(r"[^\x00-\x7f]+")
_ASCII_SPACE = bytes(byte for byte in range(128) if chr(byte).isspace())
_ASCII_OTHER = bytes(byte for byte in range(128) if not chr(byte).isalnum())
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class CleaningConfig(Config):
    """Which documents are kept. Fractions are in 0..1; None switches a filter off."""

    max_replacement_frac: float | None = Field(default=0.001, ge=0, le=1)
    """Most U+FFFD among the characters: the trace of a wrong decoding."""
    min_chars: int | None = Field(default=40, ge=1)
    max_chars: int | None = Field(default=5_000_000, ge=1)
    max_repeated_lines_frac: float | None = Field(default=0.30, ge=0, le=1)
    """Most lines that stand earlier in the same document; empty lines do not count."""
    max_repeated_grams_frac: float | None = Field(default=0.20, ge=0, le=1)
    """Most words inside word 10-grams that stand earlier in the same document."""
    min_alnum_frac: float | None = Field(default=0.50, ge=0, le=1)
    """Fewest letters, marks and digits, of any script, among the visible characters."""
    max_line_chars: int | None = Field(default=1_000_000, ge=1)
    secrets: Literal["count", "mask", "drop"] = "count"
    """Documents with key-like secrets are flagged and counted; masked, the secret is replaced; or they are dropped."""
    emails: Literal["count", "mask", "drop"] = "count"
    """The same for e-mail addresses."""


class Cleaned(NamedTuple):
    """The text in normal form, or the reason why the document is dropped; never both."""

    text: str
    reason: str | None
    has_secret: bool = False
    has_email: bool = False


def normal_form(text: str) -> str:
    """NFC, `\\n` line ends, no BOM at the start, no control characters but tab and newline. Idempotent."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", _CONTROL.sub("", text).lstrip("\ufeff"))


def clean(text: str, config: CleaningConfig) -> Cleaned:
    """Brings a document into normal form and asks every filter, the cheap ones first."""
    if _has_surrogate(text):
        return Cleaned("", "not_utf8")
    normal = normal_form(text)
    reason = _rejection(normal, config)
    if reason is not None:
        return Cleaned("", reason)
    return _personal(normal, config)


def _personal(text: str, config: CleaningConfig) -> Cleaned:
    """Flags what may be a secret or an address; replaces or refuses it where that is asked for."""
    has_secret, has_email = secret_shapes(text) > 0, "@" in text and _EMAIL.search(text) is not None
    for name, found, wish in (("secret", has_secret, config.secrets), ("email", has_email, config.emails)):
        if found and wish == "drop":
            return Cleaned("", name)
    if has_secret and config.secrets == "mask":
        text = mask_secrets(text)
    if has_email and config.emails == "mask":
        text = _EMAIL.sub(EMAIL_MASK, text)
    return Cleaned(text, None, has_secret, has_email)


def _rejection(text: str, config: CleaningConfig) -> str | None:
    n_chars = len(text)
    if not text.strip():
        return "empty"
    if _under(n_chars, config.min_chars):
        return "too_short"
    if _over(n_chars, config.max_chars):
        return "too_long"
    if _over(text.count("\ufffd") / n_chars, config.max_replacement_frac):
        return "replacement_characters"
    lines = text.split("\n")
    if _over(max(map(len, lines)), config.max_line_chars):
        return "long_line"
    if config.min_alnum_frac is not None and alnum_frac(text, config.min_alnum_frac) < config.min_alnum_frac:
        return "few_letters"
    if config.max_repeated_lines_frac is not None and repeated_lines_frac(lines) > config.max_repeated_lines_frac:
        return "repeated_lines"
    if config.max_repeated_grams_frac is not None and repeated_grams_frac(text) > config.max_repeated_grams_frac:
        return "repeated_grams"
    return None


def alnum_frac(text: str, enough: float = 1.0) -> float:
    """Letters, digits and combining marks of any script among the visible characters.

    Marks carry the vowels of many scripts; they are counted only when letters and digits alone are not `enough`.
    """
    if text.isascii():  # bytes are deleted many times faster than characters are asked
        data = text.encode("ascii")
        visible, count = len(data.translate(None, _ASCII_SPACE)), len(data.translate(None, _ASCII_OTHER))
        return count / visible if visible else 0.0
    shown = "".join(text.split())
    if not shown:
        return 0.0
    foreign = "".join(_FOREIGN.findall(shown))
    count = len(shown.encode("ascii", "ignore").translate(None, _ASCII_OTHER)) + sum(map(str.isalnum, foreign))
    if count / len(shown) < enough:
        count += sum(unicodedata.category(char).startswith("M") for char in foreign)
    return count / len(shown)


def repeated_lines_frac(lines: list[str]) -> float:
    """The share of the non-empty lines that stand earlier in the document."""
    stripped = [line.strip() for line in lines]
    filled = [line for line in stripped if line]
    return 1 - len(set(filled)) / len(filled) if filled else 0.0


def repeated_grams_frac(text: str) -> float:
    """The share of the words that lie inside a word 10-gram which stands earlier in the document."""
    words = text.split()
    n_grams = len(words) - GRAM_WORDS + 1
    if n_grams < 2:
        return 0.0
    grams = _gram_hashes(words, n_grams)
    ordered = np.sort(grams)
    if np.all(ordered[1:] != ordered[:-1]):
        return 0.0
    _, first = np.unique(grams, return_index=True)
    repeated = np.ones(n_grams, dtype=np.int64)
    repeated[first] = 0
    edges = np.zeros(len(words) + 1, dtype=np.int64)
    edges[:n_grams] += repeated
    edges[GRAM_WORDS:] -= repeated
    return float(np.count_nonzero(np.cumsum(edges[:-1])) / len(words))


def _gram_hashes(words: list[str], n_grams: int) -> np.ndarray:
    """A 64-bit polynomial hash of every window of 10 words, wrapping modulo 2**64, as a difference of prefix sums.

    A word is known by Python's own hash, which differs from process to process: only equality is ever asked.
    """
    ids = np.fromiter(map(hash, words), dtype=np.int64, count=len(words)).view(np.uint64)
    mixed = (ids ^ (ids >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    powers, inverses = _powers(1 << max(10, len(words).bit_length()))
    sums = np.cumsum(np.append(np.uint64(0), mixed * powers[: len(words)]))
    return (sums[GRAM_WORDS:] - sums[:-GRAM_WORDS]) * inverses[:n_grams]


@lru_cache(maxsize=4)
def _powers(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Powers of an odd number and of its inverse modulo 2**64."""
    root = 0xD6E8FEB86659FD93
    bases = (root, pow(root, -1, 1 << 64))
    one = np.array([1], np.uint64)
    first, second = (np.cumprod(np.append(one, np.full(size - 1, base, np.uint64))) for base in bases)
    return first, second


def _has_surrogate(text: str) -> bool:
    """Half of a surrogate pair, as broken JSON escapes leave it, is no Unicode text and cannot be written."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _over(value: float, limit: float | None) -> bool:
    return limit is not None and value > limit


def _under(value: float, limit: float | None) -> bool:
    return limit is not None and value < limit
