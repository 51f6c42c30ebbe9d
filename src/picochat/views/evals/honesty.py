"""What a run says about its own honesty: what stands in the training text, what is known by heart, faulty replies.

Numbers are those of honesty.json, memorisation.json and eval/report.json; what was not measured is None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.views.evals.artifact_state import Artifact, objects
from picochat.views.evals.fit import SETS, read_interval, read_rate
from picochat.views.evals.shown import LIST_CHARS, WHOLE_CHARS, shown, shown_list
from picochat.views.reading import dict_of, number_of, numbers_of, value_at

Document = dict[str, Any]
SECTION = "contamination"
COLUMNS = ("question", "answer", "both", "document", "row", "prompt", "template", "entity")
"""Of the matrix, as far as a cell has them: None is another kind of set."""
COUNTS = ("items", "dirty", "clean", "uncheckable")
FAULTS = ("echo", "repetition", "unfinished", "unsupported", "benign")
_SIDES = ("all", "clean", "dirty", "uncheckable")
MAX_IDS = 200
OTHER_ROWS = "its rows are others than those that were looked for"


def build_honesty(
    found: Artifact,
    known: Artifact,
    evaluated: Artifact,
    summary: Artifact,
    refused: Mapping[str, Document | None] | None = None,
) -> Document:
    """The page from four artifacts, each of which may be missing. `refused` are rates of over-refusal by set."""
    return {
        "contamination": _contamination(found, summary, list_rescan(found, evaluated)),
        "memorisation": _memorisation(known),
        "replies": _replies(evaluated, refused or {}),
    }


def list_rescan(found: Artifact, evaluated: Artifact) -> list[str]:
    """Sets whose rows are other files than those that were looked for: what was found says nothing of them."""
    scanned, asked = _inputs(found), _inputs(evaluated)
    sources = {name: value_at(entry, "source") for name, entry in dict_of(evaluated.value("sets")).items()}
    judged = {name: str(path) for name, path in sources.items() if name in dict_of(found.value(SECTION, "sets"))}
    return [name for name, path in judged.items() if path in asked and asked[path] != scanned.get(path)]


def _inputs(artifact: Artifact) -> dict[str, str]:
    """Digests of the files that a report says it read, by path."""
    listed = objects(artifact.value("manifest", "inputs"))
    return {str(entry.get("path")): str(entry.get("sha256")) for entry in listed}


def _contamination(found: Artifact, summary: Artifact, rescan: list[str]) -> Document:
    section = dict_of(found.value(SECTION))
    scores = dict_of(summary.value("facts", SECTION, "sets"))
    matrix = [_cell(entry) for entry in objects(section.get("matrix"))]
    return {
        "source": found.shown,
        "columns": [name for name in COLUMNS if any(cell[name] is not None for cell in matrix)],
        "matrix": matrix,
        "against": [
            {"name": shown(name, 200), **{key: number_of(value_at(entry, key)) for key in ("documents", "bytes")}}
            for name, entry in sorted(dict_of(section.get("against")).items())
        ],
        "sets": [
            _set(name, entry, dict_of(value_at(scores, name, "scores")))
            for name, entry in sorted(dict_of(section.get("sets")).items())
        ],
        "totals": {key: number_of(value_at(section, "totals", key)) for key in (*COUNTS, "hits", "stored_hits")},
        "not_scanned": [
            {key: shown(entry.get(key), 300) for key in ("set", "reason")}
            for entry in objects(section.get("not_scanned"))
        ]
        + [{"set": shown(name, 200), "reason": OTHER_ROWS} for name in rescan],
        "rules": {key: value for key, value in numbers_of(section.get("rules")).items() if value is not None},
    }


def _cell(entry: Document) -> Document:
    named = {key: shown(entry.get(key), 200) for key in ("set", "against")}
    return named | {key: number_of(entry.get(key)) for key in ("items", "dirty", "hits", *COLUMNS)}


def _set(name: str, entry: Any, scores: Document) -> Document:
    """One set with its counts, boilerplate that was taken out, and its scores on all, clean and dirty items."""
    return {
        "name": shown(name, 200),
        "kind": shown(value_at(entry, "kind"), 80),
        **{key: number_of(value_at(entry, key)) for key in COUNTS},
        "dirty_ids": shown_list(value_at(entry, "dirty_ids"), 200, MAX_IDS),
        "boilerplate": [
            {"text": shown(phrase.get("text"), 400), "items": number_of(phrase.get("items"))}
            for phrase in objects(value_at(entry, "boilerplate", "phrases"))[:50]
        ],
        "spans": _spans(entry),
        "scores": {
            shown(label, 200): {side: read_rate(value_at(sides, side)) for side in _SIDES}
            for label, sides in scores.items()
        },
    }


def _spans(entry: Any) -> list[Document]:
    """Shares of spans of held-out documents that a training text has too."""
    shares = dict_of(value_at(entry, "spans", "shares"))
    return [
        {"against": shown(name, 200), "words": shown(words, 20)}
        | {key: number_of(value_at(rate, key)) for key in ("k", "n", "rate")}
        for name, by_words in sorted(shares.items())
        for words, rate in sorted(dict_of(by_words).items(), key=lambda pair: (len(pair[0]), pair[0]))
    ]


def _memorisation(known: Artifact) -> Document:
    keys = ("prefix_tokens", "suffix_tokens", "documents", "samples", "references", "shortest_copy_words")
    return {
        "source": known.shown,
        "settings": {key: number_of(known.value("settings", key)) for key in keys},
        "scaled": known.value("settings", "scaled") is True,
        "models": [_model(name, entry) for name, entry in sorted(dict_of(known.value("models")).items())],
    }


def _model(name: str, entry: Any) -> Document:
    digest = value_at(entry, "weights_digest")
    return {
        "name": shown(name, 80),
        "weights_digest": digest if isinstance(digest, str) else None,
        "extractable": {side: read_rate(value_at(entry, "extractable", side)) for side in ("train", "val")}
        | _difference(entry, "extractable", "difference"),
        "canaries": {
            "n": number_of(value_at(entry, "canaries", "n")),
            "candidates": number_of(value_at(entry, "canaries", "candidates")),
            "by_copies": [
                {"copies": copies} | {key: number_of(value_at(bits, key)) for key in ("n", "mean", "least", "most")}
                for copies, bits in sorted(_by_copies(entry))
            ],
        },
        "copied": {
            key: number_of(value_at(entry, "copied", key))
            for key in ("samples", "longest_words", "median_words", "sample_words", "document")
        },
        "loss": {
            side: {key: number_of(value_at(entry, "loss", side, key)) for key in ("loss", "se", "documents")}
            for side in ("train", "val")
        }
        | _difference(entry, "loss", "gap"),
    }


def _difference(entry: Any, section: str, key: str) -> Document:
    return {
        "difference": number_of(value_at(entry, section, key)),
        "interval": read_interval(value_at(entry, section, "interval")),
    }


def _by_copies(entry: Any) -> list[tuple[int, Any]]:
    found = dict_of(value_at(entry, "canaries", "by_copies"))
    return [(int(copies), bits) for copies, bits in found.items() if copies.isascii() and copies.isdecimal()]


def _replies(evaluated: Artifact, refused: Mapping[str, Document | None]) -> Document:
    """Faults of replies by set; `benign` are harmless requests that were answered rightly, `refused` those refused."""
    sets = {}
    for name, title in SETS.items():
        summary = evaluated.value("sets", name, "summary")
        sets[name] = {"title": title} | {fault: read_rate(value_at(summary, fault)) for fault in FAULTS}
        sets[name]["refused"] = read_rate(refused.get(name))
    return {"source": evaluated.shown, "sets": sets}


def show_hit(row: Document, place: int, *, whole: bool = False) -> Document:
    """One hit: the passage of the item, and where the training text has it."""
    limit = WHOLE_CHARS if whole else LIST_CHARS
    return {
        "place": place,
        **{key: shown(row.get(key), 300) for key in ("set", "item", "column", "rule", "against", "value")},
        "equal_words": number_of(row.get("n_equal")),
        "share": number_of(row.get("share")),
        "item_passage": _passage(row.get("item_passage"), limit),
        "places": [
            {"number": number_of(found.get("number"))} | _passage(found, limit)
            for found in objects(row.get("places"))[:20]
        ],
    }


def _passage(found: Any, limit: int) -> Document:
    bounds = {key: number_of(value_at(found, key)) for key in ("start", "end")}
    return bounds | {"text": shown(value_at(found, "text"), limit)}
