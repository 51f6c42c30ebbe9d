"""Parameter names of the Hugging Face Llama and Qwen3 layouts, torch-free. One table, read in both directions."""

from __future__ import annotations

from picochat.core.errors import refuse
from picochat.model.config import ModelConfig

BLOCK_NAMES = {
    "attn_norm.weight": "input_layernorm.weight",
    "attn.q.weight": "self_attn.q_proj.weight",
    "attn.k.weight": "self_attn.k_proj.weight",
    "attn.v.weight": "self_attn.v_proj.weight",
    "attn.o.weight": "self_attn.o_proj.weight",
    "mlp_norm.weight": "post_attention_layernorm.weight",
    "mlp.gate.weight": "mlp.gate_proj.weight",
    "mlp.up.weight": "mlp.up_proj.weight",
    "mlp.down.weight": "mlp.down_proj.weight",
}
QK_NORM_NAMES = {"attn.q_norm.weight": "self_attn.q_norm.weight", "attn.k_norm.weight": "self_attn.k_norm.weight"}


def hf_architecture(config: ModelConfig) -> str:
    """`qwen3` with QK norm, `llama` without. Raises `usage.unavailable` for parallel residuals, which neither has."""
    if config.residual != "sequential":
        refuse(
            "usage.unavailable",
            detail=f'model.residual "{config.residual}" has no Llama or Qwen3 layout: two norms a block, not 1',
            fix='train with --set model.residual="sequential"',
        )
    return "qwen3" if config.qk_norm else "llama"


def names_to_hf(config: ModelConfig) -> dict[str, str]:
    """Every parameter name of a Transformer of `config`, mapped to its Hugging Face name."""
    block = BLOCK_NAMES | (QK_NORM_NAMES if hf_architecture(config) == "qwen3" else {})
    names = {"embed.weight": "model.embed_tokens.weight"}
    for layer in range(config.n_layers):
        names |= {f"blocks.{layer}.{ours}": f"model.layers.{layer}.{theirs}" for ours, theirs in block.items()}
    names["norm.weight"] = "model.norm.weight"
    if not config.tie_embeddings:
        names["head.weight"] = "lm_head.weight"
    return names


def names_from_hf(config: ModelConfig) -> dict[str, str]:
    """The inverse of `names_to_hf`; a tied `lm_head.weight` is not among them."""
    return {theirs: ours for ours, theirs in names_to_hf(config).items()}
