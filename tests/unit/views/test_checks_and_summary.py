from __future__ import annotations

from typing import Any

from picochat.views.checks import UNKNOWN, check_row
from picochat.views.summary import render_summary

CHECK: dict[str, Any] = {
    "id": "sft.fit",
    "verdict": "warn",
    "measured": 0.7234,
    "threshold": 0.7,
    "direction": ">=",
    "unit": "fraction",
    "n": 1200,
    "interval": [0.69, 0.75],
    "required": True,
    "why": "a | b",
    "fix": "train longer",
    "evidence": [{"artifact": "eval/fit_rows.jsonl", "pointer": "/x"}],
    "inputs": [],
}
NOTHING: dict[str, Any] = {
    "facts": {
        "run": None,
        "corpus": dict.fromkeys(("documents", "bytes", "train_documents", "val_documents")),
        "tokenizer": dict.fromkeys(("vocab_size", "bytes_per_token")),
        "parameters": None,
        **{
            stage: dict.fromkeys(
                ("planned_steps", "steps", "tokens_seen", "skipped_steps", "duration_s", "tokens_per_s", "bpb")
            )
            for stage in ("base", "sft")
        },
        "baselines": {},
        "forgetting": {"before_bpb": None, "after_bpb": None},
        "rates": {},
        "benchmarks": [],
    },
    "not_run": [],
    "checks": [],
    "verdict": "blocked",
    "profile": "research",
    "profile_version": 1,
    "weights_digest": None,
    "not_judged": [],
    "failpoints": [],
    "shown": [],
}


def test_a_row_shows_interval_n_threshold_and_where() -> None:
    row = check_row(CHECK)
    assert row.measured == "0.723 [0.690, 0.750] (n = 1,200)"
    assert row.threshold == ">= 0.700"
    assert row.evidence == "eval/fit_rows.jsonl#/x"
    assert row.fix == "train longer"
    assert check_row(CHECK | {"verdict": "pass"}).fix == ""


def test_unknown_is_a_dash_never_zero() -> None:
    row = check_row(CHECK | {"measured": None, "threshold": None, "interval": None, "n": None})
    assert (row.measured, row.threshold) == (UNKNOWN, UNKNOWN)
    text = render_summary(NOTHING)
    assert "0 documents" not in text
    assert f"{UNKNOWN} documents" in text


def test_what_was_not_run_stands_before_what_passed_and_cells_are_escaped() -> None:
    content = NOTHING | {
        "not_run": ["external.present"],
        "checks": [CHECK, CHECK | {"id": "gate.evidence", "verdict": "pass"}],
    }
    text = render_summary(content)
    places = [
        text.index(part)
        for part in ("## Not run", "`external.present`", "## Blocked and warned", "## What to do next", "## Passed")
    ]
    assert places == sorted(places)
    assert "a \\| b" in text
    assert "- train longer (sft.fit)" in text
    assert render_summary(content) == text
