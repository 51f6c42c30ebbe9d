"""The comparison forms of a text: one for whole replies, one for words.

raw text -> unify (quotes, NFKC, case, white space) -> normalize (one final mark dropped)
                                                    -> split_words (letters, marks, digits; "1.5" is one word)
"""

from __future__ import annotations

import re
import unicodedata

QUOTES = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u0060\u00b4\u2032\uff07", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\uff02", '"')
)
FINAL_MARKS = ".!?"
_INNER_POINT = re.compile(r"(?<=\d)[.,](?=\d)")


def unify(text: str) -> str:
    """Quotes unified, NFKC, casefolded, white space folded and trimmed; punctuation stays.

    Quotes go before NFKC, which would turn an acute accent into a space and a mark, and after it, which makes new ones.
    """
    folded = unicodedata.normalize("NFKC", text.translate(QUOTES)).translate(QUOTES).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def normalize(text: str) -> str:
    """The form that rule `exact` compares: `unify`, then one final `.`, `!` or `?` dropped unless that is all."""
    form = unify(text)
    if form and form[-1] in FINAL_MARKS:
        return form[:-1].rstrip() or form
    return form


def split_words(text: str) -> list[str]:
    """Words of a text in comparison form: runs of letters, marks, digits and underscores.

    A point or comma between two digits belongs to the word, so "4" is not a word of "1.4".
    """
    form = unify(text)
    inner = {hit.start() for hit in _INNER_POINT.finditer(form)}
    return "".join(c if i in inner or _is_word_character(c) else " " for i, c in enumerate(form)).split()


def _is_word_character(c: str) -> bool:
    return c.isalnum() or c == "_" or unicodedata.category(c).startswith("M")


def has_phrase(words: list[str], phrase: list[str]) -> bool:
    """True when `phrase` stands in `words` as whole words in a row. An empty phrase stands nowhere."""
    size = len(phrase)
    return size > 0 and any(words[i : i + size] == phrase for i in range(len(words) - size + 1))
