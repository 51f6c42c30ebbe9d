"""The part of summary.md about what a model knows by heart: one row a model, from the facts alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.views.checks import UNKNOWN, format_interval, format_value

_NOT_MEASURED = "Not measured: how much of the training text the model knows by heart is not known"
_HEAD = (
    "model",
    "continued exactly, train",
    "continued exactly, held out",
    "difference",
    "longest copy of a sample",
    "loss, held out - train",
)


def render_memorisation(facts: Mapping[str, Any]) -> str:
    """Tables of passages and canaries; summaries of older versions have none."""
    found = facts.get("memorisation")
    if found is None:
        return ""
    if not found["measured"]:
        return f"{_NOT_MEASURED}{f' ({problem})' if (problem := found['problem']) else ''}."
    models = sorted(found["models"].items())
    parts = [
        _table(_HEAD, [_row(name, numbers, found["settings"]["shortest_copy_words"]) for name, numbers in models]),
        _words(found),
    ]
    return "\n\n".join([*parts, *_canaries(models)])


def _row(name: str, numbers: Mapping[str, Any], shortest: int | None) -> tuple[str, ...]:
    extractable, copied, loss = numbers["extractable"], numbers["copied"], numbers["loss"]
    return (
        name,
        *(_rate(extractable[side]) for side in ("train", "val")),
        _with_interval(extractable["difference"], extractable["interval"]),
        _longest(copied["longest_words"], shortest),
        _with_interval(loss["gap"], loss["interval"]),
    )


def _longest(words: int | None, shortest: int | None) -> str:
    """Shorter copies are not looked for: everybody's sentences share a few words."""
    return f"under {shortest} words" if words == 0 and shortest else f"{format_value(words)} words"


def _words(found: Mapping[str, Any]) -> str:
    settings = found["settings"]
    text = f"Of a document the first {settings['prefix_tokens']} tokens are given, and the next "
    text += f"{settings['suffix_tokens']} must follow greedily, each of them."
    text += " The context has no room for more." if settings["scaled"] else ""
    return text + (f" Not sound: {found['problem']}." if found["problem"] else "")


def _canaries(models: list[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """One row a model: mean bits of exposure by copies in an epoch."""
    counts = sorted({copies for _, numbers in models for copies in numbers["canaries"]["by_copies"]}, key=int)
    if not counts:
        return ["No canaries were planted: the pack asks for none."]
    head = ("mean exposure in bits", *(f"{copies} {'copy' if copies == '1' else 'copies'}" for copies in counts))
    rows = [
        (name, *(_bits(numbers["canaries"]["by_copies"].get(copies)) for copies in counts)) for name, numbers in models
    ]
    return [_table(head, rows)]


def _bits(numbers: Mapping[str, Any] | None) -> str:
    return UNKNOWN if numbers is None else f"{numbers['mean']:.2f} (n = {numbers['n']})"


def _rate(numbers: Mapping[str, Any]) -> str:
    return UNKNOWN if numbers["rate"] is None else f"{numbers['rate']:.4f} ({numbers['k']:,} of {numbers['n']:,})"


def _with_interval(value: float | None, interval: Any) -> str:
    return UNKNOWN if value is None else f"{value:+.4f} {format_interval(interval)}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ("---",) * len(head), *rows))
