"""External benchmarks, computed again from their rows: by name the facts fixed before a run and the arithmetic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.jsonio import iter_jsonl
from picochat.evals.tasks import blimp, facts
from picochat.evals.tasks.base import BenchmarkFacts
from picochat.evals.tasks.core_numbers import recompute_core
from picochat.evals.tasks.recompute import recompute_items
from picochat.judgement.documents import Document, same_numbers, value_at

Recompute = Callable[[Sequence[dict[str, Any]]], dict[str, Any]]
_OWN_ARITHMETIC: dict[str, Recompute] = {
    "blimp": blimp.recompute_blimp,
    "core": partial(recompute_core, facts.TABLE["core"]),
}
KNOWN: dict[str, tuple[BenchmarkFacts, Recompute]] = {
    name: (entry, _OWN_ARITHMETIC.get(name) or partial(recompute_items, entry)) for name, entry in facts.TABLE.items()
}
GROUP_ITEMS = facts.GROUP_ITEMS
REGISTERED = facts.REGISTERED
"""By benchmark and key of a file the digest of the published one."""
PUBLISHED: dict[str, frozenset[str]] = {name: frozenset(found.values()) for name, found in REGISTERED.items()}
"""Digests of the published files by benchmark; what a report says about itself does not count."""
METRICS = {name: entry.metric for name, entry in facts.TABLE.items()}
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
    left_out: list[str] = field(default_factory=list)
    """Groups of which the rows are not the items of their published file."""

    @property
    def files(self) -> list[dict[str, Any]]:
        """The data files as the report lists them."""
        files = self.report.value("files")
        return [file for file in files if isinstance(file, dict)] if isinstance(files, list) else []

    @property
    def registered(self) -> bool:
        """All files are published ones, by their digests."""
        digests = [value_at(file, "sha256") for file in self.files]
        return bool(digests) and set(digests) <= PUBLISHED.get(self.name, frozenset())

    @property
    def partial(self) -> bool:
        """By the rows, or because the report says that it is."""
        return self.report.value("partial") is not False or value_at(self.numbers, "partial") is not False

    @property
    def own_setup(self) -> bool:
        """Asked with other examples than the table says."""
        return value_at(self.numbers, "own_setup") is not False

    @property
    def weak(self) -> bool:
        """Part of a benchmark, another setup, or files that are not the published ones: evidence, with a warning."""
        return not self.registered or self.partial or self.own_setup


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
    entry, recompute = KNOWN[name]
    if path != f"{layout.benchmark_dir(name)}/{layout.ROWS}":
        return BenchmarkEvidence(name, report, path, entry, problem=f"its rows are said to lie in {path!r}")
    try:
        rows = list(iter_jsonl(store.path(path)))
        numbers = recompute(rows)
        differing, moved = _differing(report, numbers), _moved(report, entry, numbers)
        found = BenchmarkEvidence(name, report, path, entry, numbers, "", differing, moved)
        return replace(found, left_out=find_left_out(found, list_ids(rows)))
    except _UNUSABLE as err:
        return BenchmarkEvidence(name, report, path, entry, problem=str(err)[:200] or type(err).__name__)


def list_ids(rows: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """By group the ids of its rows."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        found[row["paradigm"] if "paradigm" in row else row["group"]].append(str(row["id"]))
    return found


def find_left_out(benchmark: BenchmarkEvidence, ids: dict[str, list[str]]) -> list[str]:
    """Groups without exactly the items of their published file, or the first of them under the limit of the report.

    Which items are shown must be fixed before any of them is scored. A file that nobody published holds what it holds.
    """
    digests, limit = {value_at(file, "sha256") for file in benchmark.files}, benchmark.report.value("settings", "limit")
    read = {group for group, digest in REGISTERED[benchmark.name].items() if digest in digests}
    read |= set(ids) if benchmark.registered else set()
    faulty = []
    for group, items in GROUP_ITEMS.get(benchmark.name, {}).items():
        wanted = min(items, limit) if isinstance(limit, int) else items
        if group in read and sorted(ids.get(group, [])) != sorted(f"{group}/{n}" for n in range(1, wanted + 1)):
            faulty.append(group)
    return faulty


def _differing(report: Document, numbers: dict[str, Any]) -> list[str]:
    groups = {
        key: {part: value for part, value in group.items() if part != "field"}
        for key, group in numbers["groups"].items()
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
        **{(key,): value for key, value in numbers.get("shown", {}).items()},
    }
    found = ["/".join(keys) for keys, value in expected.items() if not same_numbers(report.value(*keys), value)]
    found += ["groups"] if set(stored) != set(groups) else []
    return found + (["passed"] if numbers["disagreements"] else [])


def _moved(report: Document, entry: BenchmarkFacts, numbers: dict[str, Any]) -> list[str]:
    """The shots are those that the rows were asked with: others than the table's make a setup of its own."""
    fixed = {"shots": numbers["shots"], "chance": entry.chance, "prompt_form": entry.prompt, "metric": entry.metric}
    return [key for key, value in fixed.items() if not same_numbers(report.value(key), value)]
