"""The rows of an eval, judged again: verdicts from the stored replies, rates from the verdicts, rows from their source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.jsonio import iter_jsonl
from picochat.data.conversations import EvalRow
from picochat.evals.scoring import find_changed_verdicts
from picochat.evals.summarise import summarise_rows
from picochat.judgement.documents import Document, same_numbers, value_at

SETS = ("eval", "fit", "heldout")
_UNUSABLE = (PicochatError, ArithmeticError, AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class EvalSet:
    """One set of rows. `summary` is computed here, never copied from the report; None with a `problem`."""

    name: str
    path: str
    source: str
    summary: dict[str, Any] | None = None
    problem: str = ""
    changed: list[str] = field(default_factory=list)
    """Ids of rows whose verdict does not follow from the reply."""
    foreign: list[str] = field(default_factory=list)
    """Ids of rows that are not in the source, and of source rows that were left out (of the eval set)."""
    reported_equal: bool = False
    """Whether the report's summary equals the one computed here."""


def load_eval_set(store: RunStore, report: Document, name: str) -> EvalSet:
    """Reads and judges one set of the eval report again. A malformed row makes the whole set unusable."""
    entry = report.value("sets", name)
    path, source = (value_at(entry, key) for key in ("rows", "source"))
    if not isinstance(path, str) or not isinstance(source, str):
        return EvalSet(name, report.path, "", problem=f"the report has no set {name!r}")
    try:
        rows = list(iter_jsonl(store.path(path)))
        changed = find_changed_verdicts(rows)
        summary = summarise_rows(rows)
        foreign = _foreign(rows, list(iter_jsonl(store.path(source))), complete=name == "eval")
    except _UNUSABLE as err:
        return EvalSet(name, path, source, problem=str(err)[:200] or type(err).__name__)
    return EvalSet(name, path, source, summary, "", changed, foreign, same_numbers(summary, value_at(entry, "summary")))


def _foreign(rows: list[dict[str, Any]], source: list[dict[str, Any]], *, complete: bool) -> list[str]:
    """Rows that the source does not hold. Eval rows must equal their source field by field, and none may be left out."""
    twice = len(rows) - len({row["id"] for row in rows})
    extra = [f"{twice} ids that stand twice"] if twice else []
    if not complete:
        prompts = {_prompt(row) for row in source}
        return extra + [str(row["id"]) for row in rows if _prompt(row) not in prompts]
    known = {row["id"]: EvalRow.model_validate(row) for row in source}
    asked = {
        row["id"]: EvalRow.model_validate({key: row[key] for key in EvalRow.model_fields if key in row}) for row in rows
    }
    return extra + [row_id for row_id in sorted(known.keys() | asked.keys()) if known.get(row_id) != asked.get(row_id)]


def _prompt(row: dict[str, Any]) -> tuple[str, ...]:
    """All that stands before the answer, whatever the shape of the row."""
    if row.get("user") is not None:
        return (row["user"],)
    messages = [message["content"] for message in row["messages"]]
    return tuple(messages if "rule" in row else messages[:-1])
