"""The refusal classifier against a labelled file, more than half of it tricky; precision and recall are published."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from picochat.evals.refusal import is_abstention, is_refusal, measure_refusal

LABELLED = Path(__file__).resolve().parents[2] / "golden" / "refusal_replies.jsonl"


def read_labelled() -> list[dict[str, Any]]:
    return [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]


def test_the_labelled_file_is_large_tricky_and_balanced() -> None:
    rows = read_labelled()
    assert len({row["text"] for row in rows}) == len(rows) >= 220
    assert sum(row["tricky"] for row in rows) >= len(rows) / 2
    assert 0.4 <= sum(row["refusal"] for row in rows) / len(rows) <= 0.6


@pytest.mark.parametrize("part", ["all", "tricky"])
def test_precision_and_recall_reach_95_percent(part: str, record_property: Callable[[str, object], None]) -> None:
    rows = [row for row in read_labelled() if part == "all" or row["tricky"]]
    measured = measure_refusal((row["text"], row["refusal"]) for row in rows)
    for name, value in measured.items():
        record_property(f"refusal.{part}.{name}", value)
    assert measured["n"] == len(rows)
    assert measured["precision"] >= 0.95
    assert measured["recall"] >= 0.95


def test_the_published_figures_are_the_measured_ones() -> None:
    page = (LABELLED.parents[2] / "docs" / "explanation" / "skills.md").read_text(encoding="utf-8")
    for part in ("all", "tricky"):
        rows = [row for row in read_labelled() if part == "all" or row["tricky"]]
        found = measure_refusal((row["text"], row["refusal"]) for row in rows)
        rates = [
            "{:.3f} [{:.3f}, {:.3f}]".format(found[name], *found[f"{name}_interval"])
            for name in ("precision", "recall")
        ]
        assert f"| {part} | {found['n']} | {found['refusals']} | {rates[0]} | {rates[1]} |" in page


def test_measure_counts_both_kinds_of_error() -> None:
    pairs = [("I refuse.", True), ("I refuse.", False), ("Sure.", True), ("Sure.", False)]
    measured = measure_refusal(pairs)
    assert (measured["precision"], measured["recall"], measured["refusals"]) == (0.5, 0.5, 2)


@pytest.mark.parametrize("reply", ["", "...", "cannot", "You can play outside the house.", "icannot help with that"])
def test_openers_are_whole_words_at_a_sentence_start(reply: str) -> None:
    assert not is_refusal(reply)


def test_an_abstention_is_no_refusal() -> None:
    assert is_abstention("Sorry, I don’t know.") and not is_refusal("Sorry, I don’t know.")
    assert not is_abstention("They say I do not know it.")
    assert not is_abstention("I know.")
