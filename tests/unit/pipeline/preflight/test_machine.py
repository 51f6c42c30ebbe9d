"""What this machine is said to lack, from what doctor says of it."""

from pathlib import Path
from typing import Any

import pytest

from picochat.core.config import merge
from picochat.model.sizing import count_parameters
from picochat.pipeline.config import RunConfig
from picochat.pipeline.preflight import machine as subject
from picochat.pipeline.preflight.recipe import recipe_facts
from picochat.pipeline.profiles import load_profile

GPU = {"name": "GPU", "memory_bytes": 80 * 2**30, "bf16": True, "flash": True}
DOCTOR = {"memory_bytes": 8 * 2**30, "cpu_bf16": False, "cuda_devices": []}


def config(**machine: Any) -> RunConfig:
    return RunConfig.from_dict(merge(load_profile("tiny").build().as_dict(), {"machine": machine}), "test")


def seen(given: RunConfig, ranks: int = 1, expected: int = 1, folder: Path = Path("/"), **doctor: Any):
    return subject.this_machine(given, ranks, expected, folder, DOCTOR | doctor)


def test_a_cpu_that_has_what_is_asked_for_has_no_fault():
    found = seen(config(precision="fp32"))
    assert not found.device_fault and found.precision_fault == "" and found.attention_fault == ""
    assert found.memory_bytes == 8 * 2**30


def test_bf16_is_a_fault_where_it_is_emulated():
    assert "AMX" in str(seen(config(precision="bf16")).precision_fault)
    assert seen(config(precision="bf16"), cpu_bf16=True).precision_fault == ""
    assert seen(config(precision="bf16", device="cuda"), cuda_devices=[GPU]).precision_fault == ""
    old = GPU | {"bf16": False}
    assert "GPU has no native bf16" in str(
        seen(config(precision="bf16", device="cuda"), cuda_devices=[old]).precision_fault
    )


def test_gpus_that_are_not_here_are_a_fault():
    assert (
        "8 CUDA devices are asked for, 1 are here" in seen(config(device="cuda"), 8, 8, cuda_devices=[GPU]).device_fault
    )
    assert seen(config(device="cuda")).device_fault and not seen(config(device="cuda"), cuda_devices=[GPU]).device_fault


def test_attention_without_a_fused_kernel_is_a_fault():
    assert "fused" in str(seen(config(device="cuda"), cuda_devices=[GPU | {"flash": False}]).attention_fault)
    assert seen(config(device="cuda")).attention_fault is None


def test_the_memory_of_the_smallest_gpu_counts():
    small = GPU | {"memory_bytes": 24 * 2**30}
    assert seen(config(device="cuda"), 2, 2, cuda_devices=[GPU, small]).memory_bytes == 24 * 2**30


def test_a_doctor_that_does_not_answer_leaves_all_but_the_disk_unknown(tmp_path: Path):
    found = subject.this_machine(config(), 1, 1, tmp_path / "new" / "run", None)
    assert found.device_fault is None and found.precision_fault is None and found.memory_bytes is None
    assert found.free_disk_bytes and found.needed_disk_bytes


def test_disk_holds_three_checkpoints_and_the_shards():
    given = load_profile("small").build()
    parameters = count_parameters(given.model).total
    assert subject.disk_bytes(given) == round(1.2 * (3 * 12 * parameters + 2 * given.base.loop.tokens))


def test_the_answer_of_the_real_doctor_is_understood():
    found = subject.ask_doctor()
    assert found is not None and found["memory_bytes"] > 0 and isinstance(found["cpu_bf16"], bool)


def test_a_doctor_that_fails_is_no_answer(monkeypatch: pytest.MonkeyPatch):
    for text in (None, "", "[]", "{", '{"facts": 1}'):
        monkeypatch.setattr(subject, "run_quiet", lambda *_, text=text, **__: text)
        assert subject.ask_doctor() is None


def test_the_recipe_is_the_one_that_the_stages_resolve():
    found = recipe_facts(load_profile("h200-1b-ddp8").build())
    assert found.parameters == 1_120_985_088 and found.steps == 21_400
    assert found.planned_tokens == 21_400 * 1_048_576 and found.long
    assert found.lr == found.rule_lr == pytest.approx(1.08e-3, rel=0.02)
    assert found.step_tokens == found.rule_step_tokens == 1_048_576
    assert found.sft_lr < found.lr
