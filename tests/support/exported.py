"""Models to export: a tokenizer learned from a few words, and models that tell or run in circles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.chat_run import build_model, build_tokenizer

from picochat.export.gguf_writer import read_gguf_weights, write_gguf
from picochat.export.huggingface import read_hf_weights, write_hf_folder
from picochat.export.parity import gguf_proof, hf_proof
from picochat.export.parity.proof import prove
from picochat.export.parity.report import Subject, to_json
from picochat.export.parity.stand_in import build_stand_in
from picochat.model.transformer import Transformer
from picochat.tokenizer.special import N_SPECIAL

DATA, TOK = build_tokenizer()
PARALLEL, QWEN3, LLAMA = (
    {"residual": "parallel"},
    {"residual": "sequential"},
    {"residual": "sequential", "qk_norm": False},
)


def telling_model(**shape: Any) -> Transformer:
    """A random model whose blocks rule the stream."""
    config = build_model(0, **{"max_seq_len": 128} | shape).config
    model = build_stand_in(config, TOK.vocab_size - N_SPECIAL, TOK.bos)
    assert model is not None
    return model


def circling_model(**shape: Any) -> Transformer:
    """Ordinary random weights: they say one token for ever."""
    return build_model(0, **{"max_seq_len": 128} | shape).eval().requires_grad_(False)


def write_hf(folder: Path, model: Transformer) -> None:
    write_hf_folder(folder, model, TOK, DATA)


def write_f32(folder: Path, model: Transformer) -> None:
    write_gguf(folder / "m.gguf", "f32", model, TOK, DATA, "m")


def prove_hf(model: Transformer, folder: Path, write: Any = write_hf) -> list[Subject]:
    """Writes and proves; `write` may make a mistake."""
    (folder / "a").mkdir()
    write(folder / "a", model)
    return prove(
        model,
        TOK,
        folder / "a",
        folder / "b",
        write,
        lambda place, other: read_hf_weights(place, other.config),
        lambda place: hf_proof.open_transformers(place, TOK),
    )


def prove_gguf(model: Transformer, folder: Path, write: Any = write_f32) -> list[Subject]:
    (folder / "a").mkdir()
    write(folder / "a", model)
    return prove(
        model,
        TOK,
        folder / "a",
        folder / "b",
        write,
        lambda place, other: read_gguf_weights(place / "m.gguf", other.config),
        lambda place: gguf_proof.open_llama(place / "m.gguf", TOK),
    )


def body(subjects: list[Subject]) -> dict[str, Any]:
    return to_json(subjects)
