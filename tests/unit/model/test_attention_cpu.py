import pytest
import torch

from picochat.model import attention, attention_cpu
from picochat.model.attention import attend_fused, attend_matmul, attend_trained, build_mask
from picochat.model.attention_cpu import attend_causal_blocks
from picochat.model.config import ModelConfig
from picochat.model.init import init_weights
from picochat.model.transformer import Transformer


def make_case(length, n_heads, n_kv_heads, transposed):
    generator = torch.Generator().manual_seed(length)

    def make(heads):
        shape = (2, length, heads, 16) if transposed else (2, heads, length, 16)
        x = torch.randn(shape, generator=generator)
        return (x.transpose(1, 2) if transposed else x).requires_grad_()

    return make(n_heads), make(n_kv_heads), make(n_kv_heads), torch.randn(2, n_heads, length, 16, generator=generator)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("length", "n_heads", "n_kv_heads"), [(5, 4, 4), (32, 4, 2), (50, 6, 1), (64, 2, 1)])
def test_equals_autograd_of_plain_attention(monkeypatch, length, n_heads, n_kv_heads, transposed):
    monkeypatch.setattr(attention_cpu, "BLOCK_TOKENS", 16)
    q, k, v, slope = make_case(length, n_heads, n_kv_heads, transposed)
    mask = build_mask(2, length, 0, q.device)
    expected, found = attend_matmul(q, k, v, mask), attend_causal_blocks(q, k, v)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    for gradient, reference in zip(
        torch.autograd.grad(found, (q, k, v), slope), torch.autograd.grad(expected, (q, k, v), slope), strict=True
    ):
        torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("attend", [attend_matmul, attend_fused, attend_trained])
def test_every_path_runs_under_autocast_and_stays_near_float32(monkeypatch, attend):
    """As the network calls them: queries and keys in float32, values in bf16."""
    monkeypatch.setattr(attention_cpu, "BLOCK_TOKENS", 16)
    q, k, v, slope = make_case(50, 6, 2, True)
    mask = None if attend is attend_trained else build_mask(2, 50, 0, q.device)
    expected = attend_matmul(q, k, v, build_mask(2, 50, 0, q.device))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attend(q, k, v.bfloat16(), mask)
    assert found.dtype == torch.bfloat16
    gradients = torch.autograd.grad(found, (q, k, v), slope.bfloat16())
    references = torch.autograd.grad(expected, (q, k, v), slope)
    for one, other in zip((found, *gradients), (expected, *references), strict=True):
        assert (one.float() - other).norm() < 0.02 * other.norm()


def test_large_scores_stay_finite():
    q, k, v, slope = make_case(40, 2, 1, False)
    gradients = torch.autograd.grad(attend_causal_blocks(q * 100, k * 100, v), (q, k, v), slope)
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_long_rows_in_training_take_this_path(monkeypatch):
    config = ModelConfig(vocab_size=61, dim=32, n_layers=2, n_heads=4, n_kv_heads=2, max_seq_len=256)
    model = Transformer(config)
    init_weights(model, torch.Generator().manual_seed(0))
    tokens = torch.randint(61, (1, 200))
    calls = []
    monkeypatch.setattr(attention, "attend_causal_blocks", lambda *a: calls.append(1) or attend_causal_blocks(*a))
    trained = model(tokens)
    assert len(calls) == 2
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), trained, rtol=1e-5, atol=1e-5)
    assert len(calls) == 2


@pytest.mark.filterwarnings("ignore")  # what torch says of itself while it traces
def test_a_traced_training_step_takes_the_same_path_and_gives_the_same_gradients(monkeypatch):
    """`aot_eager` traces forward and backward as a real compilation does, without waiting for a C++ compiler."""
    monkeypatch.setattr(attention_cpu, "BLOCK_TOKENS", 64)
    config = ModelConfig(vocab_size=61, dim=32, n_layers=1, n_heads=4, n_kv_heads=2, max_seq_len=256)
    model = Transformer(config)
    init_weights(model, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    tokens = torch.randint(61, (2, 150))
    gradients = []
    for traced in (False, True):
        if traced:
            for block in model.blocks:
                block.compile(dynamic=False, fullgraph=True, backend="aot_eager")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            model(tokens).float().square().mean().backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
        model.zero_grad()
    for found, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-2, atol=1e-5)
