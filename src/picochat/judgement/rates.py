"""The links that are numbers: what stands in two places, or follows from rows, weights or texts, computed again."""

from __future__ import annotations

from collections.abc import Iterator

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.judgement.clean_scores import SECTION
from picochat.judgement.documents import Document, first_difference, same_numbers
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.findings import finding, short
from picochat.judgement.memorisation import check_planted
from picochat.judgement.recount import recount_as_asked
from picochat.judgement.rescan import rescan_as_asked


def check_rates(evidence: RunEvidence) -> Iterator[CheckResult]:
    """Numbers that stand in two places or follow from rows."""
    eval_path = layout.report_path(layout.EVAL)
    for name, found in evidence.eval_sets.items() if evidence.report(layout.EVAL).usable else ():
        if found.problem and found.asked:
            yield finding("verify.rates", found.path, found.problem)
        if found.changed:
            yield finding(
                "verify.rates",
                found.path,
                f"{len(found.changed)} verdicts do not follow from the reply: {found.changed[0]}",
            )
        if found.summary and not found.reported_equal:
            yield finding(
                "verify.rates", eval_path, "differs from its rows", found.path, pointer=f"/sets/{name}/summary"
            )
    yield from _check_benchmarks(evidence)
    yield from _check_memorisation(evidence)
    yield from _check_prediction(evidence)
    yield from _check_hits(evidence)
    tokenizer, base = evidence.documents[layout.TOKENIZER_REPORT], evidence.report(layout.BASE)
    if tokenizer.usable and base.usable and not same_numbers(tokenizer.value("baselines"), base.value("baselines")):
        yield finding("verify.rates", base.path, "other baselines than", tokenizer.path, pointer="/baselines")
    yield from _check_baselines(evidence, tokenizer)


def _check_benchmarks(evidence: RunEvidence) -> Iterator[CheckResult]:
    """Scores follow from their rows, and these are all that were to be asked."""
    for added in (*evidence.benchmarks, *evidence.harness):
        path = added.report.path
        if added.report.usable and added.problem:
            yield finding("verify.rates", path, added.problem)
        if added.differing:
            yield finding(
                "verify.rates", path, f"differs from its rows in {', '.join(added.differing[:5])}", added.rows_path
            )
    for benchmark in evidence.benchmarks:
        if benchmark.left_out:
            text = f"not the published items in {len(benchmark.left_out)} groups: {', '.join(benchmark.left_out[:3])}"
            yield finding("verify.rates", benchmark.rows_path, text, benchmark.report.path)


def _check_baselines(evidence: RunEvidence, tokenizer: Document) -> Iterator[CheckResult]:
    """The baselines are those of the corpus: counted again, they are the same; a part of a large corpus bounds them."""
    counted = recount_as_asked(evidence) if tokenizer.usable else None
    said = tokenizer.value("baselines")
    if counted is None:
        return
    if counted.whole and not same_numbers(said, counted.scores):
        pointer, old, new = first_difference(said, counted.scores, "/baselines")
        yield finding("verify.rates", tokenizer.path, f"{old} is stored", f"{new}, counted again", pointer=pointer)
    for name in counted.scores if not counted.whole else ():
        bpb, most = tokenizer.number("baselines", name, "bpb"), counted.most(name)
        if bpb is None or most is None or bpb > most:
            text, pointer = f"at most {most}, counted on a part", f"/baselines/{name}/bpb"
            yield finding("verify.rates", tokenizer.path, f"{bpb} bits/byte", text, pointer=pointer)


def _check_hits(evidence: RunEvidence) -> Iterator[CheckResult]:
    """What stands in a training text is on the list of the honesty report."""
    again, report = rescan_as_asked(evidence), evidence.documents.get(layout.HONESTY)
    if again is None or report is None:
        return
    scanned = (name for name in again.sets if report.value(SECTION, "sets", name) is not None)
    for name in scanned:
        listed = report.value(SECTION, "sets", name, "dirty_ids")
        known = {item for item in listed if isinstance(item, str)} if isinstance(listed, list) else set()
        if missing := sorted(again.in_any(name) - known):
            text = f"lacks {len(missing):,} of {name} that stand in the training text: {missing[0]}"
            place = name.replace("/", "~1")
            yield finding("verify.rates", layout.HONESTY, text, pointer=f"/{SECTION}/sets/{place}/dirty_ids")


def _check_prediction(evidence: RunEvidence) -> Iterator[CheckResult]:
    """Numbers follow from the rungs, the target is this run, and it was said before base began."""
    found = evidence.prediction
    if found is None:
        return
    for place in found.differing:
        yield finding("verify.rates", layout.PREDICTION, f"{place} does not follow", layout.RUN, pointer=f"/{place}")
    for fault in found.faults:
        yield finding("verify.lineage", layout.PREDICTION, fault, pointer="/manifest")
    for place in found.check_differing:
        yield finding(
            "verify.rates", layout.PREDICTION_CHECK, f"{place} does not follow", layout.PREDICTION, pointer=f"/{place}"
        )


def _check_memorisation(evidence: RunEvidence) -> Iterator[CheckResult]:
    """Canaries are those of the salt, rows are those that the corpus asks for, numbers follow from rows."""
    corpus = evidence.documents[layout.CORPUS_MANIFEST]
    if corpus.usable and evidence.has_text and (fault := check_planted(evidence.store, corpus)):
        yield finding("verify.rates", layout.CANARIES if corpus.value("canaries") else layout.CORPUS_DOCUMENTS, fault)
    found = evidence.memorisation
    if found is None or not found.report.usable:
        return
    if found.problem:
        yield finding("verify.rates", layout.MEMORISATION, found.problem)
    for text in found.foreign[:5]:
        yield finding("verify.rates", layout.MEMORISATION_ROWS, text, layout.CORPUS)
    for place in found.differing:
        yield finding(
            "verify.rates", layout.MEMORISATION, "differs from its rows", layout.MEMORISATION_ROWS, pointer=f"/{place}"
        )
    for name in found.models:
        checkpoint = evidence.checkpoints.get(layout.checkpoint_dir(name))
        held, named = checkpoint and checkpoint.manifest, found.weights_digest(name)
        if held and held.weights_digest != named:
            pointer = f"/models/{name}/weights_digest"
            yield finding(
                "verify.rates", layout.MEMORISATION, short(str(named)), short(held.weights_digest), pointer=pointer
            )
