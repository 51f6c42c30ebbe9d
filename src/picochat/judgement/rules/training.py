"""Whether base and SFT took every planned step, how many the guard left out, and what SFT was made of."""

from __future__ import annotations

from picochat.artifacts import layout
from picochat.judgement.rules.case import Case, Outcome, Rule, not_run, within

STAGES = (layout.BASE, layout.SFT)


def judge_completed(case: Case) -> Outcome:
    """Steps taken of those planned, of the stage that took the least."""
    shares = []
    for report in map(case.evidence.report, STAGES):
        steps, planned = report.number("training", "steps"), report.number("training", "planned_steps")
        if steps is None or not planned:
            return not_run((report.path, "/training/steps"))
        shares.append((steps / planned, (report.path, "/training/steps")))
    share, place = min(shares)
    return within(case, share, place)


def judge_skips(case: Case) -> Outcome:
    """Steps that the loss guard left out of the weights, of the stage with the larger share."""
    shares = []
    for report in map(case.evidence.report, STAGES):
        skipped, steps = report.number("training", "skipped_steps"), report.number("training", "steps")
        if skipped is None or not steps:
            return not_run((report.path, "/training/skipped_steps"))
        shares.append((skipped / steps, (report.path, "/training/skipped_steps"), int(steps)))
    share, place, steps = max(shares)
    return within(case, share, place, n=steps)


def sft_share(*keys: str) -> Rule:
    """A rule for a share that the SFT report has."""

    def judge(case: Case) -> Outcome:
        report = case.evidence.report(layout.SFT)
        return within(case, report.number(*keys), (report.path, "/" + "/".join(keys)))

    return judge


def judge_too_long(case: Case) -> Outcome:
    """Conversations that were left out because no row has room for them."""
    report = case.evidence.report(layout.SFT)
    left_out, kept = report.number("sft", "too_long"), report.number("sft", "conversations")
    place = (report.path, "/sft/too_long")
    if left_out is None or kept is None or left_out + kept == 0:
        return not_run(place)
    return within(case, left_out / (left_out + kept), place, n=int(left_out + kept))
