"""Why a document was dropped, in words, with the setting that decides it and the limit that held in this run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from picochat.views.reading import dict_of, value_at


class DropReason(NamedTuple):
    """`setting` is the key of the configuration that decides, empty where nothing can be set."""

    says: str
    setting: str = ""


REASONS: Mapping[str, DropReason] = {
    "exact_duplicate": DropReason("the same text, but for case and white space, stands in an earlier document"),
    "near_duplicate": DropReason(
        "most of its word groups stand in another document, which stays", "data.duplicates.threshold"
    ),
    "duplicate_of_dropped": DropReason("a copy of a document that was itself dropped"),
    "contaminated": DropReason("it holds rows on which the model is judged, and the pack drops such documents"),
    "too_short": DropReason("it has fewer characters than the least", "data.cleaning.min_chars"),
    "too_long": DropReason("it has more characters than the most", "data.cleaning.max_chars"),
    "empty": DropReason("it holds white space alone"),
    "not_utf8": DropReason("its bytes are no UTF-8 text, or its escapes spell half of a character"),
    "binary": DropReason("it holds bytes of no text"),
    "jsonl": DropReason("it is a file of JSON rows under the name of a text: import it as rows"),
    "file_too_large": DropReason("the file is larger than a text is read"),
    "replacement_characters": DropReason(
        "too many characters are the mark of a wrong decoding", "data.cleaning.max_replacement_frac"
    ),
    "long_line": DropReason("one of its lines is longer than the most", "data.cleaning.max_line_chars"),
    "few_letters": DropReason("too few visible characters are letters or digits", "data.cleaning.min_alnum_frac"),
    "repeated_lines": DropReason("too many of its lines repeat earlier ones", "data.cleaning.max_repeated_lines_frac"),
    "repeated_grams": DropReason(
        "too many of its words lie in groups of ten that repeat", "data.cleaning.max_repeated_grams_frac"
    ),
    "secret": DropReason("it holds what looks like a key or token", "data.cleaning.secrets"),
    "email": DropReason("it holds an e-mail address", "data.cleaning.emails"),
    "row_broken": DropReason("the row does not have the columns of its header"),
    "row_not_json": DropReason("the row is no JSON"),
    "row_not_object": DropReason("the row is no JSON object"),
    "row_not_text": DropReason("the named column holds no text in this row"),
    "row_too_long": DropReason("the row is longer than a row is read"),
    "row_without_column": DropReason("the row lacks the named column"),
}


def explain_reason(reason: str, run: Mapping[str, Any]) -> dict[str, Any]:
    """What a reason means under the settings of a run record: the limit is None where none is known."""
    code = reason.partition(":")[0]
    known = REASONS.get(code)
    if known is None:
        return {"says": code.replace("_", " "), "setting": None, "limit": None}
    limit = value_at(dict_of(run), "config", *known.setting.split(".")) if known.setting else None
    return {"says": known.says, "setting": known.setting or None, "limit": limit}
