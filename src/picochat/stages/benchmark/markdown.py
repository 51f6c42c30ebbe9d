"""The benchmark report for people: a pure function of the report's body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def render_report(body: Mapping[str, Any]) -> str:
    """Markdown: the headline with what limits it, then one line a paradigm."""
    headline = body["headline"]
    low, high = headline["interval"]
    adjusted_low, adjusted_high = headline["adjusted_interval"]
    lines = [
        f"# Benchmark: {body['name']}",
        "",
        f"Weights `{body['weights_digest'][:12]}` of `{body['checkpoint']}`; {body['shots']} shots, "
        f"{body['prompt_form']}; {body['metric']}; chance {body['chance']:.2f}.",
        "",
        f"**{headline['point']:.3f}** [{low:.3f}, {high:.3f}] on {body['items']:,} items, chance-adjusted "
        f"{headline['adjusted']:.3f} [{adjusted_low:.3f}, {adjusted_high:.3f}] "
        f"(a release needs {body['adjusted_threshold']:.2f}).",
        *_limits(body),
        "",
        "| paradigm | k/n | rate | 95 % interval |",
        "| --- | --- | --- | --- |",
        *(_paradigm_line(name, rate) for name, rate in body["groups"].items()),
    ]
    return "\n".join(lines) + "\n"


def _limits(body: Mapping[str, Any]) -> list[str]:
    notes = []
    if body["partial"]:
        notes.append(
            f"Partial: {body['paradigms']} of {body['paradigms_published']} paradigms, {body['items']:,} items; "
            "the score is not comparable with published ones."
        )
    if not body["registered"]:
        names = ", ".join(file["name"] for file in body["files"] if not file["registered"])
        notes.append(f"Unregistered files, whose content nobody has compared with the published ones: {names}.")
    return [line for note in notes for line in ("", note)]


def _paradigm_line(name: str, rate: Mapping[str, Any]) -> str:
    low, high = rate["interval"]
    return f"| {name} | {rate['k']}/{rate['n']} | {rate['rate']:.3f} | [{low:.3f}, {high:.3f}] |"
