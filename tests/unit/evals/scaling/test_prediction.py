"""A prediction is a pure function of the rungs; far targets are refused; a result is inside, outside or neither."""

import json
import random

import pytest
from tests.support.ladders import TEXT, make_ladder

from picochat.core.errors import PicochatError
from picochat.evals.scaling.prediction import check_prediction, predict_loss

N, D = 755_000, 1_200_000
SHA = "p" * 64


def said(**more) -> dict:
    return predict_loss(make_ladder(noise=0.005), N, D) | {"text": TEXT} | more


def base_report(bpb: float, parameters: int = N, tokens: int = D, **inputs: str) -> dict:
    refs = TEXT | {"prediction": SHA} | inputs
    return {
        "validation": {"bpb": bpb, "bpb_se": 0.01, "loss": bpb * 1.5, "loss_se": 0.01},
        "model": {"parameters": parameters},
        "training": {"tokens_seen": tokens},
        "manifest": {"inputs": [{"kind": kind, "sha256": digest} for kind, digest in refs.items()]},
    }


def test_the_order_of_the_rungs_changes_nothing_and_the_same_rungs_say_the_same():
    ladder = make_ladder(noise=0.005)
    shuffled = random.Random(1).sample(ladder, len(ladder))
    assert json.dumps(predict_loss(ladder, N, D)) == json.dumps(predict_loss(ladder, N, D))
    again = predict_loss(shuffled, N, D)["predicted"]
    assert again == pytest.approx(predict_loss(ladder, N, D)["predicted"], rel=1e-9)


def test_a_decade_and_a_half_is_predicted_and_more_is_refused():
    ladder = make_ladder(noise=0.005)
    near, far = (predict_loss(ladder, int(343_000 * factor), D) for factor in (31, 32))
    assert near["predicted"] and near["refusal"] is None and near["decades_beyond"] < 1.5
    assert far["predicted"] is None and far["huber"]["bpb"] is None
    assert far["refusal"]["code"] == "prediction.too_far" and "1.51 powers of ten" in far["refusal"]["detail"]
    assert predict_loss(ladder, N, D * 40)["refusal"]


@pytest.mark.parametrize(("parameters", "tokens"), [(0, D), (N, 0), (-1, D)])
def test_a_target_that_is_no_size_is_refused(parameters: int, tokens: int):
    with pytest.raises(PicochatError) as caught:
        predict_loss(make_ladder(), parameters, tokens)
    assert caught.value.code == "prediction.target"


@pytest.mark.parametrize(("factor", "inside"), [(1.0, True), (1.5, False), (0.7, False)])
def test_a_result_lies_inside_or_outside(factor: float, inside: bool):
    body = said()
    found = check_prediction(body, SHA, base_report(body["predicted"]["bpb"] * factor))
    assert found["inside"] is inside and found["incomparable"] == []
    assert found["error_frac"] == pytest.approx(factor - 1, abs=1e-9)
    assert (abs(found["error_in_bands"]) <= 1) is inside
    edges = [check_prediction(body, SHA, base_report(body["predicted"][end]))["inside"] for end in ("low", "high")]
    assert edges == [True, True]


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (base_report(2.0, prediction="x" * 64), "base began without this prediction"),
        (base_report(2.0, parameters=N + 1), "755,000 parameters were predicted, 755,001 trained"),
        (base_report(2.0, tokens=D // 2), "1,200,000 tokens were predicted, 600,000 trained"),
        (base_report(2.0, tokenizer="x" * 64), "the tokenizer is not that of the ladder"),
        (base_report(2.0, corpus="x" * 64), "the corpus is not that of the ladder"),
    ],
)
def test_what_was_not_predicted_is_not_compared(report: dict, words: str):
    found = check_prediction(said(), SHA, report)
    assert found["incomparable"] == [words]
    assert found["inside"] is None and found["error_frac"] is None and found["measured"]["bpb"] == 2.0


def test_a_refusal_has_no_result():
    body = predict_loss(make_ladder(), 343_000 * 40, D) | {"text": TEXT}
    found = check_prediction(body, SHA, base_report(2.0, parameters=343_000 * 40))
    assert found["inside"] is None and found["incomparable"] == [] and found["refusal"]["code"] == "prediction.too_far"
