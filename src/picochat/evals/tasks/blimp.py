"""BLiMP, linguistic minimal pairs (Warstadt et al. 2020): is the good sentence likelier than the bad one?

    folder of <paradigm>.jsonl -> read_blimp -> items -> score_blimp -> rows -> recompute_blimp

A sentence's score is the sum of the log-likelihoods (nats) of all its tokens after BOS; a tie fails, and so do the few
published pairs whose two sentences are the same text. The headline is the mean over paradigms, chance .50.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picochat.core.errors import refuse
from picochat.evals.statistics import aggregate_interval, chance_adjusted, chance_adjusted_interval
from picochat.evals.summarise import rate_of
from picochat.evals.tasks.base import (
    BenchmarkFile,
    digest_file,
    list_jsonl,
    read_rows,
    refuse_row,
    required_text,
)
from picochat.evals.tasks.blimp_paradigms import PARADIGMS, REGISTERED
from picochat.evals.tasks.facts import GROUP_ITEMS, TABLE

FACTS = TABLE["blimp"]
FIELDS = ("sentence_good", "sentence_bad", "UID", "field")
CHUNK_ITEMS = 256

Scores = Callable[[list[str]], Sequence[float]]
"""Log-likelihoods in nats of whole sentences, one for each text."""


@dataclass(frozen=True)
class BlimpItem:
    """One minimal pair."""

    id: str
    paradigm: str
    field: str
    good: str
    bad: str

    @property
    def group(self) -> str:
        return self.paradigm


@dataclass(frozen=True)
class BlimpData:
    """The items of a folder in file order, and the record of every file."""

    items: tuple[BlimpItem, ...]
    files: tuple[BenchmarkFile, ...]


def read_blimp(folder: Path) -> BlimpData:
    """Reads every `*.jsonl` of a folder, one paradigm a file.

    Raises `benchmark.missing` without the folder, `benchmark.empty` without files or rows, `benchmark.row` with file
    and row number for a broken one.
    """
    items: list[BlimpItem] = []
    files: list[BenchmarkFile] = []
    owners: dict[str, str] = {}
    for path in list_jsonl(folder, FACTS.name):
        data = path.read_bytes()
        pairs = _read_file(data, path)
        paradigm = pairs[0].paradigm
        if paradigm in owners:
            refuse_row(path, 1, f"UID {paradigm!r} stands in {owners[paradigm]} too")
        owners[paradigm] = path.name
        items += pairs
        files.append(digest_file(data, path, len(pairs), REGISTERED, paradigm))
    return BlimpData(tuple(items), tuple(files))


def score_blimp(items: Sequence[BlimpItem], scores: Scores) -> list[dict[str, Any]]:
    """One row an item. `eval.not_finite` for a log-likelihood that is no number, ValueError for a wrong count."""
    rows: list[dict[str, Any]] = []
    for start in range(0, len(items), CHUNK_ITEMS):
        chunk = items[start : start + CHUNK_ITEMS]
        values = [float(v) for v in scores([text for item in chunk for text in (item.good, item.bad)])]
        rows += [_row(item, *pair) for item, pair in zip(chunk, _pairs(values), strict=True)]
    return rows


def recompute_blimp(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The numbers of the report from its rows alone: the log-likelihoods decide, not the stored `passed`.

    `disagreements` counts rows whose stored `passed` does not follow from their log-likelihoods; 0 in an honest report.
    Raises `benchmark.empty` without rows.
    """
    if not rows:
        refuse("benchmark.empty", f"{FACTS.name}: 0 rows were scored")
    passed = [row["good_logprob"] > row["bad_logprob"] for row in rows]
    paradigms = _group_paradigms(rows, passed)
    rate = sum(numbers["rate"] for numbers in paradigms.values()) / len(paradigms)
    interval = aggregate_interval([(numbers["k"], numbers["n"]) for numbers in paradigms.values()]) or (0.0, 1.0)
    return {
        **FACTS.to_dict(),
        "n": len(rows),
        "rate": rate,
        "interval": list(interval),
        "adjusted": chance_adjusted(rate, FACTS.chance),
        "adjusted_interval": list(chance_adjusted_interval(interval, FACTS.chance)),
        "pooled": rate_of(passed),
        "same_text": sum(row["good"] == row["bad"] for row in rows),
        "ties": sum(row["good_logprob"] == row["bad_logprob"] for row in rows),
        "disagreements": sum(bool(row["passed"]) != ok for row, ok in zip(rows, passed, strict=True)),
        "partial": any(paradigms.get(name, {"n": 0})["n"] < n for name, n in GROUP_ITEMS[FACTS.name].items()),
        "n_paradigms": len(paradigms),
        "paradigms_published": len(PARADIGMS),
        "paradigms": paradigms,
        "groups": paradigms,
        "own_setup": False,
        "shots": FACTS.shots,
    }


def _read_file(data: bytes, path: Path) -> list[BlimpItem]:
    pairs = [_read_item(row, path, number) for number, row in read_rows(data, path)]
    for number, pair in enumerate(pairs, 1):
        if pair.paradigm != pairs[0].paradigm:
            refuse_row(path, number, f"UID {pair.paradigm!r} in a file of {pairs[0].paradigm!r}")
    return pairs


def _read_item(row: dict[str, Any], path: Path, number: int) -> BlimpItem:
    good, bad, paradigm, field = (required_text(row, key, path, number) for key in FIELDS)
    return BlimpItem(f"{paradigm}/{number}", paradigm, field, good, bad)


def _row(item: BlimpItem, good_logprob: float, bad_logprob: float) -> dict[str, Any]:
    for text, value in ((item.good, good_logprob), (item.bad, bad_logprob)):
        if not math.isfinite(value):
            refuse("eval.not_finite", f"{FACTS.name} {item.id}: log-likelihood of {text!r} is {value}")
    return {
        "id": item.id,
        "paradigm": item.paradigm,
        "field": item.field,
        "good": item.good,
        "bad": item.bad,
        "good_logprob": good_logprob,
        "bad_logprob": bad_logprob,
        "passed": good_logprob > bad_logprob,
    }


def _pairs(values: list[float]) -> Iterator[tuple[float, float]]:
    return zip(values[::2], values[1::2], strict=True)


def _group_paradigms(rows: Sequence[Mapping[str, Any]], passed: Sequence[bool]) -> dict[str, dict[str, Any]]:
    wins: dict[str, list[bool]] = {}
    fields: dict[str, str] = {}
    for row, ok in zip(rows, passed, strict=True):
        wins.setdefault(row["paradigm"], []).append(ok)
        fields.setdefault(row["paradigm"], row["field"])
    return {name: {"field": fields[name], **rate_of(wins[name])} for name in sorted(wins)}
