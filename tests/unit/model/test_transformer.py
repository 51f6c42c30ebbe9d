import pytest
import torch

from picochat.model import attention
from picochat.model.attention import attend_fused, attend_matmul, build_mask
from picochat.model.config import ModelConfig
from picochat.model.init import init_weights
from picochat.model.kv_cache import KVCache
from picochat.model.transformer import Transformer

SHAPE = {"vocab_size": 61, "dim": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "max_seq_len": 256}


def make_model(**change) -> Transformer:
    model = Transformer(ModelConfig(**SHAPE | change))
    init_weights(model, torch.Generator().manual_seed(1))
    return model


def make_tokens(batch_size, length, seed=2):
    return torch.randint(61, (batch_size, length), generator=torch.Generator().manual_seed(seed))


KINDS = [{}, {"residual": "sequential"}, {"residual": "sequential", "qk_norm": False}, {"tie_embeddings": False}]


@pytest.mark.parametrize("length", [20, 140])
@pytest.mark.parametrize("change", KINDS)
@torch.no_grad()
def test_the_future_does_not_move_the_past(change, length):
    model, tokens = make_model(**change), make_tokens(2, length)
    other = tokens.clone()
    other[:, 12:] = (other[:, 12:] + 1) % 61
    before, after = model(tokens), model(other)
    torch.testing.assert_close(before[:, :12], after[:, :12], rtol=0, atol=2e-6)
    assert (before[:, 12:] - after[:, 12:]).abs().max() > 0.1


@pytest.mark.parametrize("lengths", [(7, 13), (70, 90)])
@torch.no_grad()
def test_packed_documents_equal_documents_alone(lengths):
    model = make_model()
    first, second = make_tokens(1, lengths[0]), make_tokens(1, lengths[1], seed=3)
    packed = torch.cat((first, second), dim=1)
    segments = torch.tensor([[0] * lengths[0] + [1] * lengths[1]])
    hidden = model(packed, segments_BT=segments)
    alone = torch.cat((model(first), model(second)), dim=1)
    torch.testing.assert_close(hidden, alone, rtol=1e-5, atol=1e-5)
    assert (model(packed) - alone)[:, lengths[0] :].abs().max() > 0.1


@pytest.mark.parametrize("change", KINDS)
@torch.no_grad()
def test_cache_equals_no_cache(change):
    model, tokens = make_model(**change), make_tokens(3, 30)
    cache = KVCache(model.config, 3, 40)
    pieces = [model(piece, cache=cache) for piece in tokens.split([10, 7, 1, 1, 11], dim=1)]
    assert cache.length == 30
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(tokens), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_left_padding_changes_nothing():
    model, tokens = make_model(), make_tokens(1, 12)
    cache = KVCache(model.config, 2, 16)
    batch = torch.zeros(2, 14, dtype=torch.long)
    batch[0, 2:], batch[1] = tokens[0], make_tokens(1, 14, seed=5)[0]
    key_mask = torch.ones(2, 14, dtype=torch.bool)
    key_mask[0, :2] = False
    positions = (key_mask.cumsum(1) - 1).clamp_min(0)
    model(batch[:, :10], cache=cache, key_mask=key_mask[:, :10], positions_BT=positions[:, :10])
    steps = [
        model(batch[:, i : i + 1], cache=cache, key_mask=key_mask[:, : i + 1], positions_BT=positions[:, i : i + 1])
        for i in range(10, 14)
    ]
    found = torch.cat(steps, dim=1)
    assert found.isfinite().all()
    torch.testing.assert_close(found[:1], model(tokens)[:, 8:], rtol=1e-5, atol=1e-5)


def test_cache_keeps_rows_and_refuses_overflow():
    model = make_model()
    cache = KVCache(model.config, 3, 8)
    tokens = make_tokens(3, 9)
    with torch.no_grad():
        model(tokens[:, :7], cache=cache)
        cache.keep_rows(torch.tensor([2]))
        found = model(tokens[2:, 7:8], cache=cache)
        torch.testing.assert_close(found, model(tokens[2:, :8])[:, 7:], rtol=1e-5, atol=1e-5)
        with pytest.raises(ValueError, match="8 tokens cannot hold 9"):
            model(tokens[2:, 8:], cache=cache)


