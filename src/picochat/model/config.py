"""Shape of the network, torch-free. Cross-field rules live here and say their cure."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from picochat.core.config import Config
from picochat.core.errors import refuse

Residual = Literal["parallel", "sequential"]


def derive_hidden_dim(dim: int) -> int:
    """Width of the SwiGLU MLP: 8/3 of `dim` (Shazeer 2020, arXiv:2002.05202), rounded to a multiple of 64."""
    return max(64, 64 * round(8 * dim / 3 / 64))


class ModelConfig(Config):
    """A decoder-only Transformer. `head_dim` and `hidden_dim` given as 0 are derived, so a built config never holds 0.

    `residual="sequential"` with `qk_norm` is Qwen3, and without it Llama; `"parallel"` adds attention and MLP of one
    shared norm.
    """

    vocab_size: int = Field(gt=0)
    """Rows of the embedding: the size of the tokenizer."""
    dim: int = Field(gt=0)
    """Width of the residual stream."""
    n_layers: int = Field(gt=0)
    """Number of blocks."""
    n_heads: int = Field(gt=0)
    """Query heads."""
    n_kv_heads: int = Field(gt=0)
    """Key and value heads; each serves n_heads / n_kv_heads query heads."""
    head_dim: int = Field(default=0, gt=0, validate_default=True)
    """Width of a head; 0 derives dim / n_heads."""
    hidden_dim: int = Field(default=0, gt=0, validate_default=True)
    """Width of the MLP; 0 derives 64 * round(8 * dim / 3 / 64)."""
    max_seq_len: int = Field(gt=0)
    """Longest sequence in tokens."""
    rope_theta: float = Field(default=10_000.0, gt=0)
    """Base of the rotary angles."""
    norm_eps: float = Field(default=1e-6, gt=0)
    """Added to the mean square inside every norm."""
    residual: Residual = "parallel"
    """`parallel`: one norm a block; `sequential`: two, as Qwen3 and Llama."""
    qk_norm: bool = True
    """A learned norm of every query and key head before the rotary positions."""
    tie_embeddings: bool = True
    """Whether the LM head is the embedding."""

    @model_validator(mode="before")
    @classmethod
    def derive_widths(cls, values: Any) -> Any:
        """Fill `head_dim` and `hidden_dim` where they are absent or 0."""
        if not isinstance(values, dict):
            return values
        dim, n_heads = values.get("dim"), values.get("n_heads")
        if not isinstance(dim, int) or not isinstance(n_heads, int) or dim <= 0 or n_heads <= 0:
            return values
        derived = dict(values)
        if not derived.get("head_dim"):
            if dim % n_heads:
                refuse(
                    "config.conflict",
                    detail=f"dim {dim} is not a multiple of n_heads {n_heads}, so head_dim cannot be derived",
                    fix="set model.head_dim, or choose model.n_heads that divides model.dim",
                )
            derived["head_dim"] = dim // n_heads
        if not derived.get("hidden_dim"):
            derived["hidden_dim"] = derive_hidden_dim(dim)
        return derived

    @model_validator(mode="after")
    def require_consistent_heads(self) -> ModelConfig:
        """Refuse groups of unequal size and an odd `head_dim`, which has no rotate-half."""
        if self.n_heads % self.n_kv_heads:
            refuse(
                "config.conflict",
                detail=f"n_heads {self.n_heads} is not a multiple of n_kv_heads {self.n_kv_heads}",
                fix=f"set model.n_kv_heads to a divisor of {self.n_heads}",
            )
        if self.head_dim % 2:
            refuse(
                "config.conflict",
                detail=f"head_dim {self.head_dim} is odd, and rotary positions turn pairs of features",
                fix=f"set model.head_dim to {self.head_dim + 1}",
            )
        return self
