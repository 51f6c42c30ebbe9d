"""The repair queue in words: the same steps for the terminal and the page. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.core.units import format_duration

Content = Mapping[str, Any]
SHOWN_CHECKS = 4
ROOM_WORDS = {
    "data": "data",
    "tokenizer": "tokenizer",
    "shards": "shards",
    "preflight": "preflight",
    "base": "base training",
    "sft": "fine-tuning",
    "evaluate": "evaluation",
    "benchmark": "benchmarks",
    "gate": "gate",
}


def repair_lines(queue: Content) -> list[str]:
    """A line a step with what it mends and takes, then its commands, each on a line of its own."""
    lines: list[str] = []
    for number, step in enumerate(queue["steps"], 1):
        lines.append(f"{number}. {ROOM_WORDS[step['room']]}: {_some(step['checks'])}{_takes(step)}")
        lines += [f"   {text}" for text in step["commands"] or step["fix"]]
    if together := queue["together"]:
        lines.append(f"all of {_some(together['checks'])} in one new run{_takes(together)}")
        lines += [f"   {command}" for command in together["commands"]]
    return lines


def _some(checks: list[str]) -> str:
    more = f" and {len(checks) - SHOWN_CHECKS} more" if len(checks) > SHOWN_CHECKS else ""
    return ", ".join(checks[:SHOWN_CHECKS]) + more


def _takes(step: Content) -> str:
    """`(about 5 min, $0.40; edit the pack first)`, as far as it is known."""
    known = [] if step["seconds"] is None else [f"about {format_duration(step['seconds'])}"]
    known += [] if step["usd"] is None else [f"${step['usd']:,.2f}"]
    hints = ["edit the pack first"] if step["edits_pack"] else []
    hints += [f"fill in {', '.join(step['blanks'])}"] if step["blanks"] else []
    text = "; ".join([", ".join(known), *hints]) if known else "; ".join(hints)
    return f" ({text})" if text else ""
