import pytest
import torch
from torch.nn import functional as F

from picochat.model.layers import RMSNorm, SwiGLU


@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 3, 4, 7)])
def test_rms_norm_and_its_gradients_equal_autograd(shape):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator).mul_(3).requires_grad_()
    norm = RMSNorm(7, 1e-2)
    norm.weight.data.normal_(1.0, 0.5, generator=generator)
    slope = torch.randn(shape, generator=generator)
    expected = F.rms_norm(x, (7,), norm.weight, 1e-2)
    found = norm(x)
    torch.testing.assert_close(found, expected)
    inputs = (x, norm.weight)
    for gradient, reference in zip(
        torch.autograd.grad(found, inputs, slope), torch.autograd.grad(expected, inputs, slope), strict=True
    ):
        torch.testing.assert_close(gradient, reference, rtol=1e-5, atol=1e-5)


def test_rms_norm_works_in_float32_under_bf16():
    x = torch.linspace(-4, 4, 64).bfloat16().requires_grad_()
    norm = RMSNorm(64, 1e-6)
    found = norm(x)
    torch.testing.assert_close(found, F.rms_norm(x.float(), (64,)).bfloat16().float())
    found.sum().backward()
    assert x.grad is not None and x.grad.dtype == torch.bfloat16 and x.grad.isfinite().all()


def test_swiglu_is_the_gated_product():
    mlp = SwiGLU(6, 10)
    x = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(0))
    gate, up = x @ mlp.gate.weight.t(), x @ mlp.up.weight.t()
    torch.testing.assert_close(mlp(x), (gate * gate.sigmoid() * up) @ mlp.down.weight.t())
