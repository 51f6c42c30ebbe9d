"""Predicted, band, measured in words: on the terminal, in the summary and on the page."""

from typing import Any

import pytest
from tests.support.ladders import make_ladder

from picochat.evals.scaling.prediction import predict_loss
from picochat.views.gate.prediction import ladder_table, law_notes, prediction_notes, prediction_table
from picochat.views.markup import join
from picochat.views.report.prediction import prediction

FACTS: dict[str, Any] = {
    "target": {"parameters": 755_000, "tokens": 1_200_000},
    "predicted": {"bpb": 2.0, "low": 1.95, "high": 2.05},
    "refusal": None,
    "measured": {"bpb": 2.02, "bpb_se": 0.01, "loss": 3.0},
    "error_frac": 0.01,
    "inside": True,
    "problem": "",
    "incomparable": [],
    "rules_differ": [{"key": "base.loop.schedule", "ladder": "wsd", "target": "linear"}],
}
PLOT = {
    "rungs": [[40_000, 2.6], [343_000, 2.1]],
    "law": [[40_000, 2.6], [343_000, 2.1], [755_000, 2.0]],
    "band": [[755_000, 1.95], [755_000, 2.05]],
    "measured": [[755_000, 2.02]],
}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, ["2.0000", "1.9500 to 2.0500", "2.0200", "+1.00%", "inside the band"]),
        ({"inside": False, "error_frac": -0.2}, ["-20.00%", "OUTSIDE of the band"]),
        ({"inside": None, "error_frac": None}, ["—", "not compared"]),
    ],
)
def test_one_row_says_predicted_band_and_measured(changed: dict, words: list[str]):
    table = prediction_table(FACTS | changed)
    assert len(table.rows) == 1 and len(table.rows[0]) == len(table.columns)
    assert [word for word in words if word not in table.rows[0]] == []


def test_before_the_run_nothing_is_measured_and_a_refusal_has_no_row():
    body = predict_loss(make_ladder(noise=0.005), 755_000, 1_200_000)
    assert len(prediction_table(body).rows[0]) == 4
    notes = law_notes(body | {"rules_differ": FACTS["rules_differ"]})
    assert notes[0].startswith("law: ") and "left out" in notes[1] and "Huber" in notes[2]
    assert notes[3] == "base.loop.schedule was wsd in the ladder and is linear in the target"
    refused = predict_loss(make_ladder(noise=0.005), 755_000_000, 1_200_000)
    assert prediction_table(refused).rows == [] and "powers of ten" in prediction_notes(refused)[0]


def test_rungs_are_a_row_each():
    rungs = [rung.to_json() for rung in make_ladder()]
    table = ladder_table(rungs)
    assert len(table.rows) == 17 and all(len(row) == len(table.columns) for row in table.rows)
    assert table.rows[0][:3] == ["n40000-d300000", "40,000", "300,000"]


def test_the_page_draws_rungs_law_band_and_what_was_measured():
    page = str(join(prediction(FACTS, PLOT)))
    assert page.count("<svg") == 1 and page.count("<circle") >= 3
    for words in ("Held-out loss over parameters", "band: 1.9500 to 2.0500", "measured: 2.0200 at 755 k", "parameters"):
        assert words in page
    assert "was wsd in the ladder" in page
    assert "<svg" not in str(join(prediction(FACTS | {"predicted": None}, None)))


def test_words_from_a_file_are_text_on_the_page():
    hostile = FACTS | {"problem": "<script>alert(1)</script>"}
    page = str(join(prediction(hostile, PLOT)))
    assert "<script>" not in page and "&lt;script&gt;" in page
