"""Cross-checks with lm-eval, computed again from their rows: whether two scorers agree about the same weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.jsonio import iter_jsonl
from picochat.evals.harness.compare import compare
from picochat.judgement.documents import Document, same_numbers

_UNUSABLE = (PicochatError, ArithmeticError, AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class HarnessEvidence:
    """One cross-check of a run. `numbers` are computed from rows; None with a `problem`."""

    name: str
    report: Document
    rows_path: str
    numbers: dict[str, Any] | None = None
    problem: str = ""
    differing: list[str] = field(default_factory=list)
    """Keys of the report that do not follow from the rows."""

    @property
    def agrees(self) -> bool:
        """By the rows, whatever the report says."""
        return self.numbers is not None and self.numbers["agree"]


def load_harness(store: RunStore, name: str, report: Document) -> HarnessEvidence:
    """Reads the rows of a cross-check and compares them again."""
    path = report.value("rows")
    path = path if isinstance(path, str) else ""
    if not report.usable:
        return HarnessEvidence(name, report, path, problem=report.problem)
    kind, reported, own = report.value("kind"), report.value("lm_eval", "reported"), report.value("own")
    try:
        if report.value("name") != name:
            raise ValueError(f"the report of {report.value('name')!r} in the folder of {name!r}")
        if path != f"{layout.harness_dir(name)}/{layout.ROWS}":
            raise ValueError(f"its rows are said to lie in {path!r}")
        numbers = compare(kind, list(iter_jsonl(store.path(path))), reported, own)
    except _UNUSABLE as err:
        return HarnessEvidence(name, report, path, problem=str(err)[:200] or type(err).__name__)
    stored = report.value("comparison")
    stored = stored if isinstance(stored, dict) else {}
    differing = [
        key for key in sorted(stored.keys() | numbers.keys()) if not same_numbers(stored.get(key), numbers.get(key))
    ]
    return HarnessEvidence(name, report, path, numbers, "", differing)
