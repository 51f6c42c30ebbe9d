"""Which of torch's attention kernels take the model's shapes in bf16, and which one is taken."""

import pytest
import torch
from tests.gpu.trainings import SMALL, build, open_machine, shape
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

FUSED = ("FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION")
HEADS = {
    "64 wide, one group": shape(256, 2, 4, 1, 512, 512),
    "64 wide, no groups": shape(256, 2, 4, 4, 512, 512),
    "128 wide, two groups": shape(512, 2, 4, 2, 512, 512),
}


@pytest.fixture
def machine(device):
    if device == "cuda" and torch.cuda.get_device_capability()[0] < 8:
        pytest.skip("NOT RUN: the GPU has no native bf16")
    return open_machine(device, "bf16")


def first_loss(machine, config, document_mask: bool, backend: SDPBackend) -> float:
    """Of one step, forward and backward, with one kernel alone."""
    trainer, _ = build(machine.world, config, autocast=machine.autocast, document_mask=document_mask)
    with sdpa_kernel([backend]):
        return trainer.train_step().loss


@pytest.mark.parametrize("config", HEADS.values(), ids=HEADS)
def test_flash_attention_takes_whole_rows(machine, figure, config):
    flash, plain = (first_loss(machine, config, False, kind) for kind in (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH))
    figure("loss, flash / math - 1", f"{flash / plain - 1:+.1e}")
    assert flash == pytest.approx(plain, rel=0.01)


@pytest.mark.parametrize("config", HEADS.values(), ids=HEADS)
def test_kernels_that_take_rows_with_a_document_mask(machine, figure, config):
    """Only reported: without any of the fused ones a masked row costs memory in the square of its length."""
    plain, taken = first_loss(machine, config, True, SDPBackend.MATH), []
    for name in FUSED:
        try:
            loss = first_loss(machine, config, True, getattr(SDPBackend, name))
        except RuntimeError:
            continue
        taken.append(name)
        assert loss == pytest.approx(plain, rel=0.01), name
    figure("fused kernels that take a document mask", ", ".join(taken) or "none: masked rows go to MATH")


@pytest.mark.parametrize("document_mask", [False, True], ids=["whole rows", "documents"])
def test_the_kernel_that_is_taken(machine, device, figure, monkeypatch, document_mask):
    """A fused one for whole rows; for rows of several documents it is reported."""
    chosen, attend = set(), F.scaled_dot_product_attention

    def watched(q, k, v, attn_mask=None, is_causal=False, enable_gqa=False):
        q16, k16, v16 = (x.detach().bfloat16().requires_grad_() for x in (q, k, v))  # as autocast hands them on
        mask = None if attn_mask is None else attn_mask.bfloat16()
        kind = torch._fused_sdp_choice(q16, k16, v16, mask, 0.0, is_causal, enable_gqa=enable_gqa)
        chosen.add(SDPBackend(kind).name)
        return attend(q, k, v, attn_mask=attn_mask, is_causal=is_causal, enable_gqa=enable_gqa)

    monkeypatch.setattr(F, "scaled_dot_product_attention", watched)
    trainer, _ = build(machine.world, SMALL, autocast=machine.autocast, document_mask=document_mask)
    trainer.train_step()
    figure("kernel", ", ".join(sorted(chosen)) or "the package's own")
    if device == "cuda" and not document_mask:
        assert chosen and chosen <= set(FUSED)
