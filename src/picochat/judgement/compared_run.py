"""One run as a comparison sees it: its rows of one set, judged again, and the losses of its trainings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.reports import Manifest
from picochat.artifacts.store import RunStore
from picochat.core.errors import refuse
from picochat.core.hashing import digest_of
from picochat.core.jsonio import iter_jsonl
from picochat.data.conversations import EvalRow
from picochat.evals.scoring import PASS
from picochat.judgement.documents import load_document, value_at
from picochat.judgement.eval_sets import load_eval_set

Row = dict[str, Any]
_CORPUS_KINDS = {"corpus": layout.CORPUS, "corpus_documents": layout.CORPUS_DOCUMENTS}


@dataclass(frozen=True)
class ComparedRun:
    """What is compared. `rows` are by id; every verdict follows from its reply."""

    path: str
    weights_digest: str
    settings: Mapping[str, Any]
    """The run's configuration, flat."""
    rows: Mapping[str, Row]
    summary: Mapping[str, Any]
    questions: str
    """Digest of what was asked, in the order of the ids."""
    source: str
    """Digest of the file that the questions come from."""
    base: Mapping[str, Any] | None
    """Held-out loss of the base model, and the digest of what it was measured on."""
    forgetting: Mapping[str, Any] | None

    def passes(self, row_id: str) -> bool:
        return self.rows[row_id]["verdict"] == PASS


def load_compared(store: RunStore, settings: Mapping[str, Any], name: str) -> ComparedRun:
    """Hashes the eval's files again and judges each row of one set again.

    Raises `artifact.*` for changed or missing files and `compare.rows` for rows that do not give what is stored.
    """
    path = layout.report_path(layout.EVAL)
    body = store.require_outputs(path, "eval_report")
    found = load_eval_set(store, load_document(store, path, "eval_report"), name)
    where = store.path(found.path)
    if found.problem or found.summary is None:
        refuse("compare.rows", f"{where}: the set {name!r} cannot be used: {found.problem}")
    if found.changed:
        refuse("compare.rows", f"{where}: {_some(found.changed)} have a verdict that does not follow from the reply")
    if found.foreign:
        refuse("compare.rows", f"{where}: {_some(found.foreign)} are not those of {found.source}")
    if not found.reported_equal:
        refuse("compare.rows", f"{store.path(path)} reports other rates of {name!r} than its rows give")
    rows = {str(row["id"]): row for row in iter_jsonl(where)}
    return ComparedRun(
        path=str(store.root),
        weights_digest=str(body["weights_digest"]),
        settings=settings,
        rows=rows,
        summary=found.summary,
        questions=digest_of([question_of(rows[row_id]) for row_id in sorted(rows)]),
        source=store.ref("source", found.source).sha256,
        base=read_base_loss(store),
        forgetting=_forgetting(store),
    )


def question_of(row: Row) -> dict[str, Any]:
    """What was asked and how it is judged, without the reply."""
    fields = {key: row[key] for key in EvalRow.model_fields if key in row}
    return EvalRow.model_validate(fields).as_dict()


def shown_reply(row: Row) -> str:
    """The reply, or of a row that is judged by likelihoods the option that got the highest."""
    scores = row.get("option_scores")
    if not row["reply"] and scores:
        best = max(range(len(scores)), key=lambda place: scores[place]["raw"])
        return str(row["options"][best])
    return str(row["reply"])


def read_base_loss(store: RunStore) -> dict[str, Any] | None:
    """None where the run has no base training of its own. Raises `artifact.changed` for an edited report."""
    path = layout.report_path(layout.BASE)
    if not store.has(path):
        return None
    body = store.read_report(path, "base_report")
    validation, refs = body["validation"], Manifest.from_json(body["manifest"], path).inputs
    texts = {
        kind: next((ref.sha256 for ref in refs if ref.kind == kind or ref.path == name), None)
        for kind, name in _CORPUS_KINDS.items()
    }
    measured_on = [texts, validation.get("documents"), validation.get("bytes")]
    return {
        "bpb": validation["bpb"],
        "bpb_se": validation.get("bpb_se"),
        "weights_digest": body["weights_digest"],
        "validation": digest_of(measured_on) if texts["corpus"] else None,
    }


def _forgetting(store: RunStore) -> dict[str, Any] | None:
    path = layout.report_path(layout.SFT)
    found = value_at(store.read_report(path, "sft_report"), "forgetting") if store.has(path) else None
    return {key: found[key] for key in ("before_bpb", "after_bpb")} if found else None


def _some(ids: list[str]) -> str:
    more = f" and {len(ids) - 3:,} more" if len(ids) > 3 else ""
    return f"{len(ids):,} rows ({', '.join(ids[:3])}{more})"
