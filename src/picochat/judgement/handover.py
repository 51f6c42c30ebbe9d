"""What a page for a reviewer shows beside the summary, from artifacts alone: curves, data, samples, machine, lineage.

A pure function of the run's files, so that verify can compute it again. What is not known is None or an empty list.
"""

from __future__ import annotations

from typing import Any

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.core.jsonio import iter_jsonl
from picochat.judgement.curves import build_curves
from picochat.judgement.documents import Document, value_at
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.prediction import build_plot
from picochat.views.files.lineage_records import link_files

TRAININGS = (layout.BASE, layout.SFT)
SAMPLE_CHARS = 1200
SAMPLES = 5
ON_THE_HUB = ("hf", "climbmix")
"""Kinds of imports whose name is a dataset's name on the hub."""
REASONS = 40
"""Reasons of drops, sources, warnings: as many as a page can hold."""


def build_handover(evidence: RunEvidence) -> dict[str, Any]:
    """The facts behind report and card that summary.json does not hold."""
    return {
        "trainings": {stage: _training(evidence, stage) for stage in TRAININGS},
        "data": _data(evidence.documents[layout.CORPUS_MANIFEST]),
        "tokenizer": _tokenizer(evidence.documents[layout.TOKENIZER_REPORT]),
        "chat": _chat(evidence.documents[layout.CORPUS_MANIFEST]),
        "run": _run(evidence),
        "lineage": link_files((path, found.sha256, found.manifest) for path, found in evidence.documents.items()),
        "prediction": build_plot(evidence.prediction),
    }


def _training(evidence: RunEvidence, stage: str) -> dict[str, Any]:
    report = evidence.report(stage)
    optim, training, machine = (report.value(*keys) for keys in (("recipe", "optim"), ("training",), ("machine",)))
    return {
        "present": report.present,
        "curves": build_curves(evidence, stage),
        "samples": _samples(evidence, stage),
        "model": _plain(report.value("model", "config")),
        "optim": _plain(optim),
        "rules": _plain(report.value("recipe", "rules")),
        "tokens_per_step": report.number("recipe", "tokens_per_step"),
        "numbers": {
            key: report.number("training", key)
            for key in ("planned_tokens", "tokens_seen", "unique_tokens", "epochs", "targets_seen", "tokens_per_s")
        },
        "exposure": [
            {
                "source": _text(value_at(entry, "source")),
                **{key: _number(value_at(entry, key)) for key in ("unique_tokens", "passes")},
            }
            for entry in _list(value_at(training, "exposure"))
        ],
        "resumes": len(_list(value_at(training, "resumes"))) if isinstance(training, dict) else None,
        "machine": _plain(machine),
        "environment": _plain(report.manifest.environment) if report.manifest else {},
        "code": report.manifest.code.to_json() if report.manifest else None,
        "peak_rss_bytes": report.number("peak_rss_bytes"),
        "documents": _text(report.value("documents")),
        "data_mode": _text(report.value("data_mode")),
    }


def _samples(evidence: RunEvidence, stage: str) -> list[dict[str, Any]]:
    """The last answers that the training has written down, cut where they are long."""
    try:
        rows = list(iter_jsonl(evidence.store.path(f"{stage}/{layout.SAMPLES}")))
    except PicochatError:
        return []
    known = [row for row in rows if isinstance(row, dict) and isinstance(row.get("text"), str)]
    last = max((row["step"] for row in known if isinstance(row.get("step"), int)), default=None)
    return [
        {
            "step": last,
            "prompt": (_text(row.get("prompt")) or "")[:SAMPLE_CHARS],
            "text": row["text"][:SAMPLE_CHARS],
            "cut": len(row["text"]) > SAMPLE_CHARS,
        }
        for row in known
        if row.get("step") == last
    ][:SAMPLES]


def _data(corpus: Document) -> dict[str, Any]:
    counts = corpus.value("counts")
    return {
        "pack": _text(corpus.value("pack", "name")),
        "description": _text(corpus.value("pack", "description")),
        "languages": [text for text in map(_text, _list(corpus.value("pack", "languages"))) if text],
        "sources": [_source(entry) for entry in _list(corpus.value("sources"))[:REASONS]],
        "dropped": _reasons(corpus.value("dropped", "by_reason")),
        "counts": {key: _number(value) for key, value in _plain(counts).items()},
        "val_fraction": corpus.number("split", "val_fraction"),
        "salt": _text(corpus.value("split", "salt")),
        "warnings": [text for text in map(_text, _list(corpus.value("warnings"))) if text][:REASONS],
    }


def _reasons(by_reason: Any) -> list[list[Any]] | None:
    """[reason, documents], the commonest first; None when nothing is known of drops."""
    if not isinstance(by_reason, dict):
        return None
    counted = [(str(reason), _number(count)) for reason, count in _plain(by_reason).items()]
    return [[reason, count] for reason, count in sorted(counted, key=lambda pair: (-(pair[1] or 0), pair[0]))][:REASONS]


def _source(entry: Any) -> dict[str, Any]:
    origin = value_at(entry, "import", "origin")
    dropped = [number for number in map(_number, _plain(value_at(entry, "dropped")).values()) if number is not None]
    return {
        **{key: _text(value_at(entry, key)) for key in ("id", "path", "licence", "revision", "sha256")},
        **{key: _number(value_at(entry, key)) for key in ("read", "kept", "weight", "emails", "secrets")},
        "dropped": sum(dropped),
        "documents_are": _text(value_at(entry, "documents_are")),
        "hub_dataset": _text(value_at(origin, "name")) if value_at(origin, "kind") in ON_THE_HUB else None,
    }


def _tokenizer(report: Document) -> dict[str, Any]:
    keys = ("vocab_size", "bytes_per_token", "train_tokens", "val_tokens")
    return {key: report.number(key) for key in keys}


def _chat(corpus: Document) -> dict[str, Any]:
    return {key: corpus.number("chat", key) for key in ("rows", "heldout_rows", "eval_rows", "disjoint_violations")}


def _run(evidence: RunEvidence) -> dict[str, Any] | None:
    run = evidence.run
    if run is None:
        return None
    return {"digest": evidence.run_digest, "seed": _number(run.config.get("seed")), "code": run.code.to_json()}


def _plain(value: Any) -> dict[str, Any]:
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | int | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
