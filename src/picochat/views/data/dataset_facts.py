"""What a run's data is, as far as its artifacts say: pack, sources, counts, drops, duplicates, splits, chat rows.

Every part has a state of its own; a number that nobody wrote down is None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.views.data.drop_reasons import explain_reason
from picochat.views.reading import (
    Found,
    dict_of,
    find_document,
    list_of,
    number_of,
    numbers_of,
    text_of,
    value_at,
)

MOST = 500
ON_THE_HUB = ("hf", "climbmix")
UNKNOWN_WORDS = (None, "", "unknown")


def read_dataset(root: Path) -> dict[str, Any]:
    """The corpus of a run and the chat rows beside it."""
    found, run = find_document(root, layout.CORPUS_MANIFEST), find_document(root, layout.RUN).body
    return {
        "state": found.state,
        "why": found.why,
        "pack": _pack(found),
        "counts": numbers_of(found.value("counts")),
        "split": {
            "val_fraction": found.number("split", "val_fraction"),
            "salt": text_of(found.value("split", "salt")),
        },
        "sources": [_source(entry) for entry in list_of(found.value("sources"))[:MOST]],
        "dropped": _dropped(found, run),
        "duplicates": _duplicates(found),
        "checks": numbers_of(found.value("checks")),
        "chat": _chat(found),
        "warnings": _texts(found.value("warnings")),
        "identity": {str(key): text_of(value) for key, value in dict_of(found.value("identity")).items()},
    }


def _pack(found: Found) -> dict[str, Any]:
    keys = ("name", "description", "digest", "contamination", "path")
    return {key: text_of(found.value("pack", key)) for key in keys} | {
        "languages": _texts(found.value("pack", "languages"))
    }


def _source(entry: Any) -> dict[str, Any]:
    origin = value_at(entry, "import", "origin")
    reasons = numbers_of(value_at(entry, "dropped"))
    known = [count for count in reasons.values() if count is not None]
    texts = {key: text_of(value_at(entry, key)) for key in ("id", "path", "licence", "revision", "sha256", "format")}
    return {
        **texts,
        **{key: number_of(value_at(entry, key)) for key in ("read", "kept", "weight", "train_bytes", "token_budget")},
        **{key: number_of(value_at(entry, key)) for key in ("emails", "secrets")},
        "dropped": sum(known) if isinstance(value_at(entry, "dropped"), dict) else None,
        "dropped_because": reasons,
        "documents_are": text_of(value_at(entry, "documents_are")),
        "hub_dataset": text_of(value_at(origin, "name")) if value_at(origin, "kind") in ON_THE_HUB else None,
        "unknown": [key for key in ("licence", "revision") if texts[key] in UNKNOWN_WORDS],
    }


def _dropped(found: Found, run: Mapping[str, Any]) -> dict[str, Any]:
    """Reasons by how many documents they cost; None as total where nothing is known of drops."""
    counted = found.value("dropped", "by_reason")
    counts = {reason: count or 0 for reason, count in numbers_of(counted).items()}
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "total": sum(counts.values()) if isinstance(counted, dict) else None,
        "reasons": [{"reason": code, "documents": n, **explain_reason(code, run)} for code, n in ordered[:MOST]],
    }


def _duplicates(found: Found) -> dict[str, Any]:
    """How duplicates were searched for. `near` is "not_run" where nobody looked for near ones."""
    near = found.value("duplicates", "near")
    ran = isinstance(near, dict)
    engine = [str(value) for value in dict_of(value_at(near, "engine")).values()]
    return {
        "exact_removed": found.number("duplicates", "exact_removed"),
        "near_removed": found.number("duplicates", "near_removed") if ran else None,
        "near": ("ran" if "engine" in near else "off") if ran else text_of(near),
        "engine": " ".join(engine) or None,
        "found": numbers_of(
            near, ("documents", "candidate_pairs", "verified", "links", "components", "thinned_buckets")
        ),
        "parameters": {key: value for key, value in dict_of(value_at(near, "parameters")).items() if _is_plain(value)},
        "curve": [[key, number_of(value)] for key, value in sorted(dict_of(value_at(near, "s_curve")).items())],
        "audited": found.number("checks", "audited"),
        "left": found.number("checks", "audit_near"),
    }


def _chat(found: Found) -> dict[str, Any]:
    chat = found.value("chat")
    by_side = {
        "train": numbers_of(value_at(chat, "rows_by_category")),
        "heldout": numbers_of(value_at(chat, "heldout_rows_by_category")),
        "eval": numbers_of(value_at(chat, "eval_rows_by_category")),
    }
    categories = sorted({name for rows in by_side.values() for name in rows})
    keys = ("rows", "heldout_rows", "eval_rows", "mixed_rows", "disjoint_violations")
    return {
        **numbers_of(chat, keys),
        "categories": [
            {"category": name} | {side: rows.get(name) for side, rows in by_side.items()} for name in categories
        ],
    }


def _texts(value: Any) -> list[str]:
    return [text for text in list_of(value)[:MOST] if isinstance(text, str)]


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool) or value is None
