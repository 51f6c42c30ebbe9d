"""config.json of a Llama-, Qwen3- or Mistral-shaped model, read as a ModelConfig or refused by name; torch-free.

Three kinds of keys: those that describe the network are read; those that would change it must say that they do not;
all others have no effect on the classes of transformers either, and are listed as ignored.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, NoReturn

from picochat.core.errors import PicochatError, refuse
from picochat.model.config import ModelConfig

ARCHITECTURES = {"LlamaForCausalLM": "llama", "Qwen3ForCausalLM": "qwen3", "MistralForCausalLM": "mistral"}
DEFAULT_THETA = 10_000.0
"""What the three classes take where config.json says nothing."""

_LIMITS = {
    "vocab_size": 4_194_304,
    "hidden_size": 65_536,
    "num_hidden_layers": 1_024,
    "num_attention_heads": 1_024,
    "num_key_value_heads": 1_024,
    "head_dim": 1_024,
    "intermediate_size": 1_048_576,
    "max_position_embeddings": 1 << 28,
}
"""Largest value of each key: every number is bounded before anything is allocated."""
_NONE, _OFF, _ONE = (None,), (None, False), (None, 1)
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", "swish"),
    "hidden_activation": (None, "silu", "swish"),
    **dict.fromkeys(("attention_bias", "mlp_bias", "qkv_bias", "use_bias", "bias", "lm_head_bias"), _OFF),
    **dict.fromkeys(("use_sliding_window", "use_qk_norm", "qk_layernorm", "alibi", "use_parallel_residual"), _OFF),
    **dict.fromkeys(("is_encoder_decoder", "add_cross_attention", "rope_interleaved", "attn_output_gate"), _OFF),
    **dict.fromkeys(("quantization_config", "compression_config", "auto_map", "clip_qkv"), _NONE),
    **dict.fromkeys(("no_rope_layers", "attention_chunk_size", "kv_lora_rank", "q_lora_rank"), _NONE),
    **dict.fromkeys(("attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar"), _NONE),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "num_experts_per_tok"), (None, 0)),
    **dict.fromkeys(("logit_scale", "logits_scaling", "embedding_multiplier", "residual_multiplier"), _ONE),
    **dict.fromkeys(("attention_multiplier", "partial_rotary_factor", "rotary_pct", "scale_depth"), _ONE),
    "pruned_heads": (None, {}),
}
"""Keys that change the network elsewhere, with the values that change nothing."""
_READ = frozenset(_LIMITS) | {
    "architectures",
    "model_type",
    "rms_norm_eps",
    "tie_word_embeddings",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "sliding_window",
    "layer_types",
    "bos_token_id",
    "eos_token_id",
}
_NO_PART_OF_THE_NETWORK = {
    "_name_or_path",
    "transformers_version",
    "torch_dtype",
    "dtype",
    "use_cache",
    "initializer_range",
    "attention_dropout",
    "pretraining_tp",
    "pad_token_id",
    "unk_token_id",
    "max_window_layers",
}
_ROPE_KEYS = {"rope_theta", "rope_type", "type", "partial_rotary_factor"}
_ROTARY_TABLE = re.compile(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq")


class HfModel(NamedTuple):
    """A foreign model's shape in our words."""

    config: ModelConfig
    architecture: str
    trained_context: int
    """max_position_embeddings; `config.max_seq_len` may be less."""
    ignored: tuple[str, ...]
    """Keys that were not looked at."""


def config_from_hf(document: dict[str, Any], what: str, max_seq_len: int) -> HfModel:
    """The model that config.json describes, its context no longer than `max_seq_len` tokens.

    Raises `foreign.unsupported` for what is not computed here, `foreign.config` for what is missing or no number.
    """
    kind = _architecture(document, what)
    _require_neutral(document, what)
    _require_full_attention(document, kind, what)
    dim, heads = _count(document, "hidden_size", what), _count(document, "num_attention_heads", what)
    context = _count(document, "max_position_embeddings", what)
    values = {
        "vocab_size": _count(document, "vocab_size", what),
        "dim": dim,
        "n_layers": _count(document, "num_hidden_layers", what),
        "n_heads": heads,
        "n_kv_heads": _count(document, "num_key_value_heads", what, heads if kind == "llama" else None),
        "head_dim": _count(document, "head_dim", what, _head_dim(kind, dim, heads, document, what)),
        "hidden_dim": _count(document, "intermediate_size", what),
        "max_seq_len": min(context, max_seq_len),
        "rope_theta": _rope_theta(document, what),
        "norm_eps": _positive(document, "rms_norm_eps", what),
        "residual": "sequential",
        "qk_norm": kind == "qwen3",
        "tie_embeddings": _flag(document, "tie_word_embeddings", what),
    }
    known = _READ | _NEUTRAL.keys() | _NO_PART_OF_THE_NETWORK
    ignored = tuple(sorted(document.keys() - known))
    try:
        config = ModelConfig.from_dict(values, what)
    except PicochatError as err:  # its cures are settings of a training
        refuse("foreign.config", f"{what}: {err.detail}")
    return HfModel(config, document["architectures"][0], context, ignored)


