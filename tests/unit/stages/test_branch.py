"""A branch goes on from a longer training only where it would have taken the very same steps."""

from typing import Any

import pytest

from picochat.core.errors import PicochatError
from picochat.core.jsonio import canonical_json
from picochat.stages.base.config import BaseConfig
from picochat.stages.branch import Trunk, copy_ledger, require_branch
from picochat.training.config import LoopConfig

STEP_TOKENS = 512


def conditions(steps: int, warmup: int = 10, **loop: Any) -> dict[str, Any]:
    """A fingerprint, as far as a branch looks at it."""
    chosen = {"tokens": steps * STEP_TOKENS, "warmup_frac": warmup / steps, "schedule": "wsd", "final_frac": 0.0}
    return {"loop": chosen | loop, "tokens_per_step": STEP_TOKENS, "seed": 1, "inputs": {"corpus": "c"}, "threads": 1}


def refusal(saved: dict[str, Any], own: dict[str, Any], step: int) -> str:
    with pytest.raises(PicochatError) as caught:
        require_branch(saved, own, step)
    assert caught.value.code == "branch.conditions"
    return caught.value.detail


@pytest.mark.parametrize("step", [1, 10, 50, 82])
def test_a_shorter_training_may_begin_anywhere_before_its_rate_falls(step: int):
    require_branch(conditions(200), conditions(100), step)


def test_beyond_that_its_rate_would_have_been_another():
    detail = refusal(conditions(200), conditions(100), 83)
    assert detail.startswith("step 83 of the trunk had 1 of the peak rate, the branch would have 0.")


def test_a_longer_training_may_go_on_from_a_shorter_one_before_that_cools_down():
    require_branch(conditions(100), conditions(200), 82)
    assert "step 83" in refusal(conditions(100), conditions(200), 83)


def test_another_warm_up_is_another_training():
    assert "step 1 of the trunk" in refusal(conditions(200, 10), conditions(100, 5), 50)


def test_a_rate_that_always_falls_has_no_branches():
    assert "step 11 of" in refusal(conditions(200, schedule="linear"), conditions(100, schedule="linear"), 50)


def test_nothing_is_left_to_train():
    assert "planned with 50" in refusal(conditions(200), conditions(50), 50)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seed": 2}, "seed"),
        ({"threads": 2}, "threads"),
        ({"inputs": {"corpus": "x"}}, "inputs.corpus"),
        ({"tokens_per_step": 1024}, "tokens_per_step"),
        ({"lr": 0.1}, "lr"),
    ],
)
def test_every_other_condition_is_the_same(change: dict[str, Any], field: str):
    assert f"({field}, trunk" in refusal(conditions(200), conditions(100) | change, 50)


def test_what_is_recorded_beside_a_training_may_differ():
    own = conditions(100)
    own["inputs"] = own["inputs"] | {"trunk": "t", "prediction": "p"}
    require_branch(conditions(200), own, 50)


def test_the_ledger_begins_with_the_steps_of_the_trunk(tmp_path):
    lines = [canonical_json({"step": step, "loss": "x"}) + b"\n" for step in (1, 2, 2, 3, 4)]
    (tmp_path / "trunk.jsonl").write_bytes(b"".join(lines) + b'{"step": 5')
    trunk = Trunk(tmp_path, tmp_path / "trunk.jsonl", "d")
    copy_ledger(trunk, 3, tmp_path / "own.jsonl")
    assert (tmp_path / "own.jsonl").read_bytes() == b"".join([lines[0], lines[2], lines[3]])
    with pytest.raises(PicochatError) as caught:
        copy_ledger(trunk, 6, tmp_path / "own.jsonl")
    assert caught.value.code == "training.ledger"


def test_a_branch_hands_over_its_last_weights():
    loop = {"tokens": 512, "seq_len": 8, "micro_batch_size": 1}
    assert BaseConfig(loop=LoopConfig(**loop), branch="a").branch == "a"
    with pytest.raises(PicochatError) as caught:
        BaseConfig(loop=LoopConfig(**loop, keep="best"), branch="a")
    assert caught.value.code == "config.conflict"
