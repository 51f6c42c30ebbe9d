import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from picochat.model.losses import chunked_cross_entropy, keep_targets


def make_case(n_tokens, vocab, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(n_tokens, 16, generator=generator, requires_grad=True)
    weight = torch.randn(vocab, 16, generator=generator, requires_grad=True)
    targets = torch.randint(vocab, (n_tokens,), generator=generator)
    targets[::3] = -100
    return hidden, weight, targets


def plain_loss(hidden, weight, targets, z_loss):
    logits = hidden @ weight.t()
    nats = F.cross_entropy(logits, targets, ignore_index=-100, reduction="sum")
    z = (logits.logsumexp(-1).square() * (targets != -100)).sum()
    return nats + z_loss * z, nats


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 50), st.sampled_from([0.0, 1e-5, 0.1]), st.integers(0, 99))
def test_equals_plain_cross_entropy_with_gradients(n_tokens, chunk_tokens, z_loss, seed):
    hidden, weight, targets = make_case(n_tokens, 33, seed)
    total, nats = plain_loss(hidden, weight, targets, z_loss)
    expected = torch.autograd.grad(total * 0.7, (hidden, weight))
    out = chunked_cross_entropy(hidden, weight, targets, z_loss=z_loss, chunk_tokens=chunk_tokens)
    found = torch.autograd.grad(out.total_sum * 0.7, (hidden, weight))
    torch.testing.assert_close(out.total_sum, total, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(out.loss_sum, nats, rtol=1e-5, atol=1e-4)
    assert out.num_targets.item() == (targets != -100).sum().item()
    for gradient, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=2e-5)


def test_float64_gradients_are_exact():
    hidden, weight, targets = make_case(12, 9)
    double = (hidden.detach().double().requires_grad_(), weight.detach().double().requires_grad_())
    total, _ = plain_loss(*double, targets, 1e-3)
    out = chunked_cross_entropy(*double, targets, z_loss=1e-3, chunk_tokens=5)
    for found, expected in zip(
        torch.autograd.grad(out.total_sum, double), torch.autograd.grad(total, double), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_only_ignored_targets_give_zero_and_finite_gradients():
    hidden, weight, targets = make_case(8, 9)
    out = chunked_cross_entropy(hidden, weight, targets.fill_(-100), chunk_tokens=4)
    out.total_sum.backward()
    assert out.total_sum.item() == 0.0 and out.num_targets.item() == 0
    assert hidden.grad is not None and hidden.grad.abs().max() == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 16), st.integers(0, 99))
def test_leaving_out_what_is_no_target_changes_nothing(n_tokens, multiple, seed):
    hidden, weight, targets = make_case(n_tokens, 33, seed)
    kept_hidden, kept_targets = keep_targets(hidden, targets, multiple=multiple)
    assert len(kept_targets) == len(kept_hidden) and (
        len(kept_targets) % multiple == 0 or len(kept_targets) == n_tokens
    )
    whole = chunked_cross_entropy(hidden, weight, targets)
    kept = chunked_cross_entropy(kept_hidden, weight, kept_targets)
    assert kept.num_targets.item() == whole.num_targets.item()
    torch.testing.assert_close(kept.total_sum, whole.total_sum, rtol=1e-5, atol=1e-4)
    expected = torch.autograd.grad(whole.total_sum, (hidden, weight))
    for found, wanted in zip(torch.autograd.grad(kept.total_sum, (hidden, weight)), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=2e-5)


def test_batches_of_chat_rows_meet_the_head_in_few_shapes():
    lengths = set()
    for targets_set in range(0, 1000, 7):
        targets = torch.full((1024,), -100)
        targets[:targets_set] = 5
        lengths.add(len(keep_targets(torch.zeros(1024, 2), targets)[1]))
    assert lengths == {256, 512, 768, 1024}


def test_the_reported_loss_has_no_gradient():
    out = chunked_cross_entropy(*make_case(8, 9))
    assert out.total_sum.requires_grad and not out.loss_sum.requires_grad


def test_no_gradient_work_without_grad():
    hidden, weight, targets = make_case(8, 9)
    with torch.no_grad():
        out = chunked_cross_entropy(hidden, weight, targets)
    assert not out.total_sum.requires_grad
    assert out.loss_sum.item() == pytest.approx(plain_loss(hidden, weight, targets, 0.0)[1].item(), rel=1e-5)


def test_autocast_computes_logits_in_bf16():
    hidden, weight, targets = make_case(32, 33)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = chunked_cross_entropy(hidden, weight, targets)
    exact = plain_loss(hidden, weight, targets, 1e-5)[1]
    assert out.loss_sum.dtype == torch.float32
    assert 0 < abs(out.loss_sum - exact) / exact < 0.02
    out.total_sum.backward()
    assert weight.grad is not None and weight.grad.dtype == torch.float32
