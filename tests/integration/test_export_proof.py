"""The proof itself: it passes what is right, notices what is wrong, and is void where nothing can be noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.exported import (
    LLAMA,
    PARALLEL,
    QWEN3,
    TOK,
    body,
    circling_model,
    prove_gguf,
    prove_hf,
    telling_model,
    write_f32,
    write_hf,
)

from picochat.artifacts import layout
from picochat.export.parity import gguf_proof, hf_proof
from picochat.export.parity.compare import Top, compare_logits, compare_tops
from picochat.export.parity.controls import build_controls
from picochat.export.parity.paths import PROMPTS, TOKENS, path_logits, walk
from picochat.export.parity.proof import in_bfloat16
from picochat.export.parity.with_llama import LlamaError, LlamaPeer
from picochat.export.parity.with_transformers import load_peer, peer_logits
from picochat.judgement.export_parity import judge_parity
from picochat.model.transformer import Transformer

HAS_TRANSFORMERS = hf_proof.is_installed()
HAS_LLAMA = gguf_proof.is_installed()
needs_transformers = pytest.mark.skipif(not HAS_TRANSFORMERS, reason="NOT RUN: transformers is not installed")
needs_llama = pytest.mark.skipif(not HAS_LLAMA, reason="NOT RUN: xllamacpp is not installed")


@needs_transformers
@pytest.mark.parametrize("shape", [PARALLEL, QWEN3, LLAMA], ids=["parallel", "qwen3", "llama"])
def test_transformers_gives_our_logits_to_the_bit(shape: dict[str, Any], tmp_path: Path) -> None:
    (subject,) = prove_hf(telling_model(**shape), tmp_path)
    assert subject.tells and subject.distinct_tokens >= 38 and subject.steps == 40 and subject.digest_equal
    assert [(found.state, found.largest) for found in subject.comparisons] == [("passed", 0.0)] * 3
    assert subject.comparisons[0].tokens == PROMPTS * TOKENS == subject.comparisons[0].equal_tokens
    controls = {control.name: control for control in subject.controls}
    assert len(controls) == (3 if shape == LLAMA else 4) and all(found.seen for found in controls.values())
    result = judge_parity("hf", body([subject]))
    assert (result.verdict, result.measured, result.threshold) == ("pass", 0.0, 1e-5)


@needs_llama
def test_llama_cpp_gives_our_tokens_and_log_probabilities(tmp_path: Path) -> None:
    (subject,) = prove_gguf(telling_model(**QWEN3), tmp_path)
    assert subject.tells and subject.digest_equal and len(subject.controls) == 4
    logits, tokens = subject.comparisons
    assert logits.state == "passed" and logits.equal_tokens == logits.tokens == PROMPTS * TOKENS
    assert logits.largest is not None and logits.largest < 1e-3
    assert tokens.state == "passed" and tokens.equal_tokens == tokens.tokens and (tokens.tokens or 0) > 50
    assert judge_parity("gguf", body([subject])).verdict == "pass"


def changed(model: Transformer, mistake: str) -> Transformer:
    return dict(build_controls(model))[mistake]


MISTAKES = ["rope_rows_permuted", "qk_norm_one", "gate_up_swapped"]


@needs_transformers
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_folder_with_a_mistake_in_its_tensors_is_blocked(mistake: str, tmp_path: Path) -> None:
    found = prove_hf(telling_model(**QWEN3), tmp_path, lambda place, model: write_hf(place, changed(model, mistake)))
    assert found[0].comparisons[0].state == "failed" and found[0].digest_equal is False
    assert judge_parity("hf", body(found)).verdict == "block"


@needs_llama
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_file_with_a_mistake_in_its_tensors_is_blocked(mistake: str, tmp_path: Path) -> None:
    found = prove_gguf(telling_model(**QWEN3), tmp_path, lambda place, model: write_f32(place, changed(model, mistake)))
    assert found[0].comparisons[0].state == "failed" and found[0].digest_equal is False
    assert judge_parity("gguf", body(found)).verdict == "block"


@needs_transformers
@pytest.mark.parametrize(
    "wrong",
    [
        {"rope_theta": 500.0, "rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
        {"rms_norm_eps": 0.1},
        {"num_key_value_heads": 2},
        {"model_type": "nonsense"},
        {"tie_word_embeddings": False},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_right_tensors_under_a_wrong_configuration_are_blocked(wrong: dict[str, Any], tmp_path: Path) -> None:
    def write(place: Path, model: Transformer) -> None:
        write_hf(place, model)
        path = place / layout.HF_CONFIG
        path.write_text(json.dumps(json.loads(path.read_text()) | wrong))

    found = prove_hf(telling_model(**QWEN3), tmp_path, write)
    result = judge_parity("hf", body(found))
    assert found[0].digest_equal is True and found[0].comparisons[0].state == "failed"
    assert result.verdict == "block" and "transformers.float32" in str(result.measured)


@needs_transformers
def test_custom_code_of_the_other_residual_is_blocked(tmp_path: Path) -> None:
    """The folder of a parallel model whose code adds attention first: it loads, and answers wrongly."""

    def write(place: Path, model: Transformer) -> None:
        write_hf(place, model)
        path = place / layout.HF_MODEL_CODE
        right = "return hidden_states + attended + self.mlp(normed)"
        text = path.read_text()
        assert right in text
        path.write_text(text.replace(right, "return hidden_states + attended + self.mlp(normed + attended)"))

    found = prove_hf(telling_model(**PARALLEL), tmp_path, write)
    assert found[0].comparisons[0].state == "failed" and found[0].digest_equal is True


@needs_transformers
def test_a_tokenizer_that_forgets_bos_is_blocked(tmp_path: Path) -> None:
    def write(place: Path, model: Transformer) -> None:
        write_hf(place, model)
        path = place / layout.TOKENIZER
        path.write_text(json.dumps(json.loads(path.read_text()) | {"post_processor": None}))

    found = prove_hf(telling_model(**QWEN3), tmp_path, write)
    tokens = found[0].comparisons[2]
    assert (tokens.name, tokens.state) == ("transformers.tokens", "failed") and tokens.reason
    assert judge_parity("hf", body(found)).verdict == "block"


@needs_transformers
def test_weights_that_run_in_circles_get_a_stand_in(tmp_path: Path) -> None:
    weights, stand_in = prove_hf(circling_model(**QWEN3), tmp_path)
    assert weights.comparisons[0].state == "passed" and not weights.tells
    unseen = [control.name for control in weights.controls if not control.seen]
    assert unseen == ["qk_norm_one"], "the gains of fresh weights are one already"
    assert (stand_in.name, stand_in.tells) == ("stand_in", True)
    assert judge_parity("hf", body([weights, stand_in])).verdict == "pass"
    void = judge_parity("hf", body([weights]))
    assert void.verdict == "block" and str(void.measured).startswith("void: ") and "qk_norm_one" in str(void.measured)


@needs_llama
@pytest.mark.parametrize("damage", ["empty", "cut", "nonsense"])
def test_a_file_that_llama_cpp_cannot_load_is_an_error_and_no_crash(damage: str, tmp_path: Path) -> None:
    write_f32(tmp_path, circling_model(**QWEN3))
    path = tmp_path / "m.gguf"
    data = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "nonsense": b"x" * 4096}[damage])
    with pytest.raises(LlamaError):
        LlamaPeer(path, 1, 64)


@needs_transformers
@pytest.mark.parametrize("shape", [PARALLEL, QWEN3], ids=["parallel", "qwen3"])
def test_bfloat16_by_dtype_is_exact_and_the_tables_of_rope_stay_float32(shape: dict[str, Any], tmp_path: Path) -> None:
    model = telling_model(**shape)
    write_hf(tmp_path, model)
    halved = in_bfloat16(model)
    assert halved.cos_Sh.dtype == halved.sin_Sh.dtype == torch.float32
    assert {weight.dtype for weight in halved.parameters()} == {torch.bfloat16}
    paths = walk(model, TOK.vocab_size - 16, TOK.bos)
    ours = [path_logits(halved, path) for path in paths]
    found = compare_logits(ours, peer_logits(load_peer(tmp_path, torch.bfloat16), paths), 0.0)
    assert found.largest == 0.0 and found.equal_tokens == found.tokens
    coarse = in_bfloat16(model)
    coarse.cos_Sh, coarse.sin_Sh = (wrong_tables(model, name) for name in ("cos", "sin"))
    wrong = compare_logits([path_logits(coarse, path) for path in paths], ours, 0.0)
    assert wrong.largest > 0.1, "angles from bfloat16 frequencies are another model"


def wrong_tables(model: Transformer, name: str) -> torch.Tensor:
    """Tables made of frequencies that were rounded to bfloat16, as `model.bfloat16()` of a library leaves them."""
    config = model.config
    exponent = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    frequencies = (1.0 / config.rope_theta**exponent).bfloat16().float()
    angles = torch.outer(torch.arange(config.max_seq_len, dtype=torch.float32), frequencies)
    return getattr(torch.cat((angles, angles), -1), name)()


def test_nothing_that_is_not_a_number_passes() -> None:
    ours = [torch.zeros(2, 20)]
    assert not compare_logits(ours, [torch.full((2, 20), float("nan"))], 1e9).within(1e9)
    ids = torch.arange(10).repeat(2, 1)
    top = Top(ids, torch.full((2, 10), float("nan"), dtype=torch.float64))
    assert not compare_tops(ours, [top], 1e9).within(1e9)


def test_a_tie_within_the_bound_is_no_other_token() -> None:
    ours = torch.zeros(1, 20)
    ours[0, 3], ours[0, 7] = 1.0, 1.0 - 1e-6
    theirs = ours.clone()
    theirs[0, 7] = 1.0 + 1e-6
    found = compare_logits([ours], [theirs], 1e-5)
    assert (found.equal_tokens, found.astray) == (0, 0) and found.within(1e-5)
    far = compare_logits([ours], [theirs], 1e-7)
    assert far.astray == 1 and not far.within(1e-7)
