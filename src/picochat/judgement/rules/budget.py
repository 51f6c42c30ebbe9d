"""Whether the base model had enough to learn from, saw what was planned, and learned more than an n-gram."""

from __future__ import annotations

from picochat.artifacts import layout
from picochat.judgement.rules.case import Case, Outcome, at_least, not_run


def judge_target_ratio(case: Case) -> Outcome:
    """Planned tokens of base a parameter (Hoffmann et al. 2022: about 20)."""
    base = case.evidence.report(layout.BASE)
    tokens, parameters = base.number("training", "planned_tokens"), base.number("model", "parameters")
    return at_least(
        case, tokens / parameters if tokens is not None and parameters else None, base, "/training/planned_tokens"
    )


def judge_trained(case: Case) -> Outcome:
    """Tokens that base saw, over the tokens that were planned."""
    base = case.evidence.report(layout.BASE)
    seen, planned = base.number("training", "tokens_seen"), base.number("training", "planned_tokens")
    return at_least(case, seen / planned if seen is not None and planned else None, base, "/training/tokens_seen")


def judge_ngram(case: Case) -> Outcome:
    """The point of the held-out bits per byte against the baseline of the profile; the interval is shown."""
    base = case.evidence.report(layout.BASE)
    bpb, error = base.number("validation", "bpb"), base.number("validation", "bpb_se")
    name = str(case.check.baseline)
    baseline = case.evidence.documents[layout.TOKENIZER_REPORT].number("baselines", name, "bpb")
    places = ((base.path, "/validation/bpb"), (layout.TOKENIZER_REPORT, f"/baselines/{name}/bpb"))
    if bpb is None or baseline is None:
        return not_run(*places)
    interval = (bpb - 1.96 * error, bpb + 1.96 * error) if error is not None else None
    return Outcome("pass" if bpb < baseline else "block", bpb, baseline, interval=interval, artifacts=places)
