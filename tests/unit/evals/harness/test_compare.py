import math

import pytest

from picochat.core.errors import PicochatError
from picochat.evals.harness.compare import TOLERANCE, compare


def choice(name, ours, theirs=None, answer=0, options=("aa", "bb"), acc=None, tokens=1):
    theirs = ours if theirs is None else theirs
    right = float(theirs[answer] == max(theirs))
    return {
        "id": name,
        "options": list(options),
        "answer": answer,
        "ours": list(ours),
        "theirs": list(theirs),
        "our_tokens": [1] * len(ours),
        "their_tokens": [tokens] * len(ours),
        "their_acc": right if acc is None else acc,
        "their_acc_bytes": right if acc is None else acc,
    }


def totals(rows):
    return {name: sum(row[f"their_{name}"] for row in rows) / len(rows) for name in ("acc", "acc_bytes")}


def compare_choices(rows, **reported):
    return compare("choice", rows, totals(rows) | reported, {})


def text(name, ours, theirs=None, size=100, words=20, tokens=9):
    theirs = ours if theirs is None else theirs
    lists = {"ours": [ours], "theirs": [theirs], "our_tokens": [tokens], "their_tokens": [tokens]}
    return {"id": name, "bytes": size, "words": words, **lists}


def compare_texts(rows, own=None, **changed):
    nats, size, words = (-sum(row["theirs"][0] for row in rows), *(sum(r[k] for r in rows) for k in ("bytes", "words")))
    reported = {
        "bits_per_byte": nats / size / math.log(2),
        "byte_perplexity": math.exp(nats / size),
        "word_perplexity": math.exp(nats / words),
    }
    own = reported["bits_per_byte"] if own is None else own
    return compare("text", rows, reported | changed, {"bits_per_byte": own})


def test_equal_scores_agree():
    found = compare_choices([choice("a", (-1.0, -2.0)), choice("b", (-3.0, -1.0))])
    assert found["agree"] and found["problems"] == [] and found["max_difference"] == 0
    assert found["metrics"]["acc"] == {
        "ours": 0.5,
        "theirs": 0.5,
        "reported": 0.5,
        "near_ties": 0,
        "decided_otherwise": [],
    }


@pytest.mark.parametrize(("distance", "agree"), [(0.9, True), (1.1, False)])
def test_a_log_likelihood_may_differ_by_the_tolerance(distance, agree):
    moved = choice("far", (-5.0, -9.0), (-5.0 - distance * TOLERANCE, -9.0))
    found = compare_choices([choice("a", (-1.0, -2.0)), moved])
    assert found["agree"] is agree
    assert found["worst"] == "far" and found["beyond_tolerance"] == (0 if agree else 1)
    assert found["max_difference"] == pytest.approx(distance * TOLERANCE)


def test_another_verdict_outside_near_ties_differs_however_close_the_scores_are():
    found = compare_choices([choice("a", (-1.0, -2.0), acc=0.0)])
    assert not found["agree"] and found["metrics"]["acc"]["decided_otherwise"] == ["a"]
    assert found["problems"] == ["acc", "acc_bytes"]


def test_a_near_tie_may_fall_either_way():
    """A tie fails with us, and goes to the first option with lm-eval."""
    rows = [choice("tie", (-2.0, -2.0), acc=1.0), choice("near", (-2.0 - TOLERANCE, -2.0), acc=1.0)]
    found = compare_choices(rows)
    assert found["agree"] and found["metrics"]["acc"]["near_ties"] == 2
    assert (found["metrics"]["acc"]["ours"], found["metrics"]["acc"]["theirs"]) == (0.0, 1.0)


def test_a_near_tie_a_byte_is_measured_a_byte():
    """Two nats in a thousand bytes are as near a tie as two in a thousand of a nat."""
    long = "é" * 500
    row = choice("long", (-100.0, -100.001), options=(long, long), acc=1.0)
    found = compare_choices([row])
    assert found["metrics"]["acc"]["near_ties"] == found["metrics"]["acc_bytes"]["near_ties"] == 1
    apart = compare_choices([choice("apart", (-100.0, -101.0), options=(long, long))])
    assert apart["metrics"]["acc_bytes"]["near_ties"] == 0


def test_the_score_a_byte_counts_utf8_bytes():
    row = choice("a", (-4.0, -3.0), options=("éé", "bb"), acc=0.0)
    assert compare_choices([row | {"their_acc_bytes": 1.0}])["agree"]


def test_a_total_that_does_not_follow_from_the_items_differs():
    rows = [choice("a", (-1.0, -2.0)), choice("b", (-3.0, -1.0))]
    assert compare_choices(rows, acc=0.75)["problems"] == ["reported acc"]
    assert compare("choice", rows, {"acc": 0.5}, {})["problems"] == ["reported acc_bytes"]


def test_continuations_that_begin_elsewhere_are_counted():
    assert compare_choices([choice("a", (-1.0, -2.0)), choice("b", (-1.0, -2.0), tokens=2)])["other_boundary"] == 1


def test_equal_documents_agree():
    found = compare_texts([text("a", -120.0), text("b", -80.0)])
    assert found["agree"] and found["metrics"]["bits_per_byte"]["ours"] == pytest.approx(1 / math.log(2))
    assert found["metrics"]["word_perplexity"]["ours"] == pytest.approx(5.0)


def test_bits_a_byte_differ_where_the_documents_do():
    found = compare_texts([text("a", -120.0, -121.0)])
    assert {"log-likelihood", "bits_per_byte", "byte_perplexity", "word_perplexity"} <= set(found["problems"])


def test_a_long_document_may_differ_by_more_and_a_short_one_may_not():
    rows = [text("long", -5000.0, -5000.003, 9000, 900, tokens=4000), text("short", -120.0, -120.0005)]
    found = compare_texts(rows)
    assert found["agree"] and found["worst"] == "long" and found["max_difference"] == pytest.approx(0.003)
    found = compare_texts([*rows, text("other", -120.0, -120.002, 9000, tokens=1000)])
    assert found["problems"] == ["log-likelihood"] and found["worst"] == "other"
    found = compare_texts([text("long", -5000.0, -5000.005, 9000, 900, tokens=4000)])
    assert found["problems"] == ["log-likelihood"]


def test_a_validation_of_all_documents_must_say_the_same():
    assert compare_texts([text("a", -120.0)], own=1.5)["problems"] == ["validation"]
    assert compare("text", [text("a", -120.0)], {}, {})["agree"] is False


def test_another_count_of_words_or_bytes_shows_in_what_is_reported():
    assert compare_texts([text("a", -120.0)], word_perplexity=math.exp(120 / 21))["problems"] == [
        "reported word_perplexity"
    ]
    assert compare_texts([text("a", -120.0)], bits_per_byte=1.2 / math.log(2) + 2e-5)["problems"] == [
        "reported bits_per_byte"
    ]


def test_nothing_and_what_is_no_number_are_refused():
    with pytest.raises(PicochatError) as err:
        compare("choice", [], {}, {})
    assert err.value.code == "benchmark.empty"
    with pytest.raises(PicochatError) as err:
        compare_choices([choice("a", (math.nan, -1.0))])
    assert err.value.code == "eval.not_finite"
