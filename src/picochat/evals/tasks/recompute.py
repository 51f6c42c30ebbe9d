"""The numbers of a benchmark report from its rows alone: what a stage writes and what a judgement computes again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from picochat.core.errors import refuse
from picochat.evals.statistics import chance_adjusted, chance_adjusted_interval
from picochat.evals.summarise import rate_of
from picochat.evals.tasks.base import BenchmarkFacts
from picochat.evals.tasks.verdicts import (
    is_passed,
    is_tie,
    last_number,
    option_values,
    required_number,
    wins,
)

Row = Mapping[str, Any]
Numbers = dict[str, Any]
_OPTION_KINDS = ("choice", "schema")


def recompute_items(facts: BenchmarkFacts, rows: Sequence[Row]) -> Numbers:
    """All rates of a benchmark with one headline over its items. Stored verdicts decide nothing.

    `shown` holds what a report says beside its headline and what follows from rows too. Raises `benchmark.empty`
    without rows; KeyError, TypeError or ValueError for rows that lack something.
    """
    passed = judge_rows(facts, rows)
    pooled = rate_of(passed)
    chance = chance_of(rows, facts.chance)
    return {
        **common_numbers(facts, rows, passed),
        "rate": pooled["rate"],
        "interval": pooled["interval"],
        "adjusted": chance_adjusted(pooled["rate"], chance),
        "adjusted_interval": list(chance_adjusted_interval(pooled["interval"], chance)),
        "partial": facts.published_items is None or len(rows) < facts.published_items,
        "groups": group_rates(rows, passed),
        "own_setup": shots_of(rows) != {facts.shots},
        "shown": {
            "chance_of_items": chance,
            "beside": _beside(rows),
            "ties": count_ties(facts, rows),
            "long_items": count_long(rows),
        },
    }


def judge_rows(facts: BenchmarkFacts, rows: Sequence[Row]) -> list[bool]:
    """One verdict a row."""
    if not rows:
        refuse("benchmark.empty", f"{facts.name}: 0 rows were scored")
    return [is_passed(row, facts.score) for row in rows]


def common_numbers(facts: BenchmarkFacts, rows: Sequence[Row], passed: Sequence[bool]) -> Numbers:
    """What every report has. `disagreements`: rows whose stored verdict or score a byte does not follow from them."""
    wrong = sum(bool(row["passed"]) != ok or _is_forged(row) for row, ok in zip(rows, passed, strict=True))
    return {
        **facts.to_dict(),
        "shots": max(shots_of(rows)),
        "n": len(rows),
        "pooled": rate_of(passed),
        "disagreements": wrong,
    }


def shots_of(rows: Sequence[Row]) -> set[int]:
    """The numbers of examples that items were asked with, before any was dropped for length."""
    return {row["shots"] for row in rows}


def chance_of(rows: Sequence[Row], default: float) -> float:
    """The mean of 1/options; `default` where nothing is chosen."""
    sizes = [len(row["options"]) for row in rows if row["kind"] in _OPTION_KINDS]
    return sum(1 / size for size in sizes) / len(sizes) if sizes else default


def group_rates(rows: Sequence[Row], passed: Sequence[bool]) -> dict[str, Numbers]:
    """k, n, rate and interval by group, in the order of their names."""
    groups: dict[str, list[bool]] = {}
    for row, ok in zip(rows, passed, strict=True):
        groups.setdefault(row["group"], []).append(ok)
    return {name: rate_of(groups[name]) for name in sorted(groups)}


def count_ties(facts: BenchmarkFacts, rows: Sequence[Row]) -> int:
    return sum(is_tie(option_values(row, facts.score)) for row in rows if row["kind"] in _OPTION_KINDS)


def count_long(rows: Sequence[Row]) -> Numbers:
    """Items that lost examples, that lost part of their context, and that did not fit at all."""
    return {
        "lost_examples": sum(row["shots_dropped"] > 0 for row in rows),
        "cut": sum(row["cut_tokens"] > 0 for row in rows),
        "did_not_fit": sum(not row["fits"] for row in rows),
    }


def _is_forged(row: Row) -> bool:
    if row["kind"] not in _OPTION_KINDS or row["scores"] is None:
        return False
    stored = [score["per_byte"] for score in row["scores"]]
    return stored != option_values(row, "per_byte")


def _beside(rows: Sequence[Row]) -> Numbers:
    """Other readings of the same rows, never the headline."""
    options = [row for row in rows if row["kind"] == "choice"]
    written = [row for row in rows if row["kind"] == "generate"]
    found: Numbers = {}
    if options:
        found["raw"] = rate_of(wins(option_values(row, "raw"), row["answer"]) for row in options)
        found["per_byte"] = rate_of(wins(option_values(row, "per_byte"), row["answer"]) for row in options)
    if written:
        found["last_number"] = rate_of(last_number(row["reply"]) == required_number(row["expected"]) for row in written)
        found["unfinished"] = rate_of(not row["finished"] for row in written)
    return found
