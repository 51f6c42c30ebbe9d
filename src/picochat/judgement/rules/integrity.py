"""The first line of every profile: the numbers are about these bytes, these weights, these rows and this training."""

from __future__ import annotations

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.core.jsonio import iter_jsonl
from picochat.judgement.chain import count_links
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.rules.case import Case, Outcome, count_faults, not_run
from picochat.judgement.split_leak import find_leaks
from picochat.training.ledger import spliced

EVAL_REPORT = layout.report_path(layout.EVAL)
Faults = list[tuple[str, str]]
"""(artifact, JSON pointer) of each fault."""


def judge_chain(case: Case) -> Outcome:
    """No broken link; each is listed by `picochat verify`."""
    files = tuple(dict.fromkeys((result.evidence[0].artifact, result.evidence[0].pointer) for result in case.broken))
    n = count_links(case.evidence)
    if n == 0:
        return not_run((layout.RUN, ""))
    return Outcome(
        "block" if case.broken else "pass", float(len(case.broken)), 0.0, n, artifacts=files or ((layout.RUN, ""),)
    )


def judge_weights(case: Case) -> Outcome:
    """Every report speaks of the weights that lie in the judged checkpoint."""
    evidence = case.evidence
    manifest = evidence.weights.manifest
    if manifest is None:
        return not_run((evidence.weights.path, ""))
    if not evidence.report(layout.EVAL).present:
        return not_run((EVAL_REPORT, "/weights_digest"))
    faults = _other_weights(evidence, manifest.weights_digest)
    seen = (f"{layout.checkpoint_dir(layout.SFT)}/{layout.CKPT_MANIFEST}", "/weights_digest")
    return count_faults([path for path, _ in faults], *(faults or (seen,)))


def _other_weights(evidence: RunEvidence, digest: str) -> Faults:
    sft, base = evidence.report(layout.SFT), evidence.report(layout.BASE)
    judged = [sft, evidence.report(layout.EVAL), *(benchmark.report for benchmark in evidence.benchmarks)]
    faults = [(doc.path, "/weights_digest") for doc in judged if doc.value("weights_digest") != digest]
    folder = layout.checkpoint_dir(layout.SFT)
    faults += [(doc.path, "/checkpoint") for doc in judged[1:] if doc.value("checkpoint") != folder]
    started = evidence.checkpoints[layout.checkpoint_dir(layout.BASE)].manifest
    if started is None or base.value("weights_digest") != started.weights_digest:
        faults.append((base.path, "/weights_digest"))
    if sft.value("base_weights_digest") != base.value("weights_digest"):
        faults.append((sft.path, "/base_weights_digest"))
    return faults


def judge_evidence(case: Case) -> Outcome:
    """The profile is as published, no report is missing, and the rows are all that were asked."""
    evidence = case.evidence
    faults: Faults = [] if case.loaded.genuine else [(f"profiles/{case.loaded.profile.name}.toml", "")]
    faults += [(layout.RUN, "")] if evidence.run_problem else []
    faults += [(document.path, "") for document in evidence.documents.values() if document.problem]
    for found in evidence.eval_sets.values():
        if (found.problem and found.asked) or found.changed or found.foreign:
            faults.append((found.path, ""))
    rows = evidence.eval_sets["eval"].summary
    if rows is None or rows["n"] < case.check.minimum_n:
        faults.append((evidence.eval_sets["eval"].path, ""))
    for benchmark in evidence.benchmarks:
        faults += [(benchmark.report.path, f"/{key}") for key in benchmark.moved]
        faults += [(benchmark.report.path, "")] if benchmark.problem else []
    unique = list(dict.fromkeys(faults))
    return count_faults([path for path, _ in unique], *(unique or ((EVAL_REPORT, ""),)))


def judge_failpoints(case: Case) -> Outcome:
    """No fault injection was armed."""
    run = case.evidence.run
    return (
        count_faults(list(run.failpoints), (layout.RUN, "/failpoints")) if run else not_run((layout.RUN, "/failpoints"))
    )


def judge_ledger(case: Case) -> Outcome:
    """base and sft: each planned step once, and the report's sums are those of the ledger."""
    reports = [case.evidence.report(stage) for stage in (layout.BASE, layout.SFT)]
    if not all(report.usable and report.number("training", "planned_steps") for report in reports):
        return not_run(*((report.path, "/training") for report in reports if not report.usable))
    faults: Faults = []
    for stage in (layout.BASE, layout.SFT):
        faults += _ledger_faults(case.evidence, stage)
    steps = sum(int(report.number("training", "planned_steps") or 0) for report in reports)
    places = tuple(dict.fromkeys(faults)) or tuple(
        (f"{stage}/{layout.LEDGER}", "") for stage in (layout.BASE, layout.SFT)
    )
    return Outcome("block" if faults else "pass", float(len(faults)), 0.0, steps, artifacts=places)


def _ledger_faults(evidence: RunEvidence, stage: str) -> Faults:
    report, path = evidence.report(stage), f"{stage}/{layout.LEDGER}"
    planned = report.number("training", "planned_steps")
    try:
        lines = spliced(evidence.store.path(path))
        written = sum(1 for _ in iter_jsonl(evidence.store.path(path)))
        steps = [line["step"] for line in lines]
        targets, skipped = sum(line["targets"] for line in lines), sum(line["verdict"] != "ok" for line in lines)
    except (PicochatError, KeyError, TypeError):
        return [(path, "")]
    faults: Faults = [(path, "")] if steps != list(range(1, int(planned or 0) + 1)) else []
    faults += [(path, "")] if written != len(lines) and not report.value("training", "resumes") else []
    sums = {"steps": len(lines), "targets_seen": targets, "skipped_steps": skipped}
    return faults + [
        (report.path, f"/training/{key}") for key, value in sums.items() if report.number("training", key) != value
    ]


def judge_split(case: Case) -> Outcome:
    """Read from the written corpus and shards: no text or near copy on both sides, each document the one recorded."""
    places = ((layout.CORPUS, ""), (layout.CORPUS_DOCUMENTS, ""))
    try:
        found = find_leaks(case.evidence)
    except (PicochatError, OSError):
        return not_run(*places)
    if found.documents == 0:
        return not_run(*places, n=0)
    faulty = tuple(found.places) or places
    return Outcome("block" if found.faults else "pass", float(found.faults), 0.0, found.documents, artifacts=faulty)
