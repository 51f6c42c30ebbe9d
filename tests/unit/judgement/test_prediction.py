"""Predictions in a judged run: what verify finds, what the two rules answer, what summary and chart are made of."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.ladders import TEXT, make_ladder

from picochat.artifacts import layout
from picochat.artifacts.reports import Manifest
from picochat.evals.scaling.prediction import check_prediction, predict_loss
from picochat.judgement.documents import Document
from picochat.judgement.prediction import (
    PredictionEvidence,
    build_plot,
    build_prediction,
    load_prediction,
    prediction_word,
)
from picochat.judgement.registry import CHECKS
from picochat.judgement.rules.prediction import judge_inside
from picochat.views.gate.prediction import prediction_notes, prediction_table

N, D = 755_000, 1_200_000
SHA = "p" * 64


def manifest(**inputs: str) -> dict[str, Any]:
    refs = [
        {
            "kind": kind,
            "path": layout.PREDICTION if kind == "prediction" else kind,
            "bytes": 1,
            "sha256": digest,
            "external": False,
        }
        for kind, digest in inputs.items()
    ]
    code = {"version": "0", "git_commit": None, "git_dirty": None, "package_digest": "0"}
    fields = {"stage": "s", "attempt": 1, "started_at": "", "finished_at": "", "duration_s": 0.0, "run_digest": "0"}
    return fields | {"code": code, "environment": {}, "config": "0", "inputs": refs, "outputs": []}


def document(path: str, body: dict[str, Any], sha256: str = "f" * 64) -> Document:
    parsed = Manifest.from_json(body["manifest"], path) if "manifest" in body else None
    return Document(path, body, parsed, sha256, "")


def prediction_body(**more: Any) -> dict[str, Any]:
    ladder = make_ladder(noise=0.005)
    rungs = [rung.to_json() for rung in ladder]
    return {"rungs": rungs, "text": TEXT, "rules_differ": [], **predict_loss(ladder, N, D), **more}


def base_body(bpb: float, **inputs: str) -> dict[str, Any]:
    return {
        "validation": {"bpb": bpb, "bpb_se": 0.01, "loss": 3.0, "loss_se": 0.01},
        "model": {"parameters": N},
        "training": {"tokens_seen": D},
        "manifest": manifest(**(TEXT | {"prediction": SHA} | inputs)),
    }


def evidence(
    factor: float = 1.0, check: dict[str, Any] | None = None, said: dict[str, Any] | None = None, **inputs: str
):
    """A prediction, the base training that came to `factor` of it, and the comparison that stands in the run."""
    body = said or prediction_body()
    middle = body["predicted"]["bpb"] if body["predicted"] else 2.0
    base = base_body(middle * factor, **inputs)
    stored = check_prediction(body, SHA, base) | (check or {})
    checked = document(layout.PREDICTION_CHECK, stored)
    report = document("base/report.json", base)
    return load_prediction(document(layout.PREDICTION, body, SHA), checked, report, None)


class Case:
    """As much of a case as the rules ask for."""

    def __init__(self, found: PredictionEvidence | None) -> None:
        self.evidence = self
        self.prediction = found


def test_a_sound_prediction_is_present_and_its_result_inside():
    found = evidence()
    assert found.sound and found.check_differing == []
    assert prediction_word(found) == "present"
    inside = judge_inside(Case(found))  # pyright: ignore[reportArgumentType]
    assert inside.verdict == "pass" and inside.n == 17
    assert inside.interval is not None and inside.interval[0] < inside.measured < inside.interval[1]


@pytest.mark.parametrize("factor", [1.4, 0.7])
def test_a_result_outside_blocks_no_further_than_its_column(factor: float):
    assert judge_inside(Case(evidence(factor))).verdict == "block"  # pyright: ignore[reportArgumentType]


def test_without_a_prediction_nothing_is_inside():
    assert judge_inside(Case(None)).verdict == "not_run"  # pyright: ignore[reportArgumentType]
    assert prediction_word(None) is None


def test_a_recorded_refusal_is_present_and_has_no_inside():
    ladder = make_ladder(noise=0.005)
    said = prediction_body(**predict_loss(ladder, 40 * 343_000, D))
    found = evidence(said=said)
    assert prediction_word(found) == "refused"
    assert judge_inside(Case(found)).verdict == "not_run"  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("predicted", {"bpb": 2.0, "low": 1.0, "high": 9.0}),
        ("target", {"parameters": N - 1, "tokens": D}),
        ("decades_beyond", 0.0),
        ("law", {"floor": 1.0}),
        ("text", TEXT | {"corpus": "x" * 64}),
        ("rungs", []),
        ("rungs", [{"name": "n1"}]),
        ("rungs", None),
        ("rungs", [make_ladder()[0].to_json() | {"parameters": 10**400}] * 9),
        ("rungs", [make_ladder()[0].to_json() | {"name": "../../elsewhere"}]),
        ("target", None),
        ("target", {"parameters": "many", "tokens": D}),
    ],
)
def test_what_does_not_follow_from_the_rungs_is_unsound(key: str, value: Any):
    said = prediction_body()
    found = load_prediction(
        document(layout.PREDICTION, said | {key: value}, SHA), None, Document("b", {}, None, "", "missing"), None
    )
    assert found.differing and not found.sound
    assert prediction_word(found) is None
    shown = build_prediction(found)
    assert shown is not None and shown["problem"] and shown["predicted"] is None
    assert prediction_table(shown).rows == [] and shown["problem"] in prediction_notes(shown)


@pytest.mark.parametrize("rules", [None, 3, ["x"], [{"key": 1}], [{"key": "<b>", "ladder": None, "target": [1]}] * 99])
def test_what_is_said_of_rules_is_shown_as_words(rules: Any):
    shown = build_prediction(evidence(said=prediction_body(rules_differ=rules)))
    assert shown is not None and all(isinstance(note, str) for note in prediction_notes(shown))
    assert len(shown["rules_differ"]) <= 40


def test_a_prediction_that_base_did_not_know_is_none():
    late = evidence(prediction="x" * 64)
    assert late.faults == ["base began without it"] and judge_inside(Case(late)).verdict == "not_run"  # pyright: ignore[reportArgumentType]
    assert late.result is not None and late.result["incomparable"]
    assert prediction_word(late) is None


def test_a_result_that_is_missing_or_another_is_found():
    assert evidence(check={"inside": False}).check_differing == ["inside"]
    assert evidence(check={"error_frac": 0.5}).check_differing == ["error_frac"]
    found = evidence()
    missing = load_prediction(found.document, None, document("base/report.json", base_body(2.0)), None)
    assert missing.faults == [f"base is trained, and there is no {layout.PREDICTION_CHECK}"]


def test_summary_and_chart_are_made_of_what_follows():
    found = evidence(1.01)
    shown, plot = build_prediction(found), build_plot(found)
    assert shown is not None and shown["inside"] is True and shown["problem"] == "" and shown["rungs"] == 17
    assert plot is not None
    assert [len(plot[key]) for key in ("rungs", "law", "band", "measured")] == [5, 6, 2, 1]
    assert plot["law"][-1] == pytest.approx([N, shown["predicted"]["bpb"]])
    assert build_prediction(None) is None and build_plot(None) is None
    broken = replace(found, document=document(layout.PREDICTION, found.document.body | {"law": 3}, SHA))
    assert build_plot(broken) is None


def test_the_check_says_what_it_means_and_how_to_mend_it():
    facts = CHECKS["prediction.inside"]
    assert facts.title and facts.why and facts.fix
