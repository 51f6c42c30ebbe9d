import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.views.evals.artifact_state import Artifact
from picochat.views.evals.fit import BENIGN, SETS, build_fit, read_rate

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["rate", "k", "eval", "sets"]), inner),
    max_leaves=8,
)


def rate(k, n, interval):
    return {"k": k, "n": n, "rate": k / n if n else None, "interval": interval}


def report(body, path="eval/report.json"):
    return Artifact(path, "ready", "", body)


NOTHING = Artifact("sft/report.json", "missing", "there is no such file yet", {})
ROWS = {
    "fit": {"spelling": rate(90, 100, [0.82, 0.95])},
    "heldout": {"spelling": rate(50, 100, [0.40, 0.60])},
    "eval": {"spelling": rate(45, 100, [0.36, 0.55]), "choice": rate(0, 0, [0.0, 1.0])},
}


def sets():
    return {
        name: {"summary": {"n": 100, "categories": found, "mean_skill": {"rate": 0.5, "interval": [0.4, 0.6]}}}
        for name, found in ROWS.items()
    }


def test_three_numbers_stand_apart_with_their_gaps():
    found = build_fit(report({"sets": sets()}), NOTHING)
    (row,) = [entry for entry in found["categories"] if entry["category"] == "spelling"]
    assert [row["sets"][name]["rate"] for name in SETS] == [0.9, 0.5, 0.45]
    assert row["sets"]["fit"]["interval"] == [0.82, 0.95] and row["sets"]["fit"]["n"] == 100
    assert [gap["points"] for gap in row["gaps"]] == pytest.approx([0.4, 0.05])
    assert [gap["apart"] for gap in row["gaps"]] == [True, False]
    assert set(found) == {"source", "sets", "gaps", "categories", "training"}, "no sum of them anywhere"


def test_what_was_asked_of_nothing_is_unknown_and_never_0():
    found = build_fit(report({"sets": {"eval": sets()["eval"]}}), NOTHING)
    assert found["sets"]["fit"]["asked"] is False and found["sets"]["fit"]["mean_skill"] is None
    (choice,) = [entry for entry in found["categories"] if entry["category"] == "choice"]
    assert choice["sets"] == dict.fromkeys(SETS), "no rate of 0 rows"
    assert found["gaps"][0] == {"from": "fit", "to": "heldout", "points": None, "apart": None}
    assert found["training"]["final_loss"] is None and found["training"]["source"]["state"] == "missing"
    assert read_rate(rate(0, 0, [0, 1])) is None and read_rate({"rate": True}) is None


def test_benign_twins_are_a_row_of_their_own():
    body = sets()
    body["eval"]["summary"]["benign"] = rate(9, 10, [0.6, 0.98])
    found = build_fit(report({"sets": body}), NOTHING)
    (row,) = [entry for entry in found["categories"] if entry["category"] == BENIGN]
    assert row["sets"]["eval"]["k"] == 9 and row["sets"]["fit"] is None and row["gaps"][1]["points"] is None


def test_losses_are_those_of_the_report():
    body = {
        "training": {"first_loss": 3.5, "final_loss": 0.2, "steps": 10},
        "validation": {"loss": 2.9, "bpb": 2.2, "history": [{"step": 5, "loss": 3.0, "bpb": 2.3}, "junk"]},
        "forgetting": {"before_bpb": 1.9, "after_bpb": 2.2},
    }
    training = build_fit(NOTHING, report(body, "sft/report.json"))["training"]
    assert (training["first_loss"], training["final_loss"]) == (3.5, 0.2)
    assert training["validation"]["bpb"] == 2.2 and training["validation"]["bpb_se"] is None
    assert training["history"] == [{"step": 5, "loss": 3.0, "bpb": 2.3}]
    assert training["forgetting"] == {"before_bpb": 1.9, "after_bpb": 2.2}


@given(JUNK, JUNK)
def test_no_report_breaks_the_view(evaluated, trained):
    found = build_fit(report({"sets": evaluated}), report({"training": trained, "validation": trained}))
    assert set(found["sets"]) == set(SETS)
