"""The evaluate report for people: a pure function of the report's body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

COLUMNS = (("fit", "fit"), ("heldout", "held-out fit"), ("eval", "eval"))
BENIGN = "benign requests answered"


def render_report(body: Mapping[str, Any]) -> str:
    """Markdown with one table of skills over the sets and their gaps, and one of faults."""
    settings = body["settings"]
    lines = [
        "# Evaluation",
        "",
        f"Weights `{body['weights_digest'][:12]}` of `{body['checkpoint']}`, greedy, replies of at most "
        f"{settings['max_new_tokens']} tokens, {settings['precision']} on {settings['device']}.",
        "",
        "Fit asks rows of the training set again. Held-out fit has other wordings and entities of the same families. "
        "Eval rows are independent of both. Brackets hold 95 % Wilson intervals; gaps are in points.",
        "",
        *_table(
            ["skill", *(title for _, title in COLUMNS), "fit - eval", "held-out - eval"], _skill_rows(body["sets"])
        ),
        "",
        *_table(["share of replies", *(title for _, title in COLUMNS)], _fault_rows(body["sets"])),
    ]
    choice = body["sets"].get("eval", {}).get("summary", {}).get("choice")
    if choice:
        lines += ["", _choice_line(choice)]
    return "\n".join(lines) + "\n"


def format_rate(rate: Mapping[str, Any] | None) -> str:
    """`81/100 = .81 [.72, .87]`, or `-` without rows."""
    if not rate or rate["rate"] is None:
        return "-"
    low, high = rate["interval"]
    return f"{rate['k']}/{rate['n']} = {_decimal(rate['rate'])} [{_decimal(low)}, {_decimal(high)}]"


def _skill_rows(sets: Mapping[str, Any]) -> list[list[str]]:
    rates = {name: _rates(sets[name]["summary"]) if name in sets else {} for name, _ in COLUMNS}
    skills = sorted({skill for found in rates.values() for skill in found}, key=lambda skill: (skill == BENIGN, skill))
    return [
        [
            skill,
            *(format_rate(rates[name].get(skill)) for name, _ in COLUMNS),
            _gap(rates["fit"].get(skill), rates["eval"].get(skill)),
            _gap(rates["heldout"].get(skill), rates["eval"].get(skill)),
        ]
        for skill in skills
    ]


def _rates(summary: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    benign = {BENIGN: summary["benign"]} if summary["benign"] else {}
    return {**summary["categories"], **benign}


def _gap(left: Mapping[str, Any] | None, right: Mapping[str, Any] | None) -> str:
    if not left or not right or left["rate"] is None or right["rate"] is None:
        return "-"
    return f"{100 * (left['rate'] - right['rate']):+.1f}"


def _fault_rows(sets: Mapping[str, Any]) -> list[list[str]]:
    return [
        [fault, *(format_rate(sets[name]["summary"][fault]) if name in sets else "-" for name, _ in COLUMNS)]
        for fault in ("echo", "repetition", "unfinished")
    ]


def _choice_line(choice: Mapping[str, Any]) -> str:
    low, high = choice["adjusted_interval"]
    return (
        f"Choice rows of eval: chance is {_decimal(choice['chance'])}, chance-adjusted {_decimal(choice['adjusted'])} "
        f"[{_decimal(low)}, {_decimal(high)}]; by log-likelihood a byte {format_rate(choice['per_byte'])}."
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)]


def _decimal(value: float) -> str:
    """`.81`, `1.00`, `-.05`: rates without their leading zero."""
    return f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 0.995 else f"{value:.2f}"
