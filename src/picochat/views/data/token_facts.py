"""What a run's tokenizer, shards, packing and exposure are, and what was searched for in the training text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.views.reading import (
    Found,
    dict_of,
    find_document,
    list_of,
    number_of,
    numbers_of,
    text_of,
    value_at,
)

MOST = 500
SIDES = ("train", "val")
TRAININGS = (layout.BASE, layout.SFT)


def read_tokenizer(root: Path) -> dict[str, Any]:
    """What the tokenizer stage measured."""
    found = find_document(root, layout.TOKENIZER_REPORT)
    keys = ("vocab_size", "bytes_per_token", "single_byte_token_frac", "unused_ids", "train_tokens", "val_tokens")
    baselines = dict_of(found.value("baselines"))
    return {
        "state": found.state,
        "why": found.why,
        **{key: found.number(key) for key in keys},
        "by_source": numbers_of(found.value("bytes_per_token_by_source")),
        "longest": [
            {"id": number_of(value_at(entry, "id")), "bytes": number_of(value_at(entry, "bytes"))}
            | {"text": text_of(value_at(entry, "text"))}
            for entry in list_of(found.value("longest_tokens"))[:MOST]
        ],
        "special": numbers_of(found.value("special_tokens")),
        "fast_path": {
            "equal": found.value("fast_path", "equal") if isinstance(found.value("fast_path", "equal"), bool) else None,
            "checked_bytes": found.number("fast_path", "checked_bytes"),
            "difference": text_of(found.value("fast_path", "difference")),
        },
        "baselines": {str(name): number_of(value_at(scores, "bpb")) for name, scores in baselines.items()},
    }


def read_packing(root: Path) -> dict[str, Any]:
    """How documents and conversations became rows, and how often an epoch or the training showed each source."""
    shards = find_document(root, layout.SHARDS_MANIFEST)
    reports = {stage: find_document(root, layout.report_path(stage)) for stage in TRAININGS}
    return {
        "data_mode": text_of(reports[layout.BASE].value("data_mode")),
        "shards": {
            "state": shards.state,
            "why": shards.why,
            "sides": [_side(shards, side) for side in SIDES] if shards.body else [],
            "facts": numbers_of(shards.value("packing_facts")),
            "exposure": [_exposure(entry) for entry in list_of(shards.value("exposure"))[:MOST]],
        },
        "conversations": _conversations(reports[layout.SFT]),
        "exposure": [
            {"stage": stage} | _exposure(entry)
            for stage, report in reports.items()
            for entry in list_of(report.value("training", "exposure"))[:MOST]
        ],
    }


def read_contamination(root: Path) -> dict[str, Any]:
    """The matrix of honesty.json: how many items of each judged set stand in each text that was trained on."""
    found = find_document(root, layout.HONESTY)
    keys = ("items", "question", "answer", "both", "dirty", "hits")
    rows = list_of(found.value("contamination", "matrix"))[:MOST]
    sets = dict_of(found.value("contamination", "sets"))
    return {
        "state": found.state,
        "why": found.why,
        "matrix": [
            {
                "set": text_of(value_at(row, "set")),
                "against": text_of(value_at(row, "against")),
                **numbers_of(row, keys),
            }
            for row in rows
        ],
        "sets": [
            {"set": str(name)} | numbers_of(entry, ("items", "clean", "dirty", "uncheckable"))
            for name, entry in sets.items()
        ],
    }


def _side(shards: Found, side: str) -> dict[str, Any]:
    """Sums over the shards of one side; None where a shard does not say."""
    entries = list_of(shards.value(side))
    sums: dict[str, Any] = {"side": side, "shards": len(entries)}
    for key in ("tokens", "documents", "bytes"):
        values = [number_of(value_at(entry, key)) for entry in entries]
        known = [value for value in values if value is not None]
        sums[key] = sum(known) if len(known) == len(values) else None
    return sums


def _conversations(report: Found) -> dict[str, Any]:
    keys = ("conversations", "packed_rows", "padding_frac", "too_long", "replay_rows", "supervised_targets_per_epoch")
    return {
        "state": report.state,
        "why": report.why,
        **numbers_of(report.value("sft"), (*keys, "duplicate_prompts_frac")),
    }


def _exposure(entry: Any) -> dict[str, Any]:
    return {"source": text_of(value_at(entry, "source"))} | numbers_of(
        entry, ("unique_tokens", "epoch_tokens", "passes", "weight")
    )
