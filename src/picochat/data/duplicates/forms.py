"""Exact duplicates: two documents with one comparison form are the same text, and the first in pack order stays."""

from __future__ import annotations

import hashlib
import unicodedata

_FOLD_BYTES = bytes(
    32 if byte < 128 and chr(byte).isspace() else ord(chr(byte).lower()) if byte < 128 else byte for byte in range(256)
)
"""ASCII to lower case and every kind of its white space to a blank; the bytes of other characters stay."""
_BLANKS_OUTSIDE_ASCII = "\x85\u1680\u2028\u2029"
"""The white space that NFKC leaves; it makes a blank of every other kind."""


def comparison_form(text: str) -> str:
    """NFKC, casefold, white space folded. Equal forms are exact duplicates."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).casefold()
        for blank in _BLANKS_OUTSIDE_ASCII:
            text = text.replace(blank, " ")
    # Bytes are mapped one by one and cut only where two blanks meet: much faster than to part and join all words.
    folded = text.encode(errors="surrogatepass").translate(_FOLD_BYTES)
    parts = [part for piece in folded.split(b"  ") if (part := piece.strip(b" "))]
    return b" ".join(parts).decode(errors="surrogatepass")


def cluster_of(form: str) -> int:
    """The number of an exact cluster: the first 8 bytes of the form's sha256, as u64."""
    return int.from_bytes(hashlib.sha256(form.encode()).digest()[:8], "big")


class ExactDuplicates:
    """Remembers the comparison forms that were seen, 32 bytes each."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def is_first(self, form: str) -> bool:
        """Whether no earlier document had this comparison form; the form is remembered."""
        digest = hashlib.sha256(form.encode()).digest()
        if digest in self._seen:
            return False
        self._seen.add(digest)
        return True
