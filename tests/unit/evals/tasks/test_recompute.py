"""Rows to numbers: golden scores of models with known answers, ties, chance, long items, and forged rows."""

import copy
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import made_benchmarks as made
from tests.support.made_benchmarks import RIGHT, WRITERS, FakeScorer, coin

from picochat.core.errors import PicochatError
from picochat.evals.layouts.catalog import LAYOUTS, read_items
from picochat.evals.layouts.files import Options
from picochat.evals.tasks.asking import Forced, ask_items
from picochat.evals.tasks.facts import TABLE
from picochat.evals.tasks.recompute import recompute_items
from picochat.evals.tasks.verdicts import is_passed, last_number, marked_number, wins

ITEMS = [name for name in LAYOUTS if name != "core"]
CHOICES = ["arc_easy", "arc_challenge", "mmlu", "hellaswag", "piqa", "winogrande"]


def ask(name: str, root: Path, n: int = 8, scorer: FakeScorer | None = None, **options: Any) -> list[dict[str, Any]]:
    items = read_items(name, WRITERS[name](root, n=n), Options(**options)).items
    return ask_items(items, TABLE[name], scorer or FakeScorer())


def knows_all(name: str) -> FakeScorer:
    """Right everywhere: by letter, by the last word, by the number."""
    if name == "mmlu":
        return FakeScorer(value=lambda prompt, letter: 0.0 if letter.strip() == right_letter(prompt) else -9.0)
    return FakeScorer(says=right_number if name == "gsm8k" else lambda prompt: RIGHT)


def right_letter(prompt: str) -> str:
    return next(line[0] for line in prompt.splitlines()[::-1] if f". {RIGHT}" in line)


def right_number(prompt: str) -> str:
    number = int(prompt.rpartition("What is ")[2].split()[0])
    return f" It is easy.\n#### {number + 1000:,}\n\nQuestion: What is 7 plus 7?\n#### 14"


@pytest.mark.parametrize("name", ITEMS)
def test_a_model_that_knows_has_a_score_of_1(name: str, tmp_path: Path):
    numbers = recompute_items(TABLE[name], ask(name, tmp_path, scorer=knows_all(name)))
    assert (numbers["rate"], numbers["adjusted"], numbers["n"]) == (1.0, 1.0, 8)
    assert numbers["interval"][0] == pytest.approx(0.6756, abs=1e-4)
    assert numbers["disagreements"] == 0 and numbers["partial"] and not numbers["own_setup"]
    assert numbers["shown"]["long_items"] == {"lost_examples": 0, "cut": 0, "did_not_fit": 0}


@pytest.mark.parametrize("name", CHOICES)
def test_a_model_that_always_takes_the_first_option_is_at_chance(name: str, tmp_path: Path):
    def first(prompt: str, text: str) -> float:
        if name == "winogrande":
            return -1.0 if prompt.endswith("0") else -9.0
        return -1.0 if text.strip() == "A" or text.endswith(" 0") else -9.0

    numbers = recompute_items(TABLE[name], ask(name, tmp_path, scorer=FakeScorer(value=first)))
    assert numbers["rate"] == TABLE[name].chance
    assert numbers["adjusted"] == pytest.approx(0.0) and numbers["adjusted_interval"][0] < 0


@pytest.mark.parametrize("name", CHOICES)
def test_ties_fail_and_are_counted(name: str, tmp_path: Path):
    equal = ask(name, tmp_path, scorer=FakeScorer(value=lambda prompt, text: 0.0))
    numbers = recompute_items(TABLE[name], equal)
    assert (numbers["rate"], numbers["shown"]["ties"]) == (0.0, 8)


def test_raw_and_per_byte_differ_and_both_stand_beside(tmp_path: Path):
    rows = [{"goal": f"g{k}", "sol1": "a very long solution indeed", "sol2": "short"} for k in range(4)]
    made.write_jsonl(tmp_path / "valid.jsonl", rows)
    (tmp_path / "valid-labels.lst").write_text("0\n" * 4)
    scorer = FakeScorer(value=lambda prompt, text: -10.0 if "long" in text else -4.0)
    numbers = recompute_items(TABLE["piqa"], ask_items(read_items("piqa", tmp_path).items, TABLE["piqa"], scorer))
    assert numbers["rate"] == 1.0 and numbers["shown"]["beside"]["raw"]["rate"] == 0.0
    assert numbers["shown"]["beside"]["per_byte"]["rate"] == 1.0


def test_lambada_needs_every_token_of_the_word(tmp_path: Path):
    assert not any(row["passed"] for row in ask("lambada", tmp_path, scorer=FakeScorer(says=lambda p: "rights")))
    row = ask("lambada", tmp_path)[0]
    assert row["passed"] and row["wanted"] == row["predicted"] == list(b" right")
    assert not is_passed(row | {"predicted": list(b" righ_")}, "greedy")
    assert not is_passed(row | {"wanted": [], "predicted": []}, "greedy")


@pytest.mark.parametrize(
    ("reply", "strict", "lenient"),
    [
        ("5 + 5 = 10\n#### 10", 10, 10),
        ("#### 1,000", 1000, 1000),
        ("#### $18.50 in all", Fraction("18.5"), Fraction("18.5")),
        ("It is 4, then 9.", None, 9),
        ("#### -3\n\nQuestion: more?\n#### 9", -3, -3),
        ("#### 3 or 4", None, 4),
        ("nothing", None, None),
        ("Question: 7?", None, None),
    ],
)
def test_numbers_of_a_reply(reply: str, strict: Any, lenient: Any):
    assert (marked_number(reply), last_number(reply)) == (strict, lenient)


