"""A check explained and two gates compared: numbers that follow from the artifacts, and nothing written."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import GreenRun

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.artifacts.waivers import Waiver, write_waivers
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import jsonl_bytes
from picochat.evals.statistics import judge_rate, passes_needed
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.explain import explain_check
from picochat.judgement.gates import compare_gates
from picochat.judgement.registry import CHECKS
from picochat.judgement.summary import iter_files
from picochat.views.gate.explain import explain_lines, explain_tables, passes_sentence
from picochat.views.gate.gates import gates_notes, gates_table

DAY = datetime.date(2026, 3, 1)
Copy = Callable[[Path], Path]


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return GreenRun(tmp_path_factory.mktemp("weak") / "run", name="weak", rates={"eval": 0.7}).build(n=100).root


@pytest.fixture(scope="module")
def evidence(weak: Path) -> RunEvidence:
    return RunEvidence(RunStore(weak))


def explain(root: Path, check: str, profile: str = "skill_release") -> dict[str, Any]:
    return explain_check(RunEvidence(RunStore(root)), profile, check, DAY)


def files(root: Path) -> dict[str, str]:
    return {path: sha256_file(root / path) for path in iter_files(root)}


def test_a_missed_rate_says_how_many_passes_it_lacks_and_what_each_profile_asks(weak: Path) -> None:
    before = files(weak)
    found = explain(weak, "skill.refusal")
    assert found["passes"] == {"k": 70, "n": 100, "needed": 84, "direction": ">=", "threshold": 0.75}
    assert [asked["column"] for asked in found["profiles"]] == ["warn", "block", "block"]
    assert {asked["threshold"] for asked in found["profiles"]} == {0.75}
    assert found["result"]["verdict"] == "block" and found["title"] == CHECKS["skill.refusal"].title
    (place,) = found["evidence"]
    assert place["artifact"] == "eval/rows.jsonl" and place["sha256"] == sha256_file(weak / "eval/rows.jsonl")
    assert "14 more" in passes_sentence(found["passes"]) and found["waivable"] and found["waiver"] is None
    assert files(weak) == before


def test_choice_is_counted_on_the_raw_scale_and_no_other_number_is_called_a_rate(weak: Path) -> None:
    assert explain(weak, "eval.choice_adjusted")["passes"] == {
        "k": 64, "n": 100, "needed": 46, "direction": ">=", "threshold": 0.3625,
    }  # fmt: skip
    echo = explain(weak, "eval.prompt_echo")["passes"]
    assert echo["k"] == 0 and echo["n"] > 400 and echo["direction"] == "<="
    answers = [judge_rate(echo["needed"] + more, echo["n"], 0.05, "<=", 0) for more in (0, 1)]
    assert answers[0] == "pass" != answers[1]
    for check in ("training.completed", "honesty.extractable", "budget.trained", "verify.chain"):
        assert explain(weak, check)["passes"] is None, check


def test_the_value_at_a_pointer_is_the_one_in_the_artifact(weak: Path) -> None:
    (place,) = explain(weak, "training.completed")["evidence"]
    report = json.loads((weak / place["artifact"]).read_bytes())
    assert place["pointer"] == "/training/steps" and place["found"] == report["training"]["steps"] == 20
    (place,) = explain(weak, "honesty.benchmarks")["evidence"]
    assert place["problem"] or place["found"] is not None


@pytest.mark.parametrize("check", sorted(CHECKS))
def test_every_check_can_be_explained(evidence: RunEvidence, check: str) -> None:
    found = explain_check(evidence, "research", check, DAY)
    assert json.loads(json.dumps(found)) is not None
    text = "\n".join(explain_lines(found))
    assert check in text and CHECKS[check].why in text
    assert len(explain_tables(found)[0].rows) == 3
    assert (found["hits"] is not None) == (
        check in ("honesty.corpus", "honesty.sft", "honesty.heldout", "honesty.benchmarks")
    )


def test_hits_are_shown_with_both_passages_and_cannot_steer_a_terminal(weak: Path, copy: Copy) -> None:
    root = copy(weak)
    hit = {"set": "eval", "item": "spelling-1", "column": "question", "rule": "gram", "against": "sft", "n_equal": 1}
    hit |= {"places": [{"number": 7, "text": "the \x1b[31mtrained text"}], "item_passage": {"text": "the asked text"}}
    (root / layout.HONESTY_HITS).write_bytes(jsonl_bytes([hit | {"set": "heldout"}, *[hit] * 5]))
    found = explain(root, "honesty.sft")
    assert found["hits"] == [hit] * 3
    cells = [cell for table in explain_tables(found) for row in table.rows for cell in row]
    assert "the asked text" in cells and "sft 7" in cells and any("trained text" in cell for cell in cells)
    assert not any("\x1b" in cell for cell in cells)


def test_a_waiver_is_shown_with_its_effect(weak: Path, copy: Copy) -> None:
    root = copy(weak)
    checks = ("honesty.sft", "skill.refusal")
    fields = {"by": "Ada", "reason": "agreed", "until": "2026-03-01", "given_at": "2026-02-01"}
    write_waivers(RunStore(root), [Waiver(check=check, **fields) for check in checks])
    assert explain(root, "skill.refusal")["result"]["verdict"] == "waived"
    assert explain(root, "honesty.sft")["waiver"]["effect"] == "never waived"
    assert any("Ada until 2026-03-01" in line for line in explain_lines(explain(root, "skill.refusal")))


TABLE = {0.3: (39, 73, 138), 0.5: (60, 114, 220), 0.75: (84, 163, 317), 0.8: (88, 172, 336)}


@pytest.mark.parametrize("threshold", sorted(TABLE))
def test_the_passes_needed_are_those_from_which_on_the_answer_is_pass(threshold: float) -> None:
    for n, expected in zip((100, 200, 400), TABLE[threshold], strict=True):
        assert passes_needed(n, threshold, ">=") == expected
        assert judge_rate(expected, n, threshold, ">=", 0) == "pass"
        assert judge_rate(expected - 1, n, threshold, ">=", 0) != "pass"
    assert [passes_needed(n, 0.05, "<=") for n in (50, 100, 200, 400)] == [None, 0, 3, 11]
    assert passes_needed(3, 0.9, ">=") is None and passes_needed(0, 0.1, ">=") is passes_needed(0, 0.1, "<=") is None


def test_gates_show_what_changed_first(weak: Path, bare: Path) -> None:
    found = compare_gates(RunStore(weak), RunStore(bare), "skill_release", DAY)
    changes = [row["change"] for row in found["checks"]]
    assert changes == sorted(changes, key=("verdict", "measured", "none", "other rows").index)
    assert [run["verdict"] for run in found["runs"]] == ["blocked", "approved"] and found["other_rows"] == {}
    row = next(row for row in found["checks"] if row["id"] == "skill.refusal")
    assert (row["first"]["verdict"], row["second"]["verdict"], row["change"]) == ("block", "pass", "verdict")
    assert row["difference"] == pytest.approx(row["second"]["measured"] - row["first"]["measured"])
    assert len(gates_table(found).rows) == len(found["checks"])


def test_rates_of_other_rows_are_not_ranked_and_the_rest_is(weak: Path, judged: Path) -> None:
    found = compare_gates(RunStore(weak), RunStore(judged), "skill_release", DAY)
    assert set(found["other_rows"]) == {"eval", "fit", "heldout"}
    rows = {row["id"]: row for row in found["checks"]}
    for check in ("skill.refusal", "eval.prompt_echo", "eval.choice_adjusted", "sft.fit", "sft.heldout_fit"):
        assert rows[check]["change"] == "other rows" and rows[check]["difference"] is None
    assert rows["training.completed"]["difference"] == 0 and rows["external.present"]["change"] == "verdict"
    assert sum("differ" in note for note in gates_notes(found)) == 3