def is_rotary_table(name: str) -> bool:
    """Whether a tensor is a table of rotary frequencies, which old files hold and the model computes."""
    return _ROTARY_TABLE.fullmatch(name) is not None


def _architecture(document: dict[str, Any], what: str) -> str:
    named = document.get("architectures")
    if not isinstance(named, list) or len(named) != 1 or not isinstance(named[0], str):
        refuse("foreign.config", f"{what}: architectures is {_short(named)}, not a list with one name")
    if (kind := ARCHITECTURES.get(named[0])) is None:
        refuse("foreign.unsupported", f"{what}: {named[0][:80]} is none of {', '.join(ARCHITECTURES)}")
    if document.get("model_type", kind) != kind:
        refuse("foreign.config", f"{what}: model_type {_short(document['model_type'])} beside {named[0]}")
    return kind


def _require_neutral(document: dict[str, Any], what: str) -> None:
    for key, neutral in _NEUTRAL.items():
        if key in document and not any(document[key] == value for value in neutral):
            _unsupported(what, key, document[key])
    if "hidden_act" not in document and "hidden_activation" not in document:
        refuse("foreign.config", f"{what} says no hidden_act")


def _require_full_attention(document: dict[str, Any], kind: str, what: str) -> None:
    """Every layer sees the whole context. Mistral's class has a window of 4,096 where config.json says nothing."""
    types = document.get("layer_types")
    if types is not None and (not isinstance(types, list) or set(map(str, types)) - {"full_attention"}):
        _unsupported(what, "layer_types", types)
    if kind == "mistral" and "sliding_window" not in document:
        refuse("foreign.unsupported", f"{what} does not say sliding_window, and Mistral's default is a window of 4,096")
    off = kind == "qwen3" or document.get("use_sliding_window") is False
    if document.get("sliding_window") is not None and not off:
        _unsupported(what, "sliding_window", document["sliding_window"])


def _head_dim(kind: str, dim: int, heads: int, document: dict[str, Any], what: str) -> int | None:
    """What the class takes where head_dim is not said; Qwen3's own default is a number that says nothing of this
    model."""
    if kind == "qwen3" or document.get("head_dim") is not None:
        return None
    if dim % heads:
        refuse("foreign.config", f"{what}: hidden_size {dim} is not a multiple of num_attention_heads {heads}")
    return dim // heads


def _rope_theta(document: dict[str, Any], what: str) -> float:
    """The base of the angles, in either generation of keys. Raises `foreign.unsupported` for scaled positions."""
    found = {}
    if document.get("rope_theta") is not None:
        found["rope_theta"] = _positive(document, "rope_theta", what)
    for key in ("rope_parameters", "rope_scaling"):
        rope = document.get(key)
        if rope is None:
            continue
        plain = isinstance(rope, dict) and not rope.keys() - _ROPE_KEYS
        if not plain or any(rope.get(name, "default") != "default" for name in ("rope_type", "type")):
            _unsupported(what, key, rope)
        if rope.get("partial_rotary_factor", 1) not in (None, 1):
            _unsupported(what, f"{key}.partial_rotary_factor", rope["partial_rotary_factor"])
        if rope.get("rope_theta") is not None:
            found[f"{key}.rope_theta"] = _positive(rope, "rope_theta", what)
    if len(set(found.values())) > 1:
        refuse("foreign.config", f"{what}: {' and '.join(f'{key} {value:g}' for key, value in found.items())}")
    return next(iter(found.values()), DEFAULT_THETA)


def _count(document: dict[str, Any], key: str, what: str, default: int | None = None) -> int:
    value = document.get(key)
    value = default if value is None else value
    if type(value) is not int or not 1 <= value <= _LIMITS[key]:
        refuse("foreign.config", f"{what}: {key} is {_short(value)}, not a number from 1 to {_LIMITS[key]:,}")
    return value


def _positive(document: dict[str, Any], key: str, what: str) -> float:
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
        refuse("foreign.config", f"{what}: {key} is {_short(value)}, not a positive number")
    return float(value)


def _flag(document: dict[str, Any], key: str, what: str) -> bool:
    value = document.get(key, False)
    if type(value) is not bool:
        refuse("foreign.config", f"{what}: {key} is {_short(value)}, not true or false")
    return value


def _unsupported(what: str, key: str, value: Any) -> NoReturn:
    refuse("foreign.unsupported", f"{what}: {key} is {_short(value)}, which is not computed here")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
