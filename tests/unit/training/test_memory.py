"""The peak counted on fake tensors, against the formula; slices among a fake group leave nothing behind."""

import pytest
import torch
from tests.support.step_peaks import SHAPE, small_step

from picochat.model.config import ModelConfig
from picochat.model.transformer import Transformer
from picochat.training.config import LoopConfig
from picochat.training.memory import count, count_peak


@pytest.mark.parametrize("case", [{}, {"checkpoint_blocks": True}, {"slices": 4}], ids=str)
def test_the_formula_is_within_six_percent_of_the_count(case):
    question, formula = small_step(**case)
    assert formula == pytest.approx(count_peak(question), rel=0.06)
    assert not torch.distributed.is_initialized()


def test_the_answer_names_the_parameters_that_were_built():
    question = {
        "model": ModelConfig(**SHAPE).as_dict(),
        "loop": LoopConfig(tokens=4096, seq_len=256, micro_batch_size=1, document_mask=False).as_dict(),
        "precision": "fp32",
        "micro_batch_size": 1,
        "micro_batches": 1,
    }
    said = count(question)
    n = sum(p.numel() for p in Transformer(ModelConfig(**SHAPE)).parameters())
    assert said["parameters"] == n
    assert said["peak_bytes"] > 16 * n
    assert said["torch"] == str(torch.__version__)
