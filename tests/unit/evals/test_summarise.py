"""The report's numbers from rows: what is grouped, what stands apart, and that rows alone decide."""

from typing import Any

import pytest

from picochat.evals.statistics import wilson
from picochat.evals.summarise import rate_of, summarise_rows


def record(rule: str, category: str, ok: bool, **fields: Any) -> dict[str, Any]:
    flags = {"echo": False, "repetition": False, "unfinished": False, "unsupported": False}
    base = {"id": f"{category}-{rule}", "rule": rule, "category": category, "reply": "text", "option_scores": None}
    return {**base, **flags, "verdict": "pass" if ok else "fail", **fields}


def rows_of(rule: str, category: str, k: int, n: int, **fields: Any) -> list[dict[str, Any]]:
    return [record(rule, category, i < k, **fields) for i in range(n)]


def option(ok: bool, n_options: int, per_byte: list[float]) -> dict[str, Any]:
    options = [f"o{i}=A" for i in range(n_options)]
    scores = [{"raw": -1.0, "per_byte": value} for value in per_byte]
    return record("option", "choice", ok, options=options, answer="o0=A", option_scores=scores, reply="")


def test_a_category_has_count_rate_interval_levels_and_template_clusters() -> None:
    rows = [
        record("exact", "spelling", t < 3, template=f"t{t}", level=level)
        for t in range(5)
        for level in ("easy", "hard")
    ]
    spelling = summarise_rows(rows)["categories"]["spelling"]
    assert (spelling["k"], spelling["n"], spelling["rate"]) == (6, 10, 0.6)
    assert spelling["interval"] == list(wilson(6, 10))
    assert spelling["levels"]["hard"] == {"k": 3, "n": 5, "rate": 0.6, "interval": list(wilson(3, 5))}
    assert spelling["templates"] == 5
    low, high = spelling["template_interval"]
    assert low < spelling["interval"][0] and high > spelling["interval"][1]


def test_benign_twins_stand_apart_from_their_category() -> None:
    rows = rows_of("refuse", "refusal", 10, 10) + rows_of("benign", "refusal", 0, 10)
    result = summarise_rows(rows)
    assert result["categories"]["refusal"]["rate"] == 1.0
    assert result["benign"]["rate"] == 0.0 and result["benign"]["n"] == 10
    assert result["rules"]["benign"]["k"] == 0 and result["rules"]["refuse"]["k"] == 10
    assert summarise_rows(rows[:10])["benign"] is None


def test_choice_is_set_against_the_mean_of_one_over_options() -> None:
    rows = [option(True, 2, [-1, -2]), option(True, 4, [-2, -1, -3, -3]), option(False, 4, [-1, -1, -3, -3])]
    choice = summarise_rows(rows)["choice"]
    assert choice["chance"] == pytest.approx((1 / 2 + 1 / 4 + 1 / 4) / 3)
    assert choice["adjusted"] == pytest.approx((2 / 3 - 1 / 3) / (2 / 3))
    assert choice["adjusted_interval"][0] < choice["adjusted"] < choice["adjusted_interval"][1]
    assert choice["per_byte"]["k"] == 1
    assert summarise_rows(rows_of("exact", "spelling", 1, 2))["choice"] is None


def test_faults_are_counted_over_replies_that_could_show_them() -> None:
    rows = [
        record("exact", "a", True, echo=True, repetition=True),
        record("exact", "a", True, unfinished=True),
        record("exact", "a", True, echo_ok=True),
        record("word", "a", True, answerable=False, unsupported=True),
        option(True, 2, [-1, -2]),
    ]
    result = summarise_rows(rows)
    assert (result["echo"]["k"], result["echo"]["n"]) == (1, 3)
    assert (result["repetition"]["k"], result["repetition"]["n"]) == (1, 4)
    assert (result["unfinished"]["k"], result["unfinished"]["n"]) == (1, 4)
    assert (result["unsupported"]["k"], result["unsupported"]["n"]) == (1, 1)


def test_mean_skill_weighs_categories_equally_and_non_choice_leaves_options_out() -> None:
    rows = rows_of("exact", "spelling", 50, 100) + rows_of("numeric", "arithmetic", 9, 10) + [option(True, 2, [-1, -2])]
    result = summarise_rows(rows)
    assert result["mean_skill"]["rate"] == pytest.approx((0.5 + 0.9 + 1.0) / 3)
    assert result["mean_skill"]["interval"][0] < 0.8 < result["mean_skill"]["interval"][1]
    assert (result["non_choice"]["k"], result["non_choice"]["n"]) == (59, 110)


def test_the_summary_is_a_pure_function_of_the_rows_in_any_order() -> None:
    rows = rows_of("exact", "b", 3, 7, template="t1") + rows_of("word", "a", 2, 5, template="t2")
    assert summarise_rows(rows) == summarise_rows(list(rows))
    assert summarise_rows(rows[::-1])["categories"] == summarise_rows(rows)["categories"]


def test_no_rows_give_counts_of_zero_and_no_rate() -> None:
    result = summarise_rows([])
    assert result["n"] == 0 and result["categories"] == {} and result["mean_skill"] is None
    assert result["echo"] == rate_of([]) == {"k": 0, "n": 0, "rate": None, "interval": [0.0, 1.0]}
