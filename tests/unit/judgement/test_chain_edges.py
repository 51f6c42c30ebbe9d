"""Lineage and small laws that the mutants do not single out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.green_run import GreenRun

from picochat.artifacts.store import RunStore
from picochat.judgement.documents import load_document, same_numbers
from picochat.judgement.verify import verify_run
from picochat.views.checks import check_rows

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.floats(-1e6, 1e6) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_same_numbers_is_reflexive(value: object) -> None:
    assert same_numbers(value, value)


@pytest.mark.parametrize(
    ("first", "second"),
    [(1, True), (0, None), ([1], [1, 2]), ({"a": 1}, {"b": 1}), (0.5, 0.50001), ("1", 1), (0, False)],
)
def test_same_numbers_tells_values_apart(first: object, second: object) -> None:
    assert not same_numbers(first, second)


def test_rounding_of_the_last_bit_is_no_difference() -> None:
    assert same_numbers({"a": [0.1 + 0.2]}, {"a": (0.3,)})


def test_a_stage_that_read_what_nobody_wrote_breaks_the_lineage(tmp_path: Path) -> None:
    run = GreenRun(tmp_path / "run")
    run.store.root.mkdir()
    run.write_run()
    run.write_corpus(2)
    run.store.write("own.txt", b"x")
    run._report("tokenizer_report.json", "tokenizer_report", {}, ["own.txt"], [])
    found = [
        (result.evidence[0].artifact, result.measured)
        for result in verify_run(run.store)
        if result.id == "verify.lineage"
    ]
    assert ("own.txt", "tokenizer_report.json read it, no stage wrote it") in found
    assert ("tokenizer_report.json", "does not name corpus.txt") in found
    assert ("tokenizer_report.json", "does not name tokenizer.json") in found


def test_numbers_of_the_wrong_type_are_not_measured(tmp_path: Path) -> None:
    run = GreenRun(tmp_path / "run")
    run.store.root.mkdir()
    run.write_run()
    run._report(
        "base/report.json",
        "base_report",
        {"training": {"steps": True, "tokens_seen": "9", "loss": None}, "model": 3},
        [],
        [],
    )
    document = load_document(RunStore(tmp_path / "run"), "base/report.json", "base_report")
    keys = [
        ("training", "steps"),
        ("training", "tokens_seen"),
        ("training", "loss"),
        ("model", "parameters"),
        ("none",),
    ]
    assert [document.number(*path) for path in keys] == [None] * 5


def test_findings_render_as_rows(tmp_path: Path) -> None:
    rows = check_rows(result.to_json() for result in verify_run(RunStore(tmp_path)))
    assert {row.verdict for row in rows} == {"block", "not_run"}
    assert all(row.why and row.evidence for row in rows)
