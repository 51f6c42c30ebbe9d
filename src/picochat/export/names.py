"""Names of our parameters in the layouts of others, both kinds of residual. One table a layout, read both ways."""

from __future__ import annotations

from picochat.model.config import ModelConfig
from picochat.model.hf_names import BLOCK_NAMES, QK_NORM_NAMES

_GGUF_BLOCK = {
    "attn_norm.weight": "attn_norm.weight",
    "attn.q.weight": "attn_q.weight",
    "attn.k.weight": "attn_k.weight",
    "attn.v.weight": "attn_v.weight",
    "attn.o.weight": "attn_output.weight",
    "attn.q_norm.weight": "attn_q_norm.weight",
    "attn.k_norm.weight": "attn_k_norm.weight",
    "mlp_norm.weight": "ffn_norm.weight",
    "mlp.gate.weight": "ffn_gate.weight",
    "mlp.up.weight": "ffn_up.weight",
    "mlp.down.weight": "ffn_down.weight",
}


def hf_names(config: ModelConfig) -> dict[str, str]:
    """Ours -> Hugging Face. With parallel residuals the one norm is `input_layernorm`; a tied head has no name."""
    block = BLOCK_NAMES | (QK_NORM_NAMES if config.qk_norm else {})
    if config.residual == "parallel":
        shared = BLOCK_NAMES["attn_norm.weight"]
        block = {key: name for key, name in block.items() if key not in ("attn_norm.weight", "mlp_norm.weight")}
        block["norm.weight"] = shared
    return _spread(config, block, "model.layers", ("model.embed_tokens.weight", "model.norm.weight"))


def gguf_names(config: ModelConfig) -> dict[str, str]:
    """Ours -> GGUF, for the one shape that its `qwen3` graph has: sequential, with QK norm, tied."""
    return _spread(config, _GGUF_BLOCK, "blk", ("token_embd.weight", "output_norm.weight"))


def _spread(config: ModelConfig, block: dict[str, str], prefix: str, ends: tuple[str, str]) -> dict[str, str]:
    names = {"embed.weight": ends[0], "norm.weight": ends[1]}
    for layer in range(config.n_layers):
        names |= {f"blocks.{layer}.{ours}": f"{prefix}.{layer}.{theirs}" for ours, theirs in block.items()}
    return names
