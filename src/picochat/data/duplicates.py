"""Exact duplicates: two documents with one comparison form are the same text, and the first in pack order stays."""

from __future__ import annotations

import hashlib
import unicodedata


def comparison_form(text: str) -> str:
    """NFKC, casefold, white space folded. Equal forms are exact duplicates."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


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
