"""Peak memory of one training step of this network, part by part and phase by phase, torch-free.

    StepShape      what a step is: batch, precision, who holds what
    step_memory    the phase in which most is alive, and what it is made of

Every term names tensors that autograd keeps for the backward of `model.layers`, `model.attention` and `model.losses`,
or that live beside them. Workspaces inside kernels and an allocator's slack are not tensors and not counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from picochat.model.config import ModelConfig
from picochat.model.sizing import block_parameters, count_parameters

Phase = Literal["loss", "first backward", "last backward", "embedding", "optimizer"]
SHORT_ROW_TOKENS = 128
"""Rows of at most so many tokens are attended by plain matrix products when they carry a mask."""
QUERY_BLOCK_TOKENS = 128
"""Queries that the attention of a CPU differentiates at once."""
MUON_COPIES = 6.5
"""Copies of its largest stack of equal matrices that Muon's iteration holds beside the state: four of the stack itself,
two products, and Gram matrices."""


@dataclass(frozen=True)
class StepShape:
    """One micro-batch of `micro_batch_size` rows of `seq_len` tokens, and what surrounds it."""

    micro_batch_size: int
    seq_len: int
    precision: Literal["bf16", "fp32"] = "bf16"
    masked: bool = False
    """Attention takes a mask of documents (or, on a CPU, rows of at most 128 tokens)."""
    chunk_tokens: int = 1024
    checkpoint_blocks: bool = False
    compiled: bool = False
    gradients_held: bool = False
    """Gradients stand during the forward: a later micro-batch of a step, or the buckets of DDP."""
    slices: int = 1
    """Ranks among which FSDP cuts weights, gradients and moments; 1 holds everything."""
    accumulates: bool = False
    """Several micro-batches a step: under FSDP whole float32 gradients wait for the last one."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    ema: bool = False
    on_cpu: bool = False
    """Attention is differentiated in blocks of queries, not by one kernel."""

    @property
    def tokens(self) -> int:
        """Tokens of the micro-batch."""
        return self.micro_batch_size * self.seq_len

    @property
    def compute_bytes(self) -> int:
        """A value in the dtype of matrix products."""
        return 2 if self.precision == "bf16" else 4

    @property
    def low_weights(self) -> bool:
        """FSDP gathers weights in bf16; autocast alone casts them where they are used."""
        return self.slices > 1 and self.precision == "bf16"

    @property
    def autocast(self) -> bool:
        """Float32 weights and residual stream, bf16 products."""
        return self.precision == "bf16" and not self.low_weights

    @property
    def stream_bytes(self) -> int:
        """A value of the residual stream: the dtype of the embedding, which autocast leaves alone."""
        return 2 if self.low_weights else 4


class StepMemory(NamedTuple):
    """Bytes on one rank at the peak. `phase` is where it is."""

    phase: Phase
    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    work: int
    """Casts of weights, gathered blocks, gradients of activations and other short-lived tensors."""

    @property
    def total(self) -> int:
        """The peak."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.logits + self.work


def kept_bytes(config: ModelConfig, shape: StepShape) -> int:
    """Bytes that one block keeps a token for its backward: norms, inputs of products, attention, MLP."""
    c, low, stream = config, shape.compute_bytes, shape.stream_bytes
    heads, kv_heads = c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim
    norms = 1 if c.residual == "parallel" else 2
    kept = norms * 4 * c.dim
    if not shape.autocast:
        kept += norms * stream * c.dim
    else:  # five products read a norm; eager autocast casts it for each, one compiled graph once a norm
        kept += (norms if shape.compiled else 5) * low * c.dim
    kept += 4 * (heads + kv_heads) if c.qk_norm else 0
    if shape.masked and shape.seq_len <= SHORT_ROW_TOKENS:
        probabilities = (4 + (2 if low == 2 else 0)) * c.n_heads * shape.seq_len
        kept += low * (2 * heads + 2 * kv_heads) + probabilities
    else:
        kept += low * (2 * heads + 2 * kv_heads) + 4 * c.n_heads
    return kept + 4 * low * c.hidden_dim


def backward_bytes(config: ModelConfig, shape: StepShape) -> int:
    """Bytes that the backward of a block adds, at the most, to what the block keeps.

    In the MLP three gradients of width `hidden_dim` stand side by side (one takes the place of what was kept), beside
    the gradient of `down`. On a CPU whole rows are differentiated in blocks of queries, whose float32 weights and
    slopes may be more (`model.attention_cpu`), while less of the block is left.
    """
    low, c = shape.compute_bytes, config
    product = c.dim * c.hidden_dim * (4 + (low if low == 2 else 0))
    mlp = (shape.stream_bytes * c.dim + 2 * low * c.hidden_dim) * shape.tokens + product
    if not shape.on_cpu or shape.masked:
        return mlp
    heads, kv_heads = c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim
    gone = 4 * low * c.hidden_dim + (2 * low * c.dim if shape.autocast and not shape.compiled else 0)
    flowing = (shape.stream_bytes + 4) * c.dim + low * (3 * heads + 5 * kv_heads) + 4 * c.n_heads
    weights = 12 * min(QUERY_BLOCK_TOKENS, shape.seq_len) * c.n_heads
    return max(mlp, (flowing + weights - gone) * shape.tokens)


def step_memory(config: ModelConfig, shape: StepShape) -> StepMemory:
    """The phase of a step with the most bytes alive, once the optimizer has its state."""
    return max(_phases(config, shape), key=lambda phase: phase.total)


@dataclass(frozen=True)
class _Parts:
    """What stands on a rank whatever the phase, and what one block adds to it; bytes."""

    weights: int
    optimizer: int
    gradients: int
    """All of them, at the end of a backward."""
    held: int
    """Those that stand during a forward."""
    block_gradients: int
    cast: int
    """Casts of one block's matrices under autocast."""
    gathered_head: int
    in_flight: int
    """FSDP, in a backward: a gathered block and the next one, and the float32 gradients of a third on their way."""
    head_gradient: int


