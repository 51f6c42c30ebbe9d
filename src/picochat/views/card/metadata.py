"""The metadata block of a model card, in the keys that the Hugging Face hub reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Content = Mapping[str, Any]
UNKNOWN = "unknown"
HUB_LICENCES = frozenset(
    [
        "apache-2.0",
        "mit",
        "openrail",
        "bsd",
        "bsd-2-clause",
        "bsd-3-clause",
        "cc",
        "cc0-1.0",
        "cc-by-2.0",
        "cc-by-3.0",
        "cc-by-4.0",
        "cc-by-sa-3.0",
        "cc-by-sa-4.0",
        "cc-by-nc-4.0",
        "cc-by-nc-sa-4.0",
        "cc-by-nd-4.0",
        "wtfpl",
        "artistic-2.0",
        "gpl",
        "gpl-2.0",
        "gpl-3.0",
        "agpl-3.0",
        "lgpl",
        "lgpl-2.1",
        "lgpl-3.0",
        "mpl-2.0",
        "odc-by",
        "odbl",
        "pddl",
        "unlicense",
        "zlib",
        "etalab-2.0",
        "isc",
        "epl-2.0",
        "eupl-1.1",
    ]
)
"""Identifiers that the hub knows. Others are `other` with a name; an unknown one is `unknown`."""
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_SET_NAMES = {"eval": "eval questions", "heldout": "held-out questions", "fit": "questions that were trained on"}


def build_metadata(content: Content, more: Content) -> dict[str, Any]:
    """Only keys whose value is known, but for the licence, which says `unknown`."""
    facts, data = content["facts"], more["data"]
    found: dict[str, Any] = licence_of(data["sources"])
    languages = [name for name in data["languages"] if _LANGUAGE.fullmatch(name)]
    if languages:
        found["language"] = languages
    found |= {
        "library_name": "picochat",
        "pipeline_tag": "text-generation",
        "tags": ["picochat", "text-generation", f"gate-{content['verdict']}", f"profile-{content['profile']}"],
    }
    if hub := sorted({source["hub_dataset"] for source in data["sources"] if source["hub_dataset"]}):
        found["datasets"] = hub
    name = (facts["run"] or {}).get("name") or "run"
    if results := _results(facts):
        found["model-index"] = [{"name": name, "results": results}]
    return found


def licence_of(sources: list[Content]) -> dict[str, Any]:
    """The licence that the sources agree on. One unknown source makes the whole unknown."""
    names = sorted({source["licence"] or UNKNOWN for source in sources})
    if not names or UNKNOWN in names:
        return {"license": UNKNOWN}
    if len(names) == 1 and names[0].lower() in HUB_LICENCES:
        return {"license": names[0].lower()}
    return {"license": "other", "license_name": " and ".join(names)}


def _results(facts: Content) -> list[dict[str, Any]]:
    """A result for each set and benchmark that was measured. None is verified by the hub, and each says so."""
    results = []
    for kind, label in _SET_NAMES.items():
        metrics = [
            _metric("accuracy", f"{category}, share of right answers", sets[kind]["rate"])
            for category, sets in sorted(facts["rates"].items())
            if sets.get(kind) and sets[kind]["rate"] is not None
        ]
        if metrics:
            results.append(_result(f"own {label}", f"picochat-{kind}", metrics))
    for found in facts["benchmarks"]:
        if found["rate"] is not None:
            name = found["name"] + (" (partial)" if found["partial"] else "")
            results.append(_result(name, found["name"], [_metric("accuracy", "headline score", found["rate"])]))
    if (bpb := facts["base"]["bpb"]) is not None:
        results.append(
            _result("held-out documents", "picochat-held-out", [_metric("bits_per_byte", "base, bits per byte", bpb)])
        )
    return results


def _result(name: str, kind: str, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "task": {"type": "text-generation", "name": "Text generation"},
        "dataset": {"name": name, "type": kind},
        "metrics": metrics,
    }


def _metric(kind: str, name: str, value: float) -> dict[str, Any]:
    return {"type": kind, "name": name, "value": round(value, 6), "verified": False}
