"""Parameters, FLOPs and memory of a shape, torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from picochat.core.errors import PicochatError
from picochat.model.config import ModelConfig

GIB = 2**30


@dataclass(frozen=True)
class ParameterCount:
    """Exact number of parameters by part; `head` is 0 where it is tied to the embedding."""

    embedding: int
    attention: int
    mlp: int
    norms: int
    head: int

    @property
    def total(self) -> int:
        """All parameters."""
        return self.embedding + self.attention + self.mlp + self.norms + self.head

    @property
    def matmul(self) -> int:
        """Parameters that a token is multiplied with: attention, MLP and the LM head, tied or not."""
        return self.attention + self.mlp + self.embedding


def count_parameters(config: ModelConfig) -> ParameterCount:
    """Parameters of `config`, exactly as the built network has them."""
    c = config
    attention = 2 * c.dim * c.n_heads * c.head_dim + 2 * c.dim * c.n_kv_heads * c.head_dim
    block_norms = (1 if c.residual == "parallel" else 2) * c.dim + (2 * c.head_dim if c.qk_norm else 0)
    table = c.vocab_size * c.dim
    return ParameterCount(
        embedding=table,
        attention=c.n_layers * attention,
        mlp=c.n_layers * 3 * c.dim * c.hidden_dim,
        norms=c.n_layers * block_norms + c.dim,
        head=0 if c.tie_embeddings else table,
    )


def block_parameters(config: ModelConfig) -> int:
    """Parameters of one block."""
    parts = count_parameters(config)
    return (parts.attention + parts.mlp + parts.norms - config.dim) // config.n_layers


def flops_per_token(config: ModelConfig, seq_len: int, *, causal: bool = False) -> int:
    """Training FLOPs a token, forward and backward (PaLM, Chowdhery et al. 2022, appendix B).

    The convention counts attention over the full `seq_len`; `causal=True` counts the half that is needed.
    """
    scores = 12 * config.n_layers * config.n_heads * config.head_dim * seq_len
    return 6 * count_parameters(config).matmul + (scores // 2 if causal else scores)


def flops_by_part(config: ModelConfig, seq_len: int) -> dict[str, int]:
    """`flops_per_token` by part: matrices of attention, scores of attention, MLP, and the LM head."""
    parts = count_parameters(config)
    scores = 12 * config.n_layers * config.n_heads * config.head_dim * seq_len
    return {"attention": 6 * parts.attention, "scores": scores, "mlp": 6 * parts.mlp, "head": 6 * parts.embedding}


def recompute_frac(config: ModelConfig, seq_len: int) -> float:
    """What a second forward pass of every block adds to the operations that are executed, the head apart."""
    parts = flops_by_part(config, seq_len)
    return (parts["attention"] + parts["scores"] + parts["mlp"]) / 3 / flops_per_token(config, seq_len)


def static_bytes_ddp(config: ModelConfig, *, fused: bool = True) -> int:
    """Float32 weights, gradients and two AdamW moments of a full replica; `foreach` AdamW holds one copy more."""
    return (16 if fused else 20) * count_parameters(config).total


def static_bytes_fsdp(config: ModelConfig, world_size: int) -> int:
    """A rank's shard of weights, gradients and moments, plus the unsharded blocks and embedding in flight."""
    in_flight = 6 * block_parameters(config) + 2 * config.vocab_size * config.dim
    return 16 * count_parameters(config).total // world_size + in_flight


def logits_bytes(config: ModelConfig, micro_batch_size: int, seq_len: int, chunk_tokens: int | None = None) -> int:
    """Memory of logits and their gradient: of all tokens, or of one chunk of the chunked loss."""
    n_tokens = micro_batch_size * seq_len
    return round(12.8 * min(n_tokens, chunk_tokens or n_tokens) * config.vocab_size)


def peak_bytes(
    config: ModelConfig,
    micro_batch_size: int,
    seq_len: int,
    *,
    checkpoint_blocks: bool,
    chunk_tokens: int | None = None,
    compiled: bool = False,
) -> int:
    """A rule of thumb for the peak of a bf16 training step on one replica with fused AdamW, without allocator slack.

    It is that of published networks whose residual stream is bf16. `model.step_memory` counts this network's own
    tensors, whose stream is float32 under autocast; plans use that.

    With recomputed blocks only their inputs live: the peak is either at the loss (no gradients yet) or in the last
    backward. Without, about 51.5 bytes (eager) or 37 (compiled) are kept a feature, layer and token.
    """
    features = micro_batch_size * seq_len * config.dim
    logits = logits_bytes(config, micro_batch_size, seq_len, chunk_tokens)
    n_parameters = count_parameters(config).total
    if not checkpoint_blocks:
        kept = 37.0 if compiled else 51.5
        return round(16 * n_parameters + kept * config.n_layers * features + logits)
    inputs = 2 * config.n_layers * features
    return max(12 * n_parameters + inputs + logits, 16 * n_parameters + inputs + 45 * features)


def kv_bytes_per_slot(config: ModelConfig, element_bytes: int) -> int:
    """Keys and values of one sequence as long as the context: what each slot of an engine takes."""
    return 2 * config.n_layers * config.n_kv_heads * config.head_dim * config.max_seq_len * element_bytes


def needed_bytes(peak: int) -> int:
    """Device memory to ask for: 8 % of slack for fragmentation, and 1.5 GiB for context and libraries."""
    return round(peak * 1.08 + 1.5 * GIB)


def planned_parameters(config: Mapping[str, Any]) -> int | None:
    """Parameters of the model that a run's configuration describes; None where it describes none."""
    shape = config.get("model")
    try:
        return count_parameters(ModelConfig.from_dict(shape)).total if isinstance(shape, dict) else None
    except (PicochatError, TypeError, OverflowError):
        return None