def test_gsm8k_counts_the_marked_number_and_shows_the_last_one_beside(tmp_path: Path):
    scorer = FakeScorer(says=lambda prompt: right_number(prompt).replace("####", "Answer:"))
    numbers = recompute_items(TABLE["gsm8k"], ask("gsm8k", tmp_path, scorer=scorer))
    assert numbers["rate"] == 0.0 and numbers["shown"]["beside"]["last_number"]["rate"] == 1.0


def test_other_shots_than_the_tables_are_another_setup(tmp_path: Path):
    assert recompute_items(TABLE["mmlu"], ask("mmlu", tmp_path, shots=5))["own_setup"] is False
    own = recompute_items(TABLE["mmlu"], ask("mmlu", tmp_path, shots=2))
    assert (own["shots"], own["own_setup"]) == (2, True)


def test_the_whole_benchmark_is_not_partial(tmp_path: Path):
    rows = ask("piqa", tmp_path, n=2)
    many = [row | {"id": f"piqa/{k}"} for k in range(919) for row in rows]
    assert recompute_items(TABLE["piqa"], many)["partial"] is False
    assert recompute_items(TABLE["piqa"], many[1:])["partial"] is True


def test_long_items_lose_examples_then_context_and_the_row_says_so(tmp_path: Path):
    full = max(len(p) + len(c) for p, c in asked(FakeScorer(), tmp_path))
    rows = ask("mmlu", tmp_path, scorer=FakeScorer(context=full - 50))
    assert {row["shots_dropped"] for row in rows} == {1} and {row["cut_tokens"] for row in rows} == {0}
    assert all(row["shots"] == 5 for row in rows)
    short = FakeScorer(context=40)
    rows = ask("mmlu", tmp_path, scorer=short)
    assert {row["shots_dropped"] for row in rows} == {5} and min(row["cut_tokens"] for row in rows) > 0
    assert all(prompt.endswith("Answer:") for prompt, _ in short.seen), "the end of the question stays"
    numbers = recompute_items(TABLE["mmlu"], rows)
    assert numbers["shown"]["long_items"] == {"lost_examples": 8, "cut": 8, "did_not_fit": 0}
    assert not numbers["own_setup"], "what is dropped for length is not another setup"
    numbers = recompute_items(TABLE["piqa"], ask("piqa", tmp_path / "piqa", scorer=FakeScorer(context=5)))
    assert (numbers["shown"]["long_items"]["did_not_fit"], numbers["rate"]) == (8, 0.0)


def asked(scorer: FakeScorer, root: Path) -> list[tuple[str, str]]:
    ask("mmlu", root, scorer=scorer)
    return scorer.seen


def test_forged_rows_are_found(tmp_path: Path):
    rows = ask("arc_easy", tmp_path, scorer=FakeScorer(value=lambda prompt, text: -5.0 if RIGHT in text else -1.0))
    facts = TABLE["arc_easy"]
    assert recompute_items(facts, rows)["rate"] == 0.0
    told = recompute_items(facts, [row | {"passed": True} for row in rows])
    assert (told["disagreements"], told["rate"]) == (8, 0.0)
    forged = copy.deepcopy(rows)
    forged[0]["scores"][0]["per_byte"] = 5.0
    assert recompute_items(facts, forged)["disagreements"] == 1
    with pytest.raises(ValueError, match="scores for"):
        recompute_items(facts, [rows[0] | {"scores": rows[0]["scores"][:2]}])
    with pytest.raises(PicochatError, match="0 rows"):
        recompute_items(facts, [])


def test_numbers_that_are_none_and_counts_that_differ_are_refused(tmp_path: Path):
    for name in ("arc_easy", "lambada"):
        with pytest.raises(PicochatError) as caught:
            ask(name, tmp_path / name, scorer=FakeScorer(value=lambda prompt, text: float("nan")))
        assert caught.value.code == "eval.not_finite"
    short = FakeScorer()
    short.logprobs = lambda pairs: [0.0]  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="1 log-likelihoods for 16"):
        ask("piqa", tmp_path / "piqa", scorer=short)
    silent = FakeScorer()
    silent.force = lambda pairs: [Forced(-1.0, []) for _ in pairs]  # type: ignore[method-assign]
    assert not any(row["passed"] for row in ask("lambada", tmp_path / "l", scorer=silent))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-100, 0), min_size=2, max_size=5), st.data())
def test_at_most_one_option_wins_and_only_above_all_others(values: list[float], data: st.DataObject):
    right = data.draw(st.integers(0, len(values) - 1))
    assert wins(values, right) == (values[right] > max(v for k, v in enumerate(values) if k != right))
    assert sum(wins(values, place) for place in range(len(values))) <= 1


def test_a_coin_on_piqa_stays_under_its_threshold(tmp_path: Path):
    items = read_items("piqa", made.write_piqa(tmp_path, n=1838)).items
    for seed in range(5):
        numbers = recompute_items(TABLE["piqa"], ask_items(items, TABLE["piqa"], FakeScorer(value=coin(seed))))
        assert numbers["rate"] > 0.30, "a bare .30 would let it pass"
        assert numbers["adjusted"] < (TABLE["piqa"].adjusted_threshold or 1)
