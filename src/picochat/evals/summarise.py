"""The numbers of an eval report, as a pure function of its rows: what a stage writes and what verify computes again.

rows.jsonl -> summarise_rows -> categories (with levels and template clusters), rules, choice, benign, faults
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from picochat.evals.rows import RowView, view_row
from picochat.evals.rules import answer_index, judge_scores
from picochat.evals.scoring import PASS
from picochat.evals.statistics import (
    aggregate_interval,
    chance_adjusted,
    chance_adjusted_interval,
    cluster_interval,
    wilson,
)

Row = Mapping[str, Any]
Numbers = dict[str, Any]
SCORED_RULES = ("option", "pair")


def summarise_rows(rows: Sequence[Row]) -> Numbers:
    """All rates of an eval with k, n and 95 % intervals.

    Benign twins stand alone: they are in `benign` and `rules`, not in their category, so that a model that refuses
    everything cannot lift the one by the other. `mean_skill` is the plain mean over categories.
    """
    skills = [row for row in rows if row["rule"] != "benign"]
    categories = {name: _category(group) for name, group in _group(skills, "category").items()}
    benign = [row for row in rows if row["rule"] == "benign"]
    free = [row for row in skills if row["rule"] not in SCORED_RULES]
    return {
        "n": len(rows),
        "categories": categories,
        "mean_skill": _mean_skill(categories),
        "rules": {name: rate_of(map(_passed, group)) for name, group in _group(rows, "rule").items()},
        "benign": _category(benign) if benign else None,
        "non_choice": rate_of(map(_passed, free)),
        "choice": _choice([row for row in rows if row["rule"] == "option"]),
        **_faults(rows),
    }


def rate_of(passed: Iterable[bool]) -> Numbers:
    """k, n, rate (None when n is 0) and Wilson interval of a list of passes."""
    results = list(passed)
    k, n = sum(results), len(results)
    return {"k": k, "n": n, "rate": k / n if n else None, "interval": list(wilson(k, n))}


def _category(rows: Sequence[Row]) -> Numbers:
    levels = _group([row for row in rows if row.get("level") is not None], "level")
    templates = [row.get("template") or f"id:{row.get('id')}" for row in rows]
    interval = cluster_interval([_passed(row) for row in rows], templates)
    return {
        **rate_of(map(_passed, rows)),
        "templates": len(set(templates)),
        "template_interval": list(interval) if interval else None,
        "levels": {name: rate_of(map(_passed, group)) for name, group in levels.items()},
    }


def _mean_skill(categories: Mapping[str, Numbers]) -> Numbers | None:
    interval = aggregate_interval([(c["k"], c["n"]) for c in categories.values()])
    if interval is None:
        return None
    return {"rate": sum(c["rate"] for c in categories.values()) / len(categories), "interval": list(interval)}


def _choice(rows: Sequence[Row]) -> Numbers | None:
    """Choice rows against chance, the mean of 1/options: by raw log-likelihood (the verdict) and per byte beside it."""
    if not rows:
        return None
    raw = rate_of(map(_passed, rows))
    chance = sum(1 / len(row["options"]) for row in rows) / len(rows)
    return {
        **raw,
        "chance": chance,
        "adjusted": chance_adjusted(raw["rate"], chance),
        "adjusted_interval": list(chance_adjusted_interval(raw["interval"], chance)),
        "per_byte": rate_of(_passed_per_byte(row) for row in rows),
    }


def _passed_per_byte(row: Row) -> bool:
    view: RowView = view_row(row)
    scores = [score["per_byte"] for score in row.get("option_scores") or ()]
    return len(scores) == len(view.options) and judge_scores(scores, answer_index(view)).passed


def _faults(rows: Sequence[Row]) -> Numbers:
    """Rates of faults over the replies that could show them: no scored row without a reply, no allowed echo is in n."""
    replies = [row for row in rows if row["rule"] not in SCORED_RULES or row["reply"]]
    return {
        "echo": rate_of(_flag("echo")(row) for row in replies if not row.get("echo_ok")),
        "repetition": rate_of(map(_flag("repetition"), replies)),
        "unfinished": rate_of(map(_flag("unfinished"), replies)),
        "unsupported": rate_of(_flag("unsupported")(row) for row in replies if row.get("answerable") is False),
    }


def _flag(name: str) -> Callable[[Row], bool]:
    return lambda row: bool(row[name])


def _passed(row: Row) -> bool:
    return row["verdict"] == PASS


def _group(rows: Iterable[Row], key: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(str(row[key]), []).append(row)
    return dict(sorted(groups.items()))
