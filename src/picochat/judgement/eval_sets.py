"""The rows of an eval, judged again: verdicts from stored replies, rates from verdicts, rows from their source."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_bytes
from picochat.core.jsonio import iter_jsonl
from picochat.data.conversations import EvalRow
from picochat.evals.scoring import find_changed_verdicts
from picochat.evals.summarise import summarise_rows
from picochat.judgement.documents import Document, same_numbers, value_at

SOURCES = {"eval": layout.CHAT_EVAL, "fit": layout.CHAT_TRAIN, "heldout": layout.CHAT_HELDOUT}
"""Where the rows of each set come from; a report that names another file is about other rows."""
SETS = tuple(SOURCES)
_UNUSABLE = (PicochatError, ArithmeticError, AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class EvalSet:
    """One set of rows. `summary` is computed here, never copied from the report; None with a `problem`."""

    name: str
    path: str
    source: str
    summary: dict[str, Any] | None = None
    problem: str = ""
    asked: bool = True
    """Whether the report has this set at all."""
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
        return EvalSet(name, report.path, "", problem=f"the report has no set {name!r}", asked=False)
    if source != SOURCES[name]:
        return EvalSet(name, path, source, problem=f"its rows are those of {source}, not of {SOURCES[name]}")
    try:
        rows = list(iter_jsonl(store.path(path)))
        changed = find_changed_verdicts(rows)
        summary = summarise_rows(rows)
        foreign = _foreign(
            rows, list(iter_jsonl(store.path(source))), complete=name == "eval", chosen=name == "heldout"
        )
    except _UNUSABLE as err:
        return EvalSet(name, path, source, problem=str(err)[:200] or type(err).__name__)
    equal = same_numbers(summary, value_at(entry, "summary"))
    return EvalSet(name, path, source, summary, "", True, changed, foreign, equal)


def _foreign(rows: list[dict[str, Any]], source: list[dict[str, Any]], *, complete: bool, chosen: bool) -> list[str]:
    """Rows that the source does not hold. Eval rows must equal their source, and none may be left out; of a set that
    is `chosen` by the digests of its ids none may be passed over."""
    twice = len(rows) - len({row["id"] for row in rows})
    extra = [f"{twice} ids that stand twice"] if twice else []
    if not complete:
        prompts = {prompt for row in source for prompt in _prompts(row)}
        extra += [str(row["id"]) for row in rows if _prompt(row) not in prompts]
        return extra + (_passed_over(rows, source) if chosen else [])
    known = {row["id"]: EvalRow.model_validate(row) for row in source}
    asked = {
        row["id"]: EvalRow.model_validate({key: row[key] for key in EvalRow.model_fields if key in row}) for row in rows
    }
    return extra + [row_id for row_id in sorted(known.keys() | asked.keys()) if known.get(row_id) != asked.get(row_id)]


def _passed_over(rows: list[dict[str, Any]], source: list[dict[str, Any]]) -> list[str]:
    """Ids of source rows that were not asked, though a later one of their category was: a sample takes the rows with
    the smallest sha256 of their ids, so that nobody picks those that were answered well."""
    asked, last = {row["id"] for row in rows}, defaultdict[Any, str](str)
    for row in source:
        if row["id"] in asked:
            last[row.get("category")] = max(last[row.get("category")], _order(row))
    left_out = [row for row in source if row["id"] not in asked]
    return [row["id"] for row in left_out if _order(row) < last[row.get("category")]]


def _order(row: dict[str, Any]) -> str:
    return sha256_bytes(row["id"].encode())


def _prompts(row: dict[str, Any]) -> set[tuple[str, ...]]:
    """What stands before an answer: all of an eval row, and in a chat row whatever precedes a turn."""
    if "rule" in row:
        return {_prompt(row)}
    if "messages" in row:
        turns = [message["content"] for message in row["messages"]]
    else:
        turns = [row[key] for key in ("system", "user", "assistant") if row.get(key) is not None]
    return {tuple(turns[:place]) for place in range(1, len(turns))}


def _prompt(record: dict[str, Any]) -> tuple[str, ...]:
    if record.get("user") is not None:
        return (record["user"],)
    return tuple(message["content"] for message in record["messages"])
