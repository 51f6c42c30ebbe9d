"""Which reports a run can have, by their files, and the schema of each: where inputs and outputs are written down."""

from __future__ import annotations

from picochat.artifacts import layout

SCHEMAS = {
    layout.CORPUS_MANIFEST: "corpus_manifest",
    layout.TOKENIZER_REPORT: "tokenizer_report",
    layout.report_path(layout.BASE): "base_report",
    layout.report_path(layout.SFT): "sft_report",
    layout.report_path(layout.EVAL): "eval_report",
}
"""The reports that every run has, in the order of their stages."""

OPTIONAL_SCHEMAS = {
    layout.SHARDS_MANIFEST: "shards_manifest",
    layout.HONESTY: "honesty",
    layout.PREDICTION: "prediction",
    layout.PREDICTION_CHECK: "prediction_check",
    layout.MEMORISATION: "memorisation",
    layout.PREFLIGHT: "preflight",
}
"""The reports of stages that only some runs have; a report that read one names it, so it cannot be missed."""

CLOSING_SCHEMAS = {layout.GATE: "gate", layout.SUMMARY: "summary"}
"""The records that speak of all the others."""
