"""The Hugging Face folder, written without transformers.

model.safetensors                        the weights under the names of Llama and Qwen3
config.json, generation_config.json      for transformers 5, and with the keys of 4
tokenizer.json, tokenizer_config.json    with BOS and the chat template
configuration_, modeling_picochat.py     code, for parallel residuals alone
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from picochat.artifacts import layout
from picochat.checkpoint.exported import read_exported, write_exported
from picochat.core.jsonio import pretty_json
from picochat.export.names import hf_names
from picochat.export.targets import hf_class
from picochat.export.tokenizer_files import tokenizer_config, tokenizer_json
from picochat.model.config import ModelConfig
from picochat.model.transformer import Transformer
from picochat.tokenizer.tokenizer import Tokenizer

TEMPLATES = Path(__file__).parent / "templates"
MODEL_TYPES = {"Qwen3ForCausalLM": "qwen3", "LlamaForCausalLM": "llama", "PicochatForCausalLM": "picochat"}
DTYPE = "float32"
_AUTO_MAP = {
    "AutoConfig": f"{Path(layout.HF_CONFIG_CODE).stem}.PicochatConfig",
    "AutoModel": f"{Path(layout.HF_MODEL_CODE).stem}.PicochatModel",
    "AutoModelForCausalLM": f"{Path(layout.HF_MODEL_CODE).stem}.PicochatForCausalLM",
}


def write_hf_folder(folder: Path, model: Transformer, tok: Tokenizer, tokenizer_data: bytes) -> None:
    """Everything but card, proof and record. The configuration must be one that `targets` says hf can load."""
    config = model.config
    names = hf_names(config)
    write_exported(folder / layout.CKPT_WEIGHTS, {names[name]: t for name, t in model.state_dict().items()})
    documents = {
        layout.HF_CONFIG: hf_config(config, tok),
        layout.HF_GENERATION: generation_config(tok),
        layout.HF_TOKENIZER_CONFIG: tokenizer_config(config.max_seq_len),
    }
    for name, document in documents.items():
        (folder / name).write_bytes(pretty_json(document))
    (folder / layout.TOKENIZER).write_bytes(tokenizer_json(tokenizer_data, tok))
    for name in code_files(config):
        (folder / name).write_bytes((TEMPLATES / name).read_bytes())


def code_files(config: ModelConfig) -> tuple[str, ...]:
    """The files of code that the folder needs."""
    return (layout.HF_CONFIG_CODE, layout.HF_MODEL_CODE) if config.residual == "parallel" else ()


def read_hf_weights(folder: Path, config: ModelConfig) -> dict[str, Tensor]:
    """The folder's tensors under our names. Raises `checkpoint.tensors`; KeyError for a name that is none of ours."""
    ours = {theirs: name for name, theirs in hf_names(config).items()}
    return {ours[name]: tensor for name, tensor in read_exported(folder / layout.CKPT_WEIGHTS).items()}


def hf_config(config: ModelConfig, tok: Tokenizer) -> dict[str, Any]:
    """config.json with the keys of both generations of transformers (`torch_dtype` and `dtype`, both forms of RoPE)."""
    kind = hf_class(config)
    own: Mapping[str, Any] = {"auto_map": _AUTO_MAP} if kind == "PicochatForCausalLM" else {}
    return {
        "architectures": [kind],
        "model_type": MODEL_TYPES[kind],
        **own,
        "vocab_size": config.vocab_size,
        "hidden_size": config.dim,
        "intermediate_size": config.hidden_dim,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": config.max_seq_len,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "use_sliding_window": False,
        "tie_word_embeddings": config.tie_embeddings,
        "use_cache": True,
        "bos_token_id": tok.bos,
        "eos_token_id": tok.eos,
        "pad_token_id": tok.pad,
        "dtype": DTYPE,
        "torch_dtype": DTYPE,
    }


def generation_config(tok: Tokenizer) -> dict[str, Any]:
    """generation_config.json: an answer ends with a document or with a turn."""
    return {"bos_token_id": tok.bos, "eos_token_id": [tok.eos, tok.end], "pad_token_id": tok.pad}
