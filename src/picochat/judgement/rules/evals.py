"""Rates of the model's own answers, from rows judged again. Every rate has the three answers of its threshold."""

from __future__ import annotations

from typing import Literal

from picochat.evals.statistics import judge_rate
from picochat.evals.summarise import rate_of
from picochat.judgement.documents import value_at
from picochat.judgement.rules.case import Case, Outcome, Rule, judge_counts, not_run

SKILLS = ("identity", "refusal", "choice", "arithmetic", "spelling")


def rate_rule(set_name: str, *keys: str, direction: Literal[">=", "<="] = ">=") -> Rule:
    """A rule for the k of n at a path of a set's summary."""

    def judge(case: Case) -> Outcome:
        found = case.evidence.eval_sets[set_name]
        return judge_counts(case, value_at(found.summary, *keys), (found.path, ""), direction)

    return judge


def whole_set_rule(set_name: str) -> Rule:
    """A rule for all rows of a set together."""

    def judge(case: Case) -> Outcome:
        found = case.evidence.eval_sets[set_name]
        rules = (found.summary or {}).get("rules", {}).values()
        k, n = sum(rule["k"] for rule in rules), sum(rule["n"] for rule in rules)
        return judge_counts(case, rate_of([True] * k + [False] * (n - k)), (found.path, ""))

    return judge


def categories_rule(set_name: str, *names: str) -> Rule:
    """A rule for the rows of some categories together; each of them has to be there."""

    def judge(case: Case) -> Outcome:
        found = case.evidence.eval_sets[set_name]
        groups = [value_at(found.summary, "categories", name) for name in names]
        if not all(groups):
            return not_run((found.path, ""), n=0)
        k, n = sum(group["k"] for group in groups), sum(group["n"] for group in groups)
        return judge_counts(case, rate_of([True] * k + [False] * (n - k)), (found.path, ""))

    return judge


def judge_weakest_skill(case: Case) -> Outcome:
    """Fit of each skill by itself: the worst answer of them all."""
    found = case.evidence.eval_sets["fit"]
    groups = value_at(found.summary, "categories") or {}
    missing = [name for name in SKILLS if name not in groups]
    if missing or not groups:
        return not_run((found.path, ""), n=0)
    outcomes = [judge_counts(case, groups[name], (found.path, "")) for name in SKILLS]
    order = ("not_run", "block", "warn", "pass")
    return min(outcomes, key=lambda outcome: (order.index(outcome.verdict), outcome.measured or 0.0))


def judge_choice_adjusted(case: Case) -> Outcome:
    """Choice on the scale where chance is 0; the threshold is judged on the raw scale."""
    found = case.evidence.eval_sets["eval"]
    choice, adjusted = value_at(found.summary, "choice"), case.check.threshold
    if not choice or adjusted is None:
        return not_run((found.path, ""))
    raw = choice["chance"] + adjusted * (1 - choice["chance"])
    verdict = judge_rate(choice["k"], choice["n"], raw, ">=", case.check.minimum_n)
    low, high = choice["adjusted_interval"]
    return Outcome(verdict, choice["adjusted"], adjusted, choice["n"], (low, high), ((found.path, ""),))
