"""GGUF files: keys, types, refusals; what rounding does to a weight, against laws and against the package."""

import numpy as np
import pytest
import torch
from tests.support.exported import DATA, QWEN3, TOK, circling_model

from picochat.checkpoint.tensors import weights_digest
from picochat.core.errors import PicochatError
from picochat.export.gguf_writer import (
    TYPES,
    pack_weight,
    read_gguf_weights,
    require_types,
    rounded_model,
    write_gguf,
)
from picochat.export.tokenizer_files import template_without_bos

gguf = pytest.importorskip("gguf")
LEVELS = {"q8_0": 127, "q5_1": 31, "q4_0": 8}
"""Steps between 0 and the largest weight of a block (q5_1: between its smallest and its largest)."""


def field(reader, key):
    found = reader.fields[key]
    return found.contents()


def test_a_file_says_everything_that_llama_cpp_asks(tmp_path):
    model = circling_model(**QWEN3)
    write_gguf(tmp_path / "m", "f32", model, TOK, DATA, "Pico")
    reader, config = gguf.GGUFReader(tmp_path / "m"), model.config
    wanted = {
        "general.architecture": "qwen3",
        "general.name": "Pico",
        "qwen3.context_length": config.max_seq_len,
        "qwen3.embedding_length": config.dim,
        "qwen3.block_count": config.n_layers,
        "qwen3.feed_forward_length": config.hidden_dim,
        "qwen3.attention.head_count": config.n_heads,
        "qwen3.attention.head_count_kv": config.n_kv_heads,
        "qwen3.attention.key_length": config.head_dim,
        "qwen3.attention.value_length": config.head_dim,
        "qwen3.rope.freq_base": config.rope_theta,
        "qwen3.vocab_size": config.vocab_size,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.bos_token_id": TOK.bos,
        "tokenizer.ggml.eos_token_id": TOK.eos,
        "tokenizer.ggml.eot_token_id": TOK.end,
        "tokenizer.chat_template": template_without_bos(),
    }
    assert {key: field(reader, key) for key in wanted} == wanted
    assert field(reader, "qwen3.attention.layer_norm_rms_epsilon") == pytest.approx(config.norm_eps)
    kinds = field(reader, "tokenizer.ggml.token_type")
    assert set(kinds[: TOK.vocab_size - 16]) == {gguf.TokenType.NORMAL} and kinds[TOK.end] == gguf.TokenType.CONTROL
    assert kinds[-8:] == [gguf.TokenType.UNUSED] * 8
    assert all(" " in merge for merge in field(reader, "tokenizer.ggml.merges"))
    assert "output.weight" not in {tensor.name for tensor in reader.tensors}
    assert weights_digest(read_gguf_weights(tmp_path / "m", config)) == weights_digest(model.state_dict())


@pytest.mark.parametrize("kind", TYPES)
def test_norms_stay_float32_and_equal_models_give_equal_bytes(kind, tmp_path):
    model = circling_model(**QWEN3)
    for name in ("a", "b"):
        write_gguf(tmp_path / name, kind, model, TOK, DATA, "Pico")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    found = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(tmp_path / "a").tensors}
    assert {kind for name, kind in found.items() if "norm" in name} == {"F32"}
    assert {kind for name, kind in found.items() if "norm" not in name} == {TYPES[kind]}
    written, rounded = read_gguf_weights(tmp_path / "a", model.config), rounded_model(model, kind).state_dict()
    assert weights_digest(written) == weights_digest(rounded), "what is measured is what the file holds"


def test_two_bytes_are_those_of_torch():
    weight = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    assert np.array_equal(pack_weight(weight, "f16").view(np.uint16), weight.half().numpy().view(np.uint16))
    halved = weight.bfloat16().view(torch.int16).numpy().view(np.uint16)
    assert np.array_equal(pack_weight(weight, "bf16").view(np.uint16).reshape(8, 64), halved)


@pytest.mark.parametrize("kind", LEVELS)
def test_blocks_err_by_half_a_step_at_most(kind):
    weight = torch.randn(64, 96, generator=torch.Generator().manual_seed(1))
    weight[3] = 0.0
    packed = pack_weight(weight, kind)
    found = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType[TYPES[kind]])
    blocks = weight.numpy().reshape(-1, 32)
    span = np.ptp(blocks, axis=1) if kind == "q5_1" else np.abs(blocks).max(1)
    error = np.abs(found.reshape(-1, 32) - blocks).max(1)
    # q4_0 has one level less on the other side of zero; scales are stored in half precision
    steps = 1.0 if kind == "q4_0" else 0.5
    assert np.all(error <= span / LEVELS[kind] * steps * 1.01 + span * 2**-10)
    assert np.all(found[3] == 0.0) and error.max() > 0
    assert packed.nbytes < weight.numel() * 4 / 3


@pytest.mark.parametrize(
    ("name", "words"),
    [("Q4_K_M", "llama-quantize"), ("q6_k", "llama-quantize"), ("int8", "none of f32"), ("", "none of f32")],
)
def test_a_type_that_is_not_written_is_refused_with_the_reason(name, words):
    with pytest.raises(PicochatError) as caught:
        require_types((name,), circling_model(**QWEN3).config)
    assert caught.value.code == "export.type" and words in caught.value.detail


def test_types_are_taken_in_any_case_each_once():
    assert require_types(("Q8_0", "f32", "q8_0"), circling_model(**QWEN3).config) == ("q8_0", "f32")


def test_rows_that_are_no_whole_blocks_are_refused_by_their_length():
    config = circling_model(dim=40, n_heads=2, **QWEN3).config
    with pytest.raises(PicochatError) as caught:
        require_types(("q8_0",), config)
    assert "rows of 40" in caught.value.detail and "--type f16" in caught.value.fix
    assert require_types(("f16",), config) == ("f16",)
