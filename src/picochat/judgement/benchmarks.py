"""External benchmarks, computed again from their rows: by name the facts fixed before a run and the arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.jsonio import iter_jsonl
from picochat.evals.tasks import blimp
from picochat.evals.tasks.base import BenchmarkFacts
from picochat.evals.tasks.blimp_paradigms import REGISTERED
from picochat.judgement.documents import Document, same_numbers, value_at

Recompute = Callable[[Sequence[dict[str, Any]]], dict[str, Any]]
KNOWN: dict[str, tuple[BenchmarkFacts, Recompute]] = {blimp.FACTS.name: (blimp.FACTS, blimp.recompute_blimp)}
PUBLISHED: dict[str, frozenset[str]] = {blimp.FACTS.name: frozenset(REGISTERED.values())}
"""Digests of the published files by benchmark; what a report says about itself does not count."""
METRICS = {blimp.FACTS.name: "pair, mean over paradigms"}
"""The headline metric by benchmark, as reports name it."""
_UNUSABLE = (PicochatError, ArithmeticError, AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class BenchmarkEvidence:
    """One benchmark of a run. `numbers` are computed from rows; None with a `problem`."""

    name: str
    report: Document
    rows_path: str
    facts: BenchmarkFacts | None = None
    numbers: dict[str, Any] | None = None
    problem: str = ""
    differing: list[str] = field(default_factory=list)
    """Keys of the report that do not follow from the rows."""
    moved: list[str] = field(default_factory=list)
    """Keys that were fixed before the run and say something else in the report."""

    @property
    def weak(self) -> bool:
        """Part of a benchmark, or files that are not the published ones: evidence, with a warning."""
        digests = [value_at(file, "sha256") for file in _files(self.report)]
        registered = bool(digests) and set(digests) <= PUBLISHED.get(self.name, frozenset())
        return not registered or self.report.value("partial") is not False


def load_benchmark(store: RunStore, name: str, report: Document) -> BenchmarkEvidence:
    """Reads the rows of a benchmark and computes its numbers again."""
    path = report.value("rows")
    path = path if isinstance(path, str) else ""
    if not report.usable:
        return BenchmarkEvidence(name, report, path, problem=report.problem)
    if name not in KNOWN or report.value("name") != name:
        return BenchmarkEvidence(
            name, report, path, problem=f"the report of {report.value('name')!r} in the folder of {name!r}"
        )
    facts, recompute = KNOWN[name]
    try:
        numbers = recompute(list(iter_jsonl(store.path(path))))
    except _UNUSABLE as err:
        return BenchmarkEvidence(name, report, path, facts, problem=str(err)[:200] or type(err).__name__)
    return BenchmarkEvidence(name, report, path, facts, numbers, "", _differing(report, numbers), _moved(report, facts))


def _differing(report: Document, numbers: dict[str, Any]) -> list[str]:
    groups = {
        key: {part: group[part] for part in ("k", "n", "rate", "interval")}
        for key, group in numbers["paradigms"].items()
    }
    stored = report.value("groups") if isinstance(report.value("groups"), dict) else {}
    expected = {
        ("items",): numbers["n"],
        ("partial",): numbers["partial"] or report.value("partial") is True,
        ("headline", "point"): numbers["rate"],
        ("headline", "interval"): numbers["interval"],
        ("headline", "adjusted"): numbers["adjusted"],
        ("headline", "adjusted_interval"): numbers["adjusted_interval"],
        ("headline", "n"): numbers["n"],
        ("headline", "k"): numbers["pooled"]["k"],
        **{("groups", key, part): value for key, group in groups.items() for part, value in group.items()},
    }
    found = ["/".join(keys) for keys, value in expected.items() if not same_numbers(report.value(*keys), value)]
    found += ["groups"] if set(stored) != set(groups) else []
    return found + (["passed"] if numbers["disagreements"] else [])


def _files(report: Document) -> list[dict[str, Any]]:
    files = report.value("files")
    return [file for file in files if isinstance(file, dict)] if isinstance(files, list) else []


def _moved(report: Document, facts: BenchmarkFacts) -> list[str]:
    fixed = {"shots": facts.shots, "chance": facts.chance, "prompt_form": facts.prompt, "metric": METRICS[facts.name]}
    return [key for key, value in fixed.items() if not same_numbers(report.value(key), value)]
