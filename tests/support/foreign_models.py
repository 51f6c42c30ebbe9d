"""Small models and tokenizers in the layout in which others publish them."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from picochat.tokenizer.bpe import byte_of_character

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKERS = ("<think>", "</think>")
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
THINKING = (
    "{% for message in messages %}{% set said = message.content %}"
    "{% if message.role == 'assistant' and '</think>' in said %}"
    "{% set said = said.split('</think>')[-1].lstrip('\n') %}"
    "{% endif %}{{ '<|im_start|>' + message.role + '\n' + said + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
)
N_TOKENS = 256 + 4 + len(SPECIAL) + len(MARKERS)


def tokenizer_document(**changes: Any) -> dict[str, Any]:
    """A byte-level BPE of 256 bytes, 4 merges, 3 special tokens and 2 that are text to the tokenizer."""
    vocab = {character: place for place, character in enumerate(byte_of_character())}
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n")]
    vocab |= {first + second: 256 + place for place, (first, second) in enumerate(merges)}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": 260 + place, "content": name, "special": name in SPECIAL, **plain}
        for place, name in enumerate(SPECIAL + MARKERS)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": vocab,
        "merges": [list(pair) for pair in merges],
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": model,
    } | changes


def tokenizer_config(**changes: Any) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "clean_up_tokenization_spaces": False,
        "chat_template": CHATML,
    } | changes


def model_config(**changes: Any) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": N_TOKENS,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "hidden_act": "silu",
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "eos_token_id": 262,
        "bos_token_id": 261,
    } | changes


def model_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes, written down here and not taken from the code under test."""
    dim, hidden = config["hidden_size"], config["intermediate_size"]
    head = dim // config["num_attention_heads"]
    kv = config["num_key_value_heads"] * head
    shapes = {"model.embed_tokens.weight": (config["vocab_size"], dim), "model.norm.weight": (dim,)}
    for layer in range(config["num_hidden_layers"]):
        block = f"model.layers.{layer}"
        shapes |= {
            f"{block}.input_layernorm.weight": (dim,),
            f"{block}.post_attention_layernorm.weight": (dim,),
            f"{block}.self_attn.q_proj.weight": (dim, dim),
            f"{block}.self_attn.k_proj.weight": (kv, dim),
            f"{block}.self_attn.v_proj.weight": (kv, dim),
            f"{block}.self_attn.o_proj.weight": (dim, dim),
            f"{block}.mlp.gate_proj.weight": (hidden, dim),
            f"{block}.mlp.up_proj.weight": (hidden, dim),
            f"{block}.mlp.down_proj.weight": (dim, hidden),
        }
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = shapes["model.embed_tokens.weight"]
    return shapes


def random_weights(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}


def safetensors_bytes(tensors: dict[str, np.ndarray], dtype: str = "F32", **header_changes: Any) -> bytes:
    """A file as the layout's own description has it, with the metadata that others write."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, array in tensors.items():
        piece = array.tobytes()
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(piece)],
        }
        data += piece
    text = json.dumps(header | header_changes).encode()
    return struct.pack("<Q", len(text)) + text + data


def write_model(folder: Path, config: dict[str, Any] | None = None, **parts: Any) -> Path:
    """A whole folder; `parts` replace a file's content by name with the dot as `_` (tokenizer_config_json=...)."""
    folder.mkdir(parents=True, exist_ok=True)
    config = config or model_config()
    weights = random_weights(model_shapes(config))
    files = {
        "config_json": config,
        "tokenizer_json": tokenizer_document(),
        "tokenizer_config_json": tokenizer_config(),
        "model_safetensors": safetensors_bytes(weights),
    } | parts
    for key, content in files.items():
        if content is None:
            continue
        stem, _, suffix = key.rpartition("_")
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        (folder / f"{stem}.{suffix}").write_bytes(data)
    return folder
