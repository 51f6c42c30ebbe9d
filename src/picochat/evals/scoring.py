"""One verdict for one eval row, and the record of it that a run keeps.

row + reply -> score_row -> Verdict -> build_record -> a line of rows.jsonl -> find_changed_verdicts
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from picochat.core.errors import refuse
from picochat.evals.echo import is_echo, is_repetitive
from picochat.evals.normalize import normalize
from picochat.evals.refusal import is_abstention
from picochat.evals.rows import EvalRowLike, OptionScore, Reply, Verdict, view_row
from picochat.evals.rules import RULES

PASS, FAIL = "pass", "fail"
FLAGS = ("echo", "repetition", "unfinished", "unsupported")


def score_row(row: Mapping[str, Any] | EvalRowLike, reply: Reply) -> Verdict:
    """Judges one reply by its row's rule. Raises `eval.rule` for an unknown rule, `eval.incomplete` for a row that its
    rule cannot judge.
    """
    view = view_row(row)
    if view.rule not in RULES:
        refuse("eval.rule", f"eval row {view.id!r} has rule {view.rule!r}, not one of {', '.join(RULES)}")
    outcome = RULES[view.rule](view, reply)
    return Verdict(
        passed=outcome.passed,
        reason=outcome.reason,
        normalised=normalize(reply.text),
        echo=not view.echo_ok and is_echo(view.prompts, reply.text),
        repetition=is_repetitive(reply.text),
        unfinished=not reply.finished,
        unsupported=not view.answerable and not is_abstention(reply.text),
    )


def build_record(row: Mapping[str, Any], reply: Reply, verdict: Verdict) -> dict[str, Any]:
    """The line of rows.jsonl: every field of the row, the raw reply, the verdict with its flags, the option scores."""
    scores = None if reply.option_scores is None else [asdict(score) for score in reply.option_scores]
    return {
        **row,
        "reply": reply.text,
        "normalised": verdict.normalised,
        "verdict": PASS if verdict.passed else FAIL,
        "reason": verdict.reason,
        **{flag: getattr(verdict, flag) for flag in FLAGS},
        "option_scores": scores,
    }


def read_reply(record: Mapping[str, Any]) -> Reply:
    """The reply that a record was made from."""
    scores = record.get("option_scores")
    return Reply(
        text=record["reply"],
        finished=not record["unfinished"],
        option_scores=None if scores is None else [OptionScore(s["raw"], s["per_byte"]) for s in scores],
    )


def find_changed_verdicts(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Ids of the records whose stored verdict, reason, flags or normal form do not follow from their own reply."""
    changed = []
    for record in records:
        reply = read_reply(record)
        if build_record(record, reply, score_row(record, reply)) != dict(record):
            changed.append(str(record.get("id")))
    return changed
