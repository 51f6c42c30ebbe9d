"""GGUF files for llama.cpp and Ollama: architecture qwen3, pre-tokenizer qwen2, by the package gguf.

The one writer of tensors outside checkpoint/: the package writes its own container.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from picochat.checkpoint.tensors import raw_tensor
from picochat.core.errors import refuse
from picochat.core.extras import require_extra
from picochat.export.names import gguf_names
from picochat.export.tokenizer_files import template_without_bos
from picochat.model.config import ModelConfig
from picochat.model.transformer import Transformer
from picochat.tokenizer.special import N_SPECIAL, RESERVED, SPECIAL_TOKENS
from picochat.tokenizer.tokenizer import Tokenizer

NEED = "GGUF files are written by the package gguf"
F32 = "f32"
TYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16", "q8_0": "Q8_0", "q5_1": "Q5_1", "q4_0": "Q4_0"}
"""Ours -> the name in the package, which is also that of the file type."""
BLOCK = 32
"""Weights that share a scale, in the types that are blocks of a row."""
BLOCKED = ("q8_0", "q5_1", "q4_0")
EXTERNAL = ("q4_k", "q6_k")
"""Prefixes of types that only llama.cpp's own llama-quantize makes."""


def require_gguf() -> Any:
    """The package. Raises `usage.extra`."""
    return require_extra("gguf", NEED, "export")


def require_types(names: tuple[str, ...], config: ModelConfig) -> tuple[str, ...]:
    """The types, in lower case, each once. Raises `export.type` for one that is not written, or not of this shape."""
    found = tuple(dict.fromkeys(name.lower() for name in names))
    for name in found:
        if name.startswith(EXTERNAL):
            refuse(
                "export.type",
                f"{name} is made by llama.cpp's own llama-quantize, which is no part of this program",
                fix="picochat export gguf RUN --type f16, then llama-quantize on its file; or --type q5_1, q4_0",
            )
        if name not in TYPES:
            refuse("export.type", f"{name!r} is none of {', '.join(TYPES)}")
        if name in BLOCKED and (odd := [w for w in _row_widths(config) if w % BLOCK]):
            refuse(
                "export.type",
                f"{name} rounds {BLOCK} weights of a row together, and this model has rows of {odd[0]}",
                fix="picochat export gguf RUN --type f16",
            )
    return found


def _row_widths(config: ModelConfig) -> list[int]:
    """Lengths of the rows of its matrices."""
    return sorted({config.dim, config.hidden_dim, config.n_heads * config.head_dim})


def write_gguf(path: Path, kind: str, model: Transformer, tok: Tokenizer, tokenizer_data: bytes, name: str) -> None:
    """Writes one file. `kind` is one of `TYPES`; norms stay float32. Equal models give equal bytes.

    Raises `usage.extra`.
    """
    gguf = require_gguf()
    writer = gguf.GGUFWriter(None, "qwen3")
    _add_model(writer, model.config, name, gguf.LlamaFileType[_file_type(kind)])
    _add_tokenizer(writer, gguf, tok, json.loads(tokenizer_data))
    names = gguf_names(model.config)
    for ours, weight in model.state_dict().items():
        chosen = kind if weight.dim() > 1 else F32
        packed = pack_weight(weight, chosen)
        writer.add_tensor(names[ours], packed, raw_dtype=gguf.GGMLQuantizationType[TYPES[chosen]])
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _file_type(kind: str) -> str:
    return "ALL_F32" if kind == F32 else f"MOSTLY_{TYPES[kind]}"


def pack_weight(weight: Tensor, kind: str) -> NDArray[Any]:
    """One tensor's values in a type of `TYPES`: floats, or bytes of blocks."""
    gguf = require_gguf()
    values = np.frombuffer(raw_tensor(weight.float()).data, np.float32).reshape(weight.shape)
    return gguf.quants.quantize(values, gguf.GGMLQuantizationType[TYPES[kind]])


def rounded_model(model: Transformer, kind: str) -> Transformer:
    """Our model with the weights that a file of this type holds, in float32."""
    gguf = require_gguf()
    found = Transformer(model.config).eval().requires_grad_(False)
    state = {}
    for name, weight in model.state_dict().items():
        if weight.dim() > 1 and kind != F32:
            values = gguf.quants.dequantize(pack_weight(weight, kind), gguf.GGMLQuantizationType[TYPES[kind]])
            state[name] = torch.from_numpy(np.ascontiguousarray(values, np.float32)).reshape(weight.shape)
        else:
            state[name] = weight
    found.load_state_dict(state)
    return found


def read_gguf_weights(path: Path, config: ModelConfig) -> dict[str, Tensor]:
    """The tensors of a file under our names, in float32. KeyError for a name that is none of ours."""
    gguf = require_gguf()
    ours = {theirs: name for name, theirs in gguf_names(config).items()}
    found = {}
    for tensor in gguf.GGUFReader(path).tensors:
        values = gguf.quants.dequantize(np.array(tensor.data), tensor.tensor_type)
        shape = tuple(int(length) for length in reversed(tensor.shape))
        found[ours[tensor.name]] = torch.from_numpy(np.array(values, np.float32)).reshape(shape)
    return found


def _add_model(writer: Any, config: ModelConfig, name: str, file_type: int) -> None:
    writer.add_name(name)
    writer.add_file_type(file_type)
    writer.add_context_length(config.max_seq_len)
    writer.add_embedding_length(config.dim)
    writer.add_block_count(config.n_layers)
    writer.add_feed_forward_length(config.hidden_dim)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _add_tokenizer(writer: Any, gguf: Any, tok: Tokenizer, document: Mapping[str, Any]) -> None:
    """Byte-level BPE as llama.cpp knows it. BOS is added by the runtime, so the chat template leaves it out."""
    vocabulary = document["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)[: tok.vocab_size - N_SPECIAL] + list(SPECIAL_TOKENS)
    kinds = [gguf.TokenType.NORMAL] * (tok.vocab_size - N_SPECIAL)
    kinds += [gguf.TokenType.UNUSED if name in RESERVED else gguf.TokenType.CONTROL for name in SPECIAL_TOKENS]
    merges = document["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(tok.bos)
    writer.add_eos_token_id(tok.eos)
    writer.add_eot_token_id(tok.end)
    writer.add_pad_token_id(tok.pad)
    writer.add_add_bos_token(True)
    writer.add_chat_template(template_without_bos())
