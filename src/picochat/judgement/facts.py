"""The numbers of a summary, taken from the evidence: a pure function, so that verify can compute them again."""

from __future__ import annotations

from typing import Any

from picochat.artifacts import layout
from picochat.judgement.clean_scores import build_contamination
from picochat.judgement.documents import Document, value_at
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.memorisation import build_memorisation
from picochat.judgement.prediction import build_prediction

_TRAINING = ("planned_steps", "steps", "tokens_seen", "skipped_steps", "duration_s", "tokens_per_s")
_RATE = ("k", "n", "rate", "interval")


def build_facts(evidence: RunEvidence) -> dict[str, Any]:
    """What summary.md shows beside the checks. What was not measured is null, never 0."""
    run = evidence.run
    corpus, tokenizer = evidence.documents[layout.CORPUS_MANIFEST], evidence.documents[layout.TOKENIZER_REPORT]
    base, sft = evidence.report(layout.BASE), evidence.report(layout.SFT)
    facts = {
        "run": {"name": run.name, "profile": run.profile, "created_at": run.created_at} if run else None,
        "corpus": {
            key: corpus.number("counts", key) for key in ("documents", "bytes", "train_documents", "val_documents")
        },
        "tokenizer": {key: tokenizer.number(key) for key in ("vocab_size", "bytes_per_token")},
        "parameters": base.number("model", "parameters"),
        "base": _training(base),
        "sft": _training(sft),
        "baselines": _baselines(tokenizer),
        "forgetting": {key: sft.number("forgetting", key) for key in ("before_bpb", "after_bpb")},
        "rates": _rates(evidence),
        "contamination": build_contamination(evidence),
        "memorisation": build_memorisation(evidence.memorisation),
        "benchmarks": [_benchmark(found.name, found.numbers, found.problem) for found in evidence.benchmarks],
    }
    # Only a run of which something was predicted says so: older summaries read as before.
    return facts | ({"prediction": said} if (said := build_prediction(evidence.prediction)) else {})


def _training(report: Document) -> dict[str, Any]:
    validation = {key: report.number("validation", key) for key in ("loss", "bpb", "bpb_se")}
    return {key: report.number("training", key) for key in _TRAINING} | validation


def _baselines(tokenizer: Document) -> dict[str, Any]:
    names = tokenizer.value("baselines")
    return {name: tokenizer.number("baselines", name, "bpb") for name in names} if isinstance(names, dict) else {}


def _rates(evidence: RunEvidence) -> dict[str, dict[str, Any]]:
    """By row of the table (a category, or benign): fit, held-out fit and eval side by side, never added up."""
    table: dict[str, dict[str, Any]] = {}
    for name, found in evidence.eval_sets.items():
        summary = found.summary or {}
        rows = dict(summary.get("categories", {}))
        if summary.get("benign"):
            rows["benign"] = summary["benign"]
        for category, numbers in rows.items():
            table.setdefault(category, {})[name] = {key: numbers[key] for key in _RATE}
    return table


def _benchmark(name: str, numbers: dict[str, Any] | None, problem: str) -> dict[str, Any]:
    keys = ("n", "rate", "interval", "adjusted", "adjusted_interval", "chance", "partial")
    return {"name": name, "problem": problem, **{key: value_at(numbers, key) for key in keys}}
