"""The chain of artifacts up to the gate: run.json -> manifests -> inputs and outputs -> checkpoints -> rates.

Every function yields one finding a broken link and nothing for a whole one. The records of gate and summary are left
out here, so that a gate computed again later comes out the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.reports import FileRef, Manifest
from picochat.judgement.documents import Document, same_numbers
from picochat.judgement.evidence import CheckpointFacts, RunEvidence
from picochat.judgement.findings import finding, short
from picochat.judgement.rates import check_rates

_BASE_CHECKPOINT = layout.checkpoint_dir(layout.BASE) + "/"
_SFT_CHECKPOINT = layout.checkpoint_dir(layout.SFT) + "/"
_EDGES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "corpus_manifest": ((), (layout.CORPUS, layout.CORPUS_DOCUMENTS, layout.CHAT_TRAIN, layout.CHAT_EVAL)),
    "tokenizer_report": ((layout.CORPUS,), (layout.TOKENIZER,)),
    "shards_manifest": ((layout.TOKENIZER, layout.CORPUS, layout.CORPUS_DOCUMENTS), (f"{layout.SHARDS}/",)),
    "base_report": ((layout.TOKENIZER, layout.CORPUS), (_BASE_CHECKPOINT, f"{layout.BASE}/{layout.LEDGER}")),
    "sft_report": (
        (layout.TOKENIZER, layout.CHAT_TRAIN, _BASE_CHECKPOINT),
        (_SFT_CHECKPOINT, f"{layout.SFT}/{layout.LEDGER}"),
    ),
    "eval_report": ((layout.CHAT_EVAL, _SFT_CHECKPOINT), (f"{layout.EVAL}/{layout.ROWS}",)),
    "benchmark_report": ((_SFT_CHECKPOINT,), ()),
    "harness_report": ((_SFT_CHECKPOINT,), ()),
    "honesty": (
        (layout.CORPUS, layout.CORPUS_DOCUMENTS, layout.CHAT_TRAIN, layout.CHAT_HELDOUT, layout.CHAT_EVAL),
        (layout.HONESTY_HITS,),
    ),
    "prediction": ((), ()),
    "prediction_check": ((layout.PREDICTION, layout.report_path(layout.BASE)), ()),
    "memorisation": (
        (layout.CORPUS, layout.CORPUS_DOCUMENTS, layout.TOKENIZER, _SFT_CHECKPOINT),
        (layout.MEMORISATION_ROWS,),
    ),
    "preflight": ((), (layout.PREFLIGHT_MD,)),
}
"""By schema: what a stage must have read, and what it must have written. A name that ends in / or - begins others."""

_EXTERNAL_KINDS = {
    "corpus": layout.CORPUS,
    "tokenizer": layout.TOKENIZER,
    "chat_train": layout.CHAT_TRAIN,
    "base_checkpoint": _BASE_CHECKPOINT,
}
"""Inputs that may lie outside the run, by kind, and the name that they stand for."""


def check_chain(evidence: RunEvidence) -> list[CheckResult]:
    """All broken links, in the order of the stages; an empty list is a whole chain."""
    found = [*_check_run(evidence)]
    for document in evidence.documents.values():
        if document.present:
            found += _check_document(evidence, document)
    found += _check_origins(evidence)
    found += _check_waivers(evidence)
    found += _check_checkpoints(evidence)
    found += check_rates(evidence)
    return found


def count_links(evidence: RunEvidence) -> int:
    """Files of the run that the manifests name: the n of the chain."""
    return len({ref.path for _, ref in iter_refs(evidence) if not ref.external})


def iter_refs(evidence: RunEvidence) -> Iterator[tuple[Document, FileRef]]:
    """Every input and output of every report, with the report that names it."""
    for document in evidence.documents.values():
        if document.manifest:
            yield from ((document, ref) for ref in (*document.manifest.inputs, *document.manifest.outputs))


def _check_run(evidence: RunEvidence) -> Iterator[CheckResult]:
    if evidence.run_problem:
        yield finding("verify.chain", layout.RUN, evidence.run_problem)


def _check_document(evidence: RunEvidence, document: Document) -> Iterator[CheckResult]:
    if document.problem:
        yield finding("verify.chain", document.path, document.problem)
    if document.manifest:
        yield from check_manifest(evidence, document.path, document.manifest)
        yield from _check_edges(document, document.manifest)


def check_manifest(evidence: RunEvidence, path: str, manifest: Manifest) -> Iterator[CheckResult]:
    """The run that a record belongs to, and every file it names that is still there or belongs to the run."""
    if manifest.run_digest != evidence.run_digest:
        recorded, now = short(manifest.run_digest), short(evidence.run_digest)
        yield finding("verify.chain", path, f"belongs to run.json {recorded}", now, pointer="/manifest/run_digest")
        yield finding("verify.chain", layout.RUN, now, recorded)
    for ref in (*manifest.inputs, *manifest.outputs):
        yield from _check_ref(evidence, path, ref)


def _check_ref(evidence: RunEvidence, path: str, ref: FileRef) -> Iterator[CheckResult]:
    now = evidence.digest_of_ref(ref)
    if now is None and ref.external:
        return
    if now is None:
        yield finding("verify.chain", ref.path, f"missing, {path} names it", short(ref.sha256))
    elif now != (ref.bytes, ref.sha256):
        yield finding(
            "verify.chain",
            ref.path,
            f"{short(now.sha256)}, {now.bytes:,} bytes",
            f"{short(ref.sha256)}, {ref.bytes:,} bytes in {path}",
        )


def _check_edges(document: Document, manifest: Manifest) -> Iterator[CheckResult]:
    inputs, outputs = _EDGES[document.body["schema"]["name"]]
    if document.value("data_mode") in ("sharded", "packed"):
        inputs = (*inputs, layout.SHARDS_MANIFEST, f"{layout.SHARDS}/train-", f"{layout.SHARDS}/val-")
    if isinstance(document.value("canaries"), dict):
        outputs = (*outputs, layout.CANARIES)
    rows = [document.value("rows")] if isinstance(document.value("rows"), str) else []
    sets = document.value("sets")
    rows += (
        [entry["rows"] for entry in sets.values() if isinstance(entry, dict) and "rows" in entry]
        if isinstance(sets, dict)
        else []
    )
    for side, wanted, refs in (("inputs", inputs, manifest.inputs), ("outputs", (*outputs, *rows), manifest.outputs)):
        named = [ref.path for ref in refs if not ref.external]
        outside = {_EXTERNAL_KINDS.get(ref.kind) for ref in refs if ref.external}
        for name in wanted:
            inside = any(path == name or (name.endswith(("/", "-")) and path.startswith(name)) for path in named)
            if not inside and name not in outside:
                yield finding("verify.lineage", document.path, f"does not name {name}", pointer=f"/manifest/{side}")


def _check_origins(evidence: RunEvidence) -> Iterator[CheckResult]:
    """Every file that a stage read from the run was written by a stage of the run."""
    written = {ref.path for d in evidence.documents.values() if d.manifest for ref in d.manifest.outputs}
    written |= {layout.RUN, *evidence.documents}
    for document in evidence.documents.values():
        for ref in document.manifest.inputs if document.manifest else ():
            if not ref.external and ref.path not in written:
                yield finding(
                    "verify.lineage",
                    ref.path,
                    f"{document.path} read it, no stage wrote it",
                    pointer="/manifest/inputs",
                )


def _check_waivers(evidence: RunEvidence) -> Iterator[CheckResult]:
    """A file that was edited by hand is nobody's word."""
    if problem := evidence.waivers[1]:
        yield finding("verify.chain", layout.WAIVERS, problem)


