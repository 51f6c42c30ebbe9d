"""Runs on the same rows: two of them paired row by row, or several as a mean with its spread. Nothing is ranked.

A skill is told apart only where Holm's p over all skills is at most .05; else the words are "not told apart".
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from picochat.core.errors import refuse
from picochat.evals.paired import difference_interval, pair_rows, spread_of, template_interval
from picochat.evals.statistics import holm, mcnemar_exact
from picochat.evals.summarise import rate_of
from picochat.judgement.compared_run import ComparedRun, Row, shown_reply

ALPHA = 0.05
NOT_TOLD_APART = "not told apart"
MAX_KEYS = 12
Numbers = dict[str, Any]


def compare_runs(
    runs: Sequence[ComparedRun], set_name: str, limit: int, labels: Sequence[str] | None = None
) -> Numbers:
    """The comparison as one document; `limit` discordant rows are listed. `labels` are A, B, ... where none are given.

    Raises `compare.runs` for fewer than two different runs, `compare.questions` when their rows are not the same.
    """
    _require_comparable(runs, set_name)
    labels = labels or [label_of(number) for number in range(len(runs))]
    groups = _groups(runs[0].rows)
    return {
        "set": set_name,
        "rows": len(runs[0].rows),
        "questions": runs[0].questions,
        "runs": [_describe(label, run, groups) for label, run in zip(labels, runs, strict=True)],
        "settings_that_differ": _differing_settings(runs),
        "base_on_the_same_text": _same_validation(runs),
        "pair": _pair(labels, runs, groups, limit) if len(runs) == 2 else None,
        "spread": _spread(runs, groups) if len(runs) > 2 else None,
    }


def skill_of(row: Row) -> str:
    """The category; benign twins stand alone, so that refusing everything cannot lift both."""
    return f"{row['category']} (benign)" if row["rule"] == "benign" else str(row["category"])


def verdict_of(p: float, difference: float, labels: Sequence[str]) -> str:
    """In words, from a p value that is adjusted already."""
    if p > ALPHA or difference == 0:
        return NOT_TOLD_APART
    return f"{labels[1] if difference > 0 else labels[0]} better"


def _require_comparable(runs: Sequence[ComparedRun], set_name: str) -> None:
    paths = [Path(run.path).resolve() for run in runs]
    if len(set(paths)) < max(2, len(paths)):
        refuse("compare.runs", f"{len(paths)} runs are given, {len(set(paths))} of them different")
    first = runs[0]
    for run in runs[1:]:
        if run.questions != first.questions:
            shared = len(first.rows.keys() & run.rows.keys())
            refuse(
                "compare.questions",
                f"the {set_name} rows of {run.path} ({run.questions[:12]}..., {len(run.rows):,} rows) are not those of "
                f"{first.path} ({first.questions[:12]}..., {len(first.rows):,} rows); {shared:,} ids are the same",
            )


def _groups(rows: Mapping[str, Row]) -> dict[str, list[str]]:
    """Ids by skill, both in alphabetical order."""
    ordered = sorted(rows, key=lambda row_id: (skill_of(rows[row_id]), row_id))
    return {skill: list(ids) for skill, ids in itertools.groupby(ordered, lambda row_id: skill_of(rows[row_id]))}


def _describe(label: str, run: ComparedRun, groups: Mapping[str, Sequence[str]]) -> Numbers:
    return {
        "label": label,
        "run": run.path,
        "weights_digest": run.weights_digest,
        "seed": run.settings.get("seed"),
        "source_sha256": run.source,
        "skills": {skill: rate_of(map(run.passes, ids)) for skill, ids in groups.items()},
        "mean_skill": run.summary["mean_skill"],
        "base": run.base,
        "forgetting": run.forgetting,
    }


def _pair(
    labels: Sequence[str], runs: Sequence[ComparedRun], groups: Mapping[str, Sequence[str]], limit: int
) -> Numbers:
    first, second = runs
    tested = {skill: _test_skill(first, second, ids) for skill, ids in groups.items()}
    adjusted = holm({skill: entry["p"] for skill, entry in tested.items()})
    skills = [
        {
            "skill": skill,
            **entry,
            "p_holm": adjusted[skill],
            "verdict": verdict_of(adjusted[skill], entry["difference"], labels),
        }
        for skill, entry in tested.items()
    ]
    ids = [row_id for group in groups.values() for row_id in group if first.passes(row_id) != second.passes(row_id)]
    return {
        "alpha": ALPHA,
        "skills": skills,
        "discordant_rows": len(ids),
        "discordant": [_discordant(labels, first, second, row_id) for row_id in _take_evenly(ids, first.rows, limit)],
    }


def _test_skill(first: ComparedRun, second: ComparedRun, ids: Sequence[str]) -> Numbers:
    ours, theirs = ([run.passes(row_id) for row_id in ids] for run in (first, second))
    found = pair_rows(ours, theirs)
    templates = [first.rows[row_id].get("template") or f"id:{row_id}" for row_id in ids]
    clustered = template_interval(ours, theirs, templates)
    return {
        "n": found.n,
        "both": found.both,
        "only_first": found.only_first,
        "only_second": found.only_second,
        "neither": found.neither,
        "difference": found.difference,
        "interval": list(difference_interval(found)),
        "template_interval": list(clustered) if clustered else None,
        "p": mcnemar_exact(found.only_first, found.only_second),
    }


def _take_evenly(ids: Sequence[str], rows: Mapping[str, Row], limit: int) -> list[str]:
    """The first ids of each skill in turn, in the order of the skills: no skill fills the list alone."""
    by_skill = [list(group) for _, group in itertools.groupby(ids, lambda row_id: skill_of(rows[row_id]))]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*by_skill))
    chosen = set(itertools.islice((row_id for row_id in turns if row_id is not None), limit))
    return [row_id for row_id in ids if row_id in chosen]


def _discordant(labels: Sequence[str], first: ComparedRun, second: ComparedRun, row_id: str) -> Numbers:
    rows = [run.rows[row_id] for run in (first, second)]
    row = rows[0]
    prompt = row["user"] if row.get("user") is not None else row["messages"][-1]["content"]
    return {
        "id": row_id,
        "skill": skill_of(row),
        "prompt": prompt,
        "expected": [row["answer"]] if row.get("answer") is not None else row.get("expected", []),
        "passed_by": labels[0] if first.passes(row_id) else labels[1],
        "replies": {label: shown_reply(found) for label, found in zip(labels, rows, strict=True)},
        "reasons": {label: found["reason"] for label, found in zip(labels, rows, strict=True)},
    }


def _spread(runs: Sequence[ComparedRun], groups: Mapping[str, Sequence[str]]) -> Numbers:
    """Mean and spread over the runs, by skill; the losses where all runs have them on the same text."""
    skills = {skill: spread_of([sum(map(run.passes, ids)) / len(ids) for run in runs]) for skill, ids in groups.items()}
    means = [run.summary["mean_skill"]["rate"] for run in runs if run.summary["mean_skill"]]
    losses = [run.base["bpb"] for run in runs if run.base] if _same_validation(runs) else []
    after = [run.forgetting["after_bpb"] for run in runs if run.forgetting] if losses else []
    whole = len(runs)
    return {
        "skills": skills,
        "mean_skill": spread_of(means) if len(means) == whole else None,
        "base_bpb": spread_of(losses) if len(losses) == whole else None,
        "after_sft_bpb": spread_of(after) if len(after) == whole else None,
    }


def _same_validation(runs: Sequence[ComparedRun]) -> bool:
    """Whether the base losses of all runs were measured on the same held-out text."""
    texts = {run.base["validation"] if run.base else None for run in runs}
    return len(texts) == 1 and None not in texts


def _differing_settings(runs: Sequence[ComparedRun]) -> list[str]:
    """Configuration keys that are not the same in all runs, the seed aside."""
    keys = sorted(set().union(*(run.settings for run in runs)) - {"seed"})
    return [key for key in keys if any(run.settings.get(key) != runs[0].settings.get(key) for run in runs[1:])][
        :MAX_KEYS
    ]


def label_of(number: int) -> str:
    """A, B, ... and R27 after Z."""
    return chr(ord("A") + number) if number < 26 else f"R{number + 1}"
