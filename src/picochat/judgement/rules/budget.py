"""Whether the base model had enough to learn from, saw what was planned, and learned more than an n-gram."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from picochat.artifacts import layout
from picochat.judgement.documents import Document, value_at
from picochat.judgement.recount import recount_fairly
from picochat.judgement.rules.case import Case, Outcome, at_least, not_run, within

SLACK = 1.25
UNWRITTEN = {2: 0.25}
"""By version of the profiles the `warn_below` of `budget.replay` that their files do not say."""


def judge_target_ratio(case: Case) -> Outcome:
    """Planned tokens of base a parameter of its weights (Hoffmann et al. 2022: about 20)."""
    base, parameters = case.evidence.report(layout.BASE), case.evidence.parameters
    tokens = base.number("training", "planned_tokens")
    return at_least(
        case, tokens / parameters if tokens is not None and parameters else None, base, "/training/planned_tokens"
    )


def judge_trained(case: Case) -> Outcome:
    """Tokens that base saw, over the tokens that were planned."""
    base = case.evidence.report(layout.BASE)
    seen, planned = base.number("training", "tokens_seen"), _planned_tokens(case, base)
    return at_least(case, seen / planned if seen is not None and planned else None, base, "/training/tokens_seen")


def _planned_tokens(case: Case, base: Document) -> float | None:
    """The larger of what the report says and what run.json, which is older than the training, asked for."""
    said = base.number("training", "planned_tokens")
    asked = value_at(case.evidence.run.config, "base", "loop", "tokens") if case.evidence.run else None
    return max(said, asked) if said is not None and isinstance(asked, int | float) else said


def judge_replay(case: Case) -> Outcome:
    """Passes over the unique tokens of the source that was seen most often. Under `warn_below` most of the corpus was
    never seen: its size says nothing about the model.
    """
    base = case.evidence.report(layout.BASE)
    place = (base.path, "/training/exposure")
    entries = base.value("training", "exposure")
    passes = [value_at(entry, "passes") for entry in entries] if isinstance(entries, list) else []
    if not passes or not all(isinstance(value, int | float) for value in passes):
        return not_run(place, n=0)
    most = max(*passes, _counted_passes(base, entries))
    found = within(case, most, place, n=len(passes))
    least = case.check.warn_below
    least = UNWRITTEN.get(case.loaded.profile.version, 0.0) if least is None else least
    return replace(found, verdict="warn") if found.verdict == "pass" and most < least else found


def _counted_passes(base: Document, entries: list[Any]) -> float:
    """Passes over the whole text by the targets of the ledger, which the source seen most often cannot stay below.

    0 when they agree with what is said: a step's last tokens and an epoch's rest make a small difference.
    """
    targets, said = base.number("training", "targets_seen"), max(value_at(entry, "passes") for entry in entries)
    unique = [value_at(entry, "unique_tokens") for entry in entries]
    if targets is None or not all(isinstance(count, int) for count in unique) or not sum(unique):
        return 0.0
    counted = targets / sum(unique)
    return counted if counted > SLACK * said else 0.0


def judge_ngram(case: Case) -> Outcome:
    """The point of the held-out bits per byte against the baseline of the profile; the interval is shown.

    A baseline that stands above the one that counting again gives is not believed.
    """
    base = case.evidence.report(layout.BASE)
    bpb, error = base.number("validation", "bpb"), base.number("validation", "bpb_se")
    name = str(case.check.baseline)
    baseline = case.evidence.documents[layout.TOKENIZER_REPORT].number("baselines", name, "bpb")
    counted = recount_fairly(case.evidence)
    most = counted.most(name) if counted else None
    baseline = min(baseline, most) if baseline is not None and most is not None else baseline
    places = ((base.path, "/validation/bpb"), (layout.TOKENIZER_REPORT, f"/baselines/{name}/bpb"))
    if bpb is None or baseline is None:
        return not_run(*places)
    interval = (bpb - 1.96 * error, bpb + 1.96 * error) if error is not None else None
    return Outcome("pass" if bpb < baseline else "block", bpb, baseline, interval=interval, artifacts=places)