def test_relative_positions_need_no_restart():
    model, tokens = make_model(), make_tokens(1, 20)
    shifted = torch.arange(20).unsqueeze(0) + 100
    with torch.no_grad():
        torch.testing.assert_close(model(tokens, positions_BT=shifted), model(tokens), rtol=1e-4, atol=1e-4)
        scrambled = shifted.flip(1)
        assert (model(tokens, positions_BT=scrambled) - model(tokens)).abs().max() > 0.1


def test_too_long_is_refused():
    with pytest.raises(ValueError, match="257 tokens are more than max_seq_len 256"):
        make_model()(make_tokens(1, 257))


@pytest.mark.parametrize("segmented", [False, True])
def test_fused_path_equals_matmul_path(segmented):
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(2, 4, 24, 8, generator=generator, requires_grad=True)
    k, v = (torch.randn(2, 2, 24, 8, generator=generator, requires_grad=True) for _ in range(2))
    segments = torch.arange(24).expand(2, 24) // 10 if segmented else None
    mask = build_mask(2, 24, 0, q.device, segments)
    one = attend_matmul(q, k, v, mask)
    two = attend_fused(q, k, v, mask if segmented else None)
    torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)
    slope = torch.randn(one.shape, generator=generator)
    for a, b in zip(
        torch.autograd.grad(one, (q, k, v), slope), torch.autograd.grad(two, (q, k, v), slope), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_grouped_queries_equal_repeated_keys():
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(1, 6, 10, 8, generator=generator)
    k, v = torch.randn(2, 1, 2, 10, 8, generator=generator)
    mask = build_mask(1, 10, 0, q.device)
    repeated = [x.repeat_interleave(3, dim=1) for x in (k, v)]
    torch.testing.assert_close(attend_matmul(q, k, v, mask), attend_matmul(q, *repeated, mask))


@pytest.mark.parametrize("change", KINDS)
def test_recomputed_blocks_give_equal_gradients(change):
    model, tokens = make_model(**change), make_tokens(2, 20)
    segments = torch.arange(20).expand(2, 20) // 8
    gradients = []
    for recompute in (False, True):
        model.checkpoint_blocks = recompute
        model.zero_grad()
        model.logits(model(tokens, segments_BT=segments)).square().mean().backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient.abs().max() > 0, name
        assert torch.equal(gradient, gradients[1][name]), name


def test_parameter_names_are_stable():
    names = {name for name, _ in make_model().named_parameters() if ".1." not in name}
    block = [
        "norm",
        "attn.q",
        "attn.k",
        "attn.v",
        "attn.o",
        "attn.q_norm",
        "attn.k_norm",
        "mlp.gate",
        "mlp.up",
        "mlp.down",
    ]
    assert names == {"embed.weight", "norm.weight"} | {f"blocks.0.{part}.weight" for part in block}
    sequential = dict(make_model(residual="sequential", tie_embeddings=False, qk_norm=False).named_parameters())
    assert {"blocks.0.attn_norm.weight", "blocks.0.mlp_norm.weight", "head.weight"} <= sequential.keys()
    assert not any("q_norm" in name for name in sequential)


def test_short_rows_take_the_matmul_path_on_cpu(monkeypatch):
    calls = []
    monkeypatch.setattr(attention, "attend_fused", lambda *args: calls.append("fused") or attend_fused(*args))
    model = make_model()
    with torch.no_grad():
        model(make_tokens(1, 128))
        assert calls == []
        model(make_tokens(1, 129))
    assert calls == ["fused"] * 2


@torch.no_grad()
def test_fused_path_compiles_for_any_length():
    q, k, v = torch.randn(3, 1, 2, 20, 8, generator=torch.Generator().manual_seed(0))
    compiled = torch.compile(attend_fused, backend="eager", dynamic=True, fullgraph=True)
    torch.testing.assert_close(compiled(q, k, v, None), attend_fused(q, k, v, None))
