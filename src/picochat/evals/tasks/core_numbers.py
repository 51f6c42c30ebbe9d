"""The CORE score: accuracies of 22 tasks, each moved so that its baseline is 0, and their mean.

    centred = (accuracy - baseline) / (1 - baseline), by both versions of the baselines

The interval resamples within tasks: with replacement, so the passes of a task are binomial and rows are not needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from picochat.evals.statistics import Interval, centred_interval
from picochat.evals.tasks.base import BenchmarkFacts
from picochat.evals.tasks.core_tasks import CORE_TASKS, HEADLINE, VERSIONS, Version
from picochat.evals.tasks.recompute import (
    Numbers,
    Row,
    common_numbers,
    count_long,
    count_ties,
    group_rates,
    judge_rows,
)


def recompute_core(facts: BenchmarkFacts, rows: Sequence[Row]) -> Numbers:
    """The numbers of a CORE report. Shots and types that differ from the table are named: another setup.

    Raises `benchmark.empty` without rows, KeyError for a task that is not in the table.
    """
    passed = judge_rows(facts, rows)
    groups = {name: _centred(name, rate) for name, rate in group_rates(rows, passed).items()}
    versions = {version: _score(groups, version) for version in VERSIONS}
    headline = versions[HEADLINE]
    deviations = _deviations(rows)
    return {
        **common_numbers(facts, rows, passed),
        "shots": facts.shots,
        "rate": headline["score"],
        "interval": headline["interval"],
        "adjusted": headline["score"],
        "adjusted_interval": headline["interval"],
        "partial": any(groups.get(name, {"n": 0})["n"] < task.items for name, task in CORE_TASKS.items()),
        "groups": groups,
        "own_setup": bool(deviations),
        "shown": {
            "versions": versions,
            "tasks": len(groups),
            "tasks_published": len(CORE_TASKS),
            "deviations": deviations,
            "ties": count_ties(facts, rows),
            "long_items": count_long(rows),
        },
    }


def _centred(name: str, rate: Numbers) -> Numbers:
    task = CORE_TASKS[name]
    moved = {f"centred_{v}": (rate["rate"] - task.baseline(v)) / (1 - task.baseline(v)) for v in VERSIONS}
    return {**rate, **moved}


def _score(groups: Mapping[str, Numbers], version: Version) -> dict[str, Any]:
    counts = [(group["k"], group["n"]) for group in groups.values()]
    interval: Interval = centred_interval(counts, [CORE_TASKS[name].baseline(version) for name in groups])
    score = sum(group[f"centred_{version}"] for group in groups.values()) / len(groups)
    return {"score": score, "interval": list(interval)}


def _deviations(rows: Sequence[Row]) -> list[str]:
    """Tasks that were asked in another way than the table says."""
    seen = {(row["group"], row["kind"], row["shots"]) for row in rows}
    return [
        f"{name}: {kind}, {shots} shots; the table has {CORE_TASKS[name].kind}, {CORE_TASKS[name].shots}"
        for name, kind, shots in sorted(seen)
        if (kind, shots) != (CORE_TASKS[name].kind, CORE_TASKS[name].shots)
    ]
