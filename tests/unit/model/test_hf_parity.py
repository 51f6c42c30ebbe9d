"""A Llama- or Qwen3-shaped model of transformers and ours, with the same weights, give the same logits."""

import pytest
import torch

from picochat.core.errors import PicochatError
from picochat.model import attention
from picochat.model.config import ModelConfig
from picochat.model.hf_names import names_from_hf, names_to_hf
from picochat.model.transformer import Transformer

transformers = pytest.importorskip("transformers")

TOLERANCE = 1e-5
SHAPE = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
}


def build_reference(kind: str, tied: bool, attn_implementation: str = "eager"):
    config_class = {"llama": transformers.LlamaConfig, "qwen3": transformers.Qwen3Config}[kind]
    model_class = {"llama": transformers.LlamaForCausalLM, "qwen3": transformers.Qwen3ForCausalLM}[kind]
    torch.manual_seed(0)
    reference = (
        model_class(config_class(**SHAPE, attn_implementation=attn_implementation, tie_word_embeddings=tied))
        .float()
        .eval()
    )
    with torch.no_grad():
        for name, parameter in reference.named_parameters():
            parameter.normal_(1.0, 0.3) if "norm" in name else parameter.normal_(0.0, 48**-0.5)
    return reference


def build_ours(kind: str, tied: bool, **change) -> Transformer:
    values = {
        "vocab_size": 97,
        "dim": 48,
        "n_layers": 3,
        "n_heads": 6,
        "n_kv_heads": 2,
        "head_dim": 16,
        "hidden_dim": 80,
        "max_seq_len": 256,
        "residual": "sequential",
        "qk_norm": kind == "qwen3",
        "tie_embeddings": tied,
    }
    return Transformer(ModelConfig(**values | change)).eval()


def copy_weights(reference, model: Transformer) -> None:
    theirs = dict(reference.state_dict())
    if model.config.tie_embeddings:
        theirs.pop("lm_head.weight", None)
    names = names_from_hf(model.config)
    assert names.keys() == theirs.keys()
    model.load_state_dict({names[name]: tensor for name, tensor in theirs.items()}, strict=True)


@torch.no_grad()
def largest_difference(reference, model: Transformer, length: int) -> float:
    tokens = torch.randint(97, (2, length), generator=torch.Generator().manual_seed(length))
    return (reference(tokens).logits - model.logits(model(tokens))).abs().max().item()


@pytest.mark.parametrize("length", [1, 33, 200])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_logits_agree(kind, tied, length):
    reference, model = build_reference(kind, tied), build_ours(kind, tied)
    copy_weights(reference, model)
    difference = largest_difference(reference, model, length)
    print(f"{kind} tied={tied} T={length}: {difference:.1e}")
    assert difference < TOLERANCE


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_long_rows_agree_to_the_bit_with_the_same_kernel(kind):
    reference, model = build_reference(kind, True, "sdpa"), build_ours(kind, True)
    copy_weights(reference, model)
    assert largest_difference(reference, model, 200) == 0.0


def test_gradients_agree():
    reference, model = build_reference("qwen3", True), build_ours("qwen3", True)
    copy_weights(reference, model)
    tokens = torch.randint(97, (2, 40), generator=torch.Generator().manual_seed(1))
    reference(tokens).logits.logsumexp(-1).sum().backward()
    model.logits(model(tokens)).logsumexp(-1).sum().backward()
    theirs = dict(reference.named_parameters())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[names_to_hf(model.config)[name]].grad, rtol=1e-4, atol=1e-4)


def interleaved(x, cos, sin):
    half = x.shape[-1] // 2
    cos, sin = cos[..., :half], sin[..., :half]
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)


def break_rope(model, monkeypatch):
    monkeypatch.setattr(attention, "rotate", interleaved)


def break_query_norm(model, monkeypatch):
    for block in model.blocks:
        block.attn.q_norm = torch.nn.Identity()


def break_final_norm(model, monkeypatch):
    model.norm = torch.nn.Identity()


@pytest.mark.parametrize("fault", [break_rope, break_query_norm, break_final_norm])
def test_a_planted_fault_is_seen(fault, monkeypatch):
    reference, model = build_reference("qwen3", True), build_ours("qwen3", True)
    copy_weights(reference, model)
    fault(model, monkeypatch)
    assert largest_difference(reference, model, 33) > 100 * TOLERANCE


@pytest.mark.parametrize("change", [{"norm_eps": 1e-2}, {"rope_theta": 500_000.0}])
def test_a_wrong_constant_is_seen(change):
    reference, model = build_reference("llama", False), build_ours("llama", False, **change)
    copy_weights(reference, model)
    assert largest_difference(reference, model, 33) > 100 * TOLERANCE


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_names_are_one_to_one_and_complete(kind):
    model = build_ours(kind, False)
    names = names_to_hf(model.config)
    assert names.keys() == dict(model.named_parameters()).keys()
    assert len(set(names.values())) == len(names)
    assert names_from_hf(model.config) == {theirs: ours for ours, theirs in names.items()}


def test_parallel_residuals_have_no_such_layout():
    config = ModelConfig(vocab_size=97, dim=48, n_layers=1, n_heads=6, n_kv_heads=2, max_seq_len=8)
    with pytest.raises(PicochatError, match="parallel"):
        names_to_hf(config)
