"""The peak memory of a step: formula, count on fake tensors, and what the allocator of a real training gives out."""

import json

import pytest
import torch
from benchmarks.plan_memory import measure_peak
from click.testing import CliRunner
from tests.support.step_peaks import SHAPE, small_step

from picochat.cli.commands.plan import plan
from picochat.core.asking import ask
from picochat.core.errors import PicochatError
from picochat.model.config import ModelConfig
from picochat.model.sizing import count_parameters
from picochat.pipeline.plan.measuring import MEMORY_MODULE
from picochat.training.memory import count_peak


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"checkpoint_blocks": True},
        {"precision": "fp32"},
        {"precision": "fp32", "checkpoint_blocks": True},
        {"micro_batches": 2},
        {"held": True, "checkpoint_blocks": True},
        {"document_mask": True},
        {"shape": SHAPE | {"max_seq_len": 128}, "rows": 8},
        {"shape": SHAPE | {"residual": "sequential", "tie_embeddings": False}},
        {"shape": SHAPE | {"qk_norm": False}},
        {"shape": SHAPE | {"vocab_size": 8192, "n_layers": 1}, "rows": 1},
        {"optimizer": "muon", "rows": 1},
        {"ema_decay": 0.9},
    ],
    ids=str,
)
def test_the_formula_is_within_six_percent_of_the_count(case):
    question, formula = small_step(**case)
    assert formula == pytest.approx(count_peak(question), rel=0.06)


@pytest.mark.parametrize("case", [{"checkpoint_blocks": True}, {"micro_batches": 2}], ids=str)
def test_so_it_is_with_slices_and_no_group_is_left(case):
    question, formula = small_step(slices=4, **case)
    assert formula == pytest.approx(count_peak(question), rel=0.06)
    assert not torch.distributed.is_initialized()


def test_slices_that_accumulate_hold_whole_gradients():
    one, several = (count_peak(small_step(slices=4, micro_batches=number)[0]) for number in (1, 2))
    assert several - one == pytest.approx(4 * count_parameters(ModelConfig(**SHAPE)).total, rel=0.05)


SIZES = {
    "short rows": (SHAPE | {"max_seq_len": 128}, 8),
    "long rows": (SHAPE, 4),
    "wider": (SHAPE | {"dim": 192, "n_heads": 3, "n_kv_heads": 1, "vocab_size": 4096, "n_layers": 3}, 2),
}


@pytest.mark.parametrize("recomputed", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("size", SIZES)
def test_both_are_within_a_tenth_of_what_a_real_step_takes(size, recomputed):
    shape, rows = SIZES[size]
    question, formula = small_step(shape, rows, checkpoint_blocks=recomputed)
    measured = measure_peak(question)
    assert count_peak(question) == pytest.approx(measured, rel=0.03)
    assert formula == pytest.approx(measured, rel=0.10)


def test_the_command_counts_and_probes_in_processes_of_its_own():
    """Without a stand-in: both processes start, load torch and answer; a bad question is refused there and here."""
    settings = [
        "--set",
        "base.loop.tokens_per_step=1024",
        "--set",
        "base.loop.micro_batch_size=8",
        "--set",
        "model.n_layers=1",
    ]
    done = CliRunner().invoke(plan, ["tiny", "--measure", "--probe", "--json", *settings])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["checks"][0]["verdict"] == "pass"
    assert len(found["probe"]["step_s"]) == 20 and found["estimates"][0]["tokens_per_s"] > 0
    with pytest.raises(PicochatError) as caught:
        ask(MEMORY_MODULE, {"models": 1}, code="plan.measuring", timeout_s=120)
    assert caught.value.code == "config.key"
