import pytest
import torch

from picochat.model.config import ModelConfig
from picochat.model.init import init_weights
from picochat.model.transformer import Transformer

CONFIG = ModelConfig(vocab_size=512, dim=128, n_layers=4, n_heads=2, n_kv_heads=1, head_dim=64, max_seq_len=32)


def make_weights(seed: int) -> dict[str, torch.Tensor]:
    model = Transformer(CONFIG)
    init_weights(model, torch.Generator().manual_seed(seed))
    return {name: p.detach() for name, p in model.named_parameters()}


def test_measured_std_follows_the_rule():
    for name, weight in make_weights(0).items():
        if weight.ndim == 1:
            assert (weight == 1).all(), name
            continue
        residual = name.endswith(("attn.o.weight", "mlp.down.weight"))
        expected = 128**-0.5 * (8**-0.5 if residual else 1.0)
        assert weight.std().item() == pytest.approx(expected, rel=0.05), name
        assert abs(weight.mean().item()) < 5 * expected / weight.numel() ** 0.5, name


def test_equal_seeds_give_equal_weights():
    first, again, other = make_weights(0), make_weights(0), make_weights(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embed.weight"], other["embed.weight"])


def test_a_model_from_the_meta_device_gets_its_tables():
    with torch.device("meta"):
        model = Transformer(CONFIG)
    model.to_empty(device="cpu")
    init_weights(model, torch.Generator().manual_seed(0))
    expected = Transformer(CONFIG)
    assert torch.equal(model.cos_Sh, expected.cos_Sh) and torch.equal(model.sin_Sh, expected.sin_Sh)
