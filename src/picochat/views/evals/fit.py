"""Fit, held-out fit and eval: three numbers in three places, with the gaps between neighbours, and never their sum.

Every rate is the one that eval/report.json holds, every loss the one of sft/report.json. What is not there is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.views.evals.artifact_state import Artifact, objects
from picochat.views.reading import dict_of, number_of, value_at

Numbers = dict[str, Any]
SETS = {"fit": "fit", "heldout": "held-out fit", "eval": "eval"}
"""In this order they stand side by side; a gap is one less the next."""
MEANS = {
    "fit": "answers to rows that were trained on",
    "heldout": "other templates and entities of the same families",
    "eval": "independent rows",
}
BENIGN = "benign"


def build_fit(evaluated: Artifact, trained: Artifact) -> Numbers:
    """The panel of an SFT: three sets with their categories, gaps, and the losses of the training."""
    sets = {name: _set(evaluated, name) for name in SETS}
    categories = sorted({category for found in sets.values() for category in found["categories"]})
    return {
        "source": evaluated.shown,
        "sets": sets,
        "gaps": _gaps({name: found["mean_skill"] for name, found in sets.items()}),
        "categories": [
            {
                "category": category,
                "sets": {name: sets[name]["categories"].get(category) for name in SETS},
                "gaps": _gaps({name: sets[name]["categories"].get(category) for name in SETS}),
            }
            for category in categories
        ],
        "training": _training(trained),
    }


def _set(evaluated: Artifact, name: str) -> Numbers:
    """One set; `asked` is False where the report has none of it."""
    entry = value_at(evaluated.body, "sets", name)
    summary = dict_of(value_at(entry, "summary"))
    named = {str(key): read_rate(found) for key, found in dict_of(summary.get("categories")).items()}
    benign = read_rate(summary.get("benign"))
    return {
        "title": SETS[name],
        "means": MEANS[name],
        "asked": isinstance(entry, dict),
        "n": number_of(summary.get("n")),
        "mean_skill": read_rate(summary.get("mean_skill")),
        "categories": named | ({BENIGN: benign} if benign else {}),
        "faults": {key: read_rate(summary.get(key)) for key in ("echo", "repetition", "unfinished", "unsupported")},
    }


def read_rate(found: Any) -> Numbers | None:
    """k, n, rate and 95 % interval as they are stored; None for what is no rate, or was asked of nothing."""
    rate = number_of(value_at(found, "rate"))
    if rate is None:
        return None
    kept: Numbers = {"rate": rate, "interval": read_interval(value_at(found, "interval"))}
    kept |= {key: number_of(value_at(found, key)) for key in ("k", "n")}
    levels = {str(name): read_rate(level) for name, level in dict_of(value_at(found, "levels")).items()}
    return kept | {"levels": levels, "template_interval": read_interval(value_at(found, "template_interval"))}


def read_interval(value: Any) -> list[float] | None:
    """Two numbers, or None."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    low, high = (number_of(bound) for bound in value)
    return None if low is None or high is None else [low, high]


def _gaps(rates: Mapping[str, Numbers | None]) -> list[Numbers]:
    """The step from each set to the next; `apart` says that their intervals do not touch. None is not known."""
    names = list(SETS)
    return [_gap(first, second, rates[first], rates[second]) for first, second in zip(names, names[1:], strict=False)]


def _gap(first: str, second: str, one: Numbers | None, other: Numbers | None) -> Numbers:
    gap: Numbers = {"from": first, "to": second, "points": None, "apart": None}
    if one is None or other is None:
        return gap
    gap["points"] = one["rate"] - other["rate"]
    if one["interval"] and other["interval"]:
        gap["apart"] = one["interval"][0] > other["interval"][1] or other["interval"][0] > one["interval"][1]
    return gap


def _training(trained: Artifact) -> Numbers:
    """Losses of the fine-tuning, and what it cost of the base model's text."""
    report = trained.body
    keys = ("first_loss", "final_loss", "steps", "planned_steps", "epochs")
    validation = {key: number_of(value_at(report, "validation", key)) for key in ("loss", "loss_se", "bpb", "bpb_se")}
    return {
        "source": trained.shown,
        **{key: number_of(value_at(report, "training", key)) for key in keys},
        "validation": validation,
        "history": [
            {key: number_of(entry.get(key)) for key in ("step", "loss", "bpb")}
            for entry in objects(value_at(report, "validation", "history"))
        ],
        "forgetting": {key: number_of(value_at(report, "forgetting", key)) for key in ("before_bpb", "after_bpb")},
        "conversations": number_of(value_at(report, "sft", "conversations")),
    }
