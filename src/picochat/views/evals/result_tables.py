"""The results of a run as tables of words and numbers: the same rows for summary, report page and model card."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from picochat.core.units import format_bytes, format_count, format_duration
from picochat.views.checks import UNKNOWN, format_interval, format_value
from picochat.views.dataset import Table

Content = Mapping[str, Any]
NOT_SCANNED = "Not scanned: whether eval rows or benchmark items stand in the training text is not known"


def cures(checks: Iterable[Content]) -> dict[str, list[str]]:
    """What mends the checks that did not pass, each once, with the checks that it mends."""
    found: dict[str, list[str]] = {}
    for check in checks:
        if check["verdict"] != "pass" and check["fix"]:
            found.setdefault(check["fix"], []).append(check["id"])
    return found


def rates_table(rates: Mapping[str, Content]) -> Table:
    """Fit, held-out fit and eval side by side."""
    sets = ("fit", "heldout", "eval")
    rows = [[name, *(_rate(found.get(key)) for key in sets)] for name, found in sorted(rates.items())]
    return Table("", ["rows", "fit", "held-out fit", "eval"], rows)


def _rate(numbers: Content | None) -> str:
    if not numbers or numbers["rate"] is None:
        return UNKNOWN
    return f"{numbers['rate']:.3f} {format_interval(numbers['interval'])} ({numbers['k']:,} of {numbers['n']:,})"


def contaminated_items(found: Content) -> Table:
    """By set: items, and how many of them stand in the training text."""
    rows = []
    for name, entry in sorted(found["sets"].items()):
        numbers = [format_value(entry[key]) for key in ("items", "dirty", "clean", "uncheckable")]
        rows.append([name, *numbers, entry["problem"]])
    return Table("", ["set", "items", "in the training text", "clean", "uncheckable", "problem"], rows)


def clean_scores(found: Content) -> Table:
    """Scores on all items, on the clean, on the dirty ones, and on those that could not be checked."""
    rows = []
    for name, entry in sorted(found["sets"].items()):
        for label, sides in entry["scores"].items():
            scores = (_score(sides[side]) for side in ("all", "clean", "dirty", "uncheckable"))
            rows.append([name if label == "score" else f"{name}: {label}", *scores])
    return Table("", ["rows", "all", "clean", "in the training text", "uncheckable"], rows)


def _score(numbers: Content | None) -> str:
    if not numbers or numbers["rate"] is None:
        return UNKNOWN
    return f"{numbers['rate']:.3f} {format_interval(numbers['interval'])} (n = {numbers['n']:,})"


def losses_table(facts: Content) -> Table:
    """Held-out bits per byte, the model among its n-gram baselines, best first."""
    values = [(f"n-gram: {name}", bpb) for name, bpb in facts["baselines"].items()]
    values += [("base", facts["base"]["bpb"]), ("base, after SFT", facts["forgetting"]["after_bpb"])]
    known = sorted(((name, bpb) for name, bpb in values if bpb is not None), key=lambda pair: (pair[1], pair[0]))
    return Table("", ["model", "held-out bits per byte"], [[name, f"{bpb:.4f}"] for name, bpb in known])


def benchmarks_table(benchmarks: Sequence[Content]) -> Table:
    rows = []
    for found in benchmarks:
        name = found["name"] + (" (partial)" if found["partial"] else "")
        score = f"{format_value(found['rate'], 'fraction')} {format_interval(found['interval'])}"
        adjusted = f"{format_value(found['adjusted'], 'fraction')} {format_interval(found['adjusted_interval'])}"
        chance = format_value(found["chance"], "fraction")
        rows.append([name, format_value(found["n"]), score, adjusted, chance, found["problem"]])
    return Table("", ["benchmark", "items", "score", "above chance", "chance", "problem"], rows)


def size_of_run(facts: Content) -> str:
    """Parameters, vocabulary and corpus in a sentence."""
    corpus = facts["corpus"]
    words = [
        f"{optional(facts['parameters'], format_count)} parameters,",
        f"{format_value(facts['tokenizer']['vocab_size'])} tokens in the vocabulary.",
        f"Corpus: {format_value(corpus['documents'])} documents, {optional(corpus['bytes'], format_bytes)},",
        f"{format_value(corpus['val_documents'])} held out.",
    ]
    return " ".join(words)


def training_table(facts: Content) -> Table:
    """Steps, tokens, time and speed of both trainings."""
    rows = []
    for stage in ("base", "sft"):
        numbers = facts[stage]
        rows.append(
            [
                stage,
                f"{format_value(numbers['steps'])} of {format_value(numbers['planned_steps'])}",
                optional(numbers["tokens_seen"], format_count),
                optional(numbers["duration_s"], format_duration),
                optional(numbers["tokens_per_s"], lambda value: f"{value:,.0f}"),
                format_value(numbers["skipped_steps"]),
            ]
        )
    return Table("", ["stage", "steps", "tokens", "time", "tokens/s", "skipped"], rows)


def optional(value: float | None, form: Callable[[float], str]) -> str:
    """What is not known is a dash, never 0."""
    return UNKNOWN if value is None else form(value)