def _check_checkpoints(evidence: RunEvidence) -> Iterator[CheckResult]:
    for path, checkpoint in evidence.checkpoints.items():
        stage = path.partition("/")[0]
        report = evidence.report(stage)
        if checkpoint.problem and (report.present or checkpoint.problem != "missing"):
            yield finding("verify.checkpoint", checkpoint.path, checkpoint.problem)
        if checkpoint.manifest and checkpoint.manifest.run_digest != evidence.run_digest:
            manifest = f"{path}/{layout.CKPT_MANIFEST}"
            yield finding(
                "verify.checkpoint",
                manifest,
                short(checkpoint.manifest.run_digest),
                short(evidence.run_digest),
                pointer="/run_digest",
            )
        if checkpoint.manifest and checkpoint.manifest.stage != stage:
            yield finding("verify.checkpoint", path, checkpoint.manifest.stage, stage)
        yield from _check_parameters(checkpoint, report)


def _check_parameters(checkpoint: CheckpointFacts, report: Document) -> Iterator[CheckResult]:
    """A report says as many parameters as the weights that it is about have."""
    said, counted = report.value("model", "parameters"), checkpoint.parameters
    if not report.usable or counted is None or checkpoint.path != layout.checkpoint_dir(report.path.partition("/")[0]):
        return
    if not same_numbers(said, counted):
        held = f"{counted:,} in {checkpoint.path}/{layout.CKPT_WEIGHTS}"
        yield finding("verify.rates", report.path, f"{said} parameters", held, pointer="/model/parameters")