def _parts(config: ModelConfig, shape: StepShape) -> _Parts:
    n, block, table = count_parameters(config).total, block_parameters(config), config.vocab_size * config.dim
    sliced, weight = shape.slices > 1, 2 if shape.low_weights else 4
    own = 4 * n // shape.slices
    whole = 4 * n if sliced and shape.accumulates else 0
    return _Parts(
        weights=own,
        optimizer=optimizer_bytes(config, shape.optimizer) // shape.slices + (own if shape.ema else 0),
        gradients=own + whole,
        held=whole if sliced else own if shape.gradients_held else 0,
        block_gradients=0 if sliced else 4 * block,
        cast=2 * block if shape.autocast else 0,
        gathered_head=weight * table if sliced else 0,
        in_flight=(2 * weight + 4) * block if sliced else 0,
        head_gradient=weight * table,
    )


def _phases(config: ModelConfig, shape: StepShape) -> Iterable[StepMemory]:
    """Where the peak can be: the loss, the block that is differentiated first or last, the embedding, the update."""
    p, layers, tokens = _parts(config, shape), config.n_layers, shape.tokens
    stream, kept = shape.stream_bytes * config.dim * tokens, kept_bytes(config, shape) * tokens
    again, inputs = (kept, stream) if shape.checkpoint_blocks else (0, kept)
    mask = mask_bytes(shape)
    flowing = backward_bytes(config, shape) + p.gathered_head + p.in_flight
    casts = (1 if shape.checkpoint_blocks else layers) * p.cast

    def phase(name: Phase, gradients: int, activations: int, logits: int, work: int) -> StepMemory:
        return StepMemory(name, p.weights, gradients, p.optimizer, activations, logits, work)

    hidden = (4 + 2 * shape.stream_bytes) * config.dim * tokens
    in_loss = layers * p.cast + p.gathered_head
    yield phase("loss", p.held, layers * inputs + mask + hidden, logits_bytes(config, shape), in_loss)
    yield phase("first backward", p.held, layers * inputs + mask + again, p.head_gradient, casts + flowing)
    # The gradient of a tied head waits until the embedding's is there.
    waiting = p.head_gradient if p.held else 0
    grown = max(p.held, p.gradients - p.block_gradients)
    yield phase("last backward", grown, inputs + mask + again, waiting, p.cast + flowing)
    yield phase("embedding", p.gradients, 0, 2 * p.head_gradient, p.gathered_head)
    stack = 2 * layers * config.dim * config.hidden_dim if shape.optimizer == "muon" else 0
    yield phase("optimizer", p.gradients, 0, 0, round(MUON_COPIES * 4 * stack))


def mask_bytes(shape: StepShape) -> int:
    """The additive mask of a micro-batch, float32, and the copy that a fused kernel takes under autocast."""
    copy = 2 if shape.precision == "bf16" and shape.seq_len > SHORT_ROW_TOKENS else 0
    return (4 + copy) * shape.tokens * shape.seq_len if shape.masked else 0


def optimizer_bytes(config: ModelConfig, optimizer: str) -> int:
    """State of the whole model: two float32 moments a parameter; of a block's matrix under Muon one momentum."""
    parts = count_parameters(config)
    return 8 * parts.total - (4 * (parts.attention + parts.mlp) if optimizer == "muon" else 0)


def logits_bytes(config: ModelConfig, shape: StepShape) -> int:
    """The head in the loss: its cast and gradient, and one chunk of logits with what the next one adds to it."""
    table, low = config.vocab_size * config.dim, shape.compute_bytes
    weight = 2 if shape.low_weights else 4
    chunk = min(shape.chunk_tokens, shape.tokens) * config.vocab_size
    # bf16: logits, their float32 copy, log-probabilities, the gradient's cast; of the chunk before, the last two.
    later = shape.tokens > shape.chunk_tokens
    alive = (16 if later else 10) if low == 2 else (12 if later else 8)
    product = 8 * chunk + low * table
    return (2 * table if shape.autocast else 0) + weight * table + max(alive * chunk, product)
