"""The verdict on a proof, from its numbers alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from picochat.artifacts.checks import CheckResult
from picochat.judgement.export_parity import judge_parity


def comparison(name: str = "transformers.float32", **change: Any) -> dict[str, Any]:
    found = {"name": name, "state": "passed", "unit": "logits", "bound": 1e-5, "largest": 0.0}
    return found | {"equal_tokens": 1024, "astray": 0, "tokens": 1024, "reason": ""} | change


def subject(**change: Any) -> dict[str, Any]:
    control = {"name": "gate_up_swapped", "seen": True, "largest": 3.0, "equal_tokens": 0, "tokens": 1024}
    found = {"name": "weights", "distinct_tokens": 40, "steps": 40, "needed": 38, "tells": True, "digest_equal": True}
    return found | {"comparisons": [comparison()], "controls": [control]} | change


def judge(*subjects: dict[str, Any], kind: str = "hf", **more: Any) -> CheckResult:
    return judge_parity(kind, {"subjects": list(subjects), "not_run": [], **more})


def test_equal_logits_of_a_model_that_tells_pass():
    found = judge(subject())
    assert (found.verdict, found.measured, found.threshold, found.n, found.required) == ("pass", 0.0, 1e-5, 1024, False)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"comparisons": [comparison(state="failed", largest=0.5)]}, "transformers.float32: 0.5"),
        ({"comparisons": [comparison(), comparison("transformers.tokens", state="failed", reason="'x'")]}, "'x'"),
        ({"digest_equal": False}, "weights digest"),
        ({"tells": False, "distinct_tokens": 3}, "void: 3 different tokens in 40, 38 are needed"),
    ],
)
def test_what_blocks(change: dict[str, Any], word: str):
    found = judge(subject(**change))
    assert found.verdict == "block" and found.required and word in str(found.measured)


def test_a_planted_mistake_that_nobody_noticed_makes_a_proof_void():
    unseen = copy.deepcopy(subject(tells=False))
    unseen["controls"][0]["seen"] = False
    found = judge(unseen)
    assert found.verdict == "block" and "gate_up_swapped was not noticed" in str(found.measured)
    assert judge(unseen, subject(name="stand_in")).verdict == "pass"


def test_a_stand_in_does_not_excuse_the_weights():
    wrong = subject(tells=False, comparisons=[comparison(state="failed", largest=1.0)])
    assert judge(wrong, subject(name="stand_in")).verdict == "block"


def test_what_could_not_run_is_never_passed():
    found = judge(subject(comparisons=[], controls=[], tells=False))
    assert found.verdict == "not_run" and found.measured == "no program was there to compare with"
    assert judge(subject(comparisons=[], controls=[], tells=False, digest_equal=False)).verdict == "block"
    assert judge(subject(comparisons=[comparison("llama.cpp.tokens")]), kind="gguf").verdict == "not_run"


def test_a_rounded_file_that_does_not_load_blocks():
    lead = comparison("llama.cpp.f32", bound=1e-3)
    rounded = {"kind": "q8_0", "cost": None, "llama": comparison("llama.cpp.q8_0", state="measured", bound=None)}
    assert judge(subject(comparisons=[lead]), kind="gguf", rounding=[rounded]).verdict == "pass"
    broken = rounded | {"llama": comparison("llama.cpp.q8_0", state="failed", reason="does not load")}
    found = judge(subject(comparisons=[lead]), kind="gguf", rounding=[broken])
    assert found.verdict == "block" and "q8_0: does not load" in str(found.measured)
