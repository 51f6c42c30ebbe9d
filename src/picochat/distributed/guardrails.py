"""What each strategy can do: one table, from which refusals and the documentation are made (torch-free).

A cell says supported when a test proves it on CPUs over gloo. Training on GPUs is the same code, and the point of it;
that it was never run there is said in its cell.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from picochat.core.errors import refuse


class Cell(NamedTuple):
    """Whether a strategy has a feature; `why` is the reason of a refusal, or the proof."""

    supported: bool
    why: str


FEATURES: Final = {
    "cpu": "training on CPUs",
    "cuda": "training on GPUs",
    "base": "base pretraining",
    "sft": "fine-tuning",
    "evaluate": "evaluation and benchmarks on all ranks",
    "accumulation": "several micro-batches a step",
    "checkpoint_blocks": "recomputing blocks in the backward",
    "compile": "compiled blocks",
    "muon": "the Muon optimizer",
    "ema": "an average of the weights",
    "samples": "samples while training",
    "elastic": "a resume on another number of ranks",
    "async_save": "saving while training goes on",
}


def _yes(proof: str) -> Cell:
    return Cell(True, proof)


def _no(why: str) -> Cell:
    return Cell(False, why)


NOT_ON_NCCL = "proven on gloo; never run on a GPU"
TABLE: Final[dict[str, dict[str, Cell]]] = {
    "ddp": {
        "cpu": _yes("two gloo ranks equal one process"),
        "cuda": _yes(NOT_ON_NCCL),
        "base": _yes("whole runs on two ranks"),
        "sft": _yes("whole runs on two ranks"),
        "evaluate": _yes("rows equal those of one process"),
        "accumulation": _yes("gradients equal one process"),
        "checkpoint_blocks": _yes("gradients equal one process"),
        "compile": _yes("gradients equal one process"),
        "muon": _yes("whole runs on two ranks"),
        "ema": _yes("replicas are compared before every save"),
        "samples": _yes("written by rank 0"),
        "elastic": _yes("data-exact and loss-close"),
        "async_save": _no("the state would change while it is written; a save takes a few seconds in minutes"),
    },
    "fsdp": {
        "cpu": _no("slices save memory on GPUs; on CPUs they only cost time (tests switch this off)"),
        "cuda": _yes(NOT_ON_NCCL),
        "base": _yes("two gloo ranks equal DDP"),
        "sft": _yes("a whole run on two ranks"),
        "evaluate": _yes("reads the whole weights that the training saved"),
        "accumulation": _yes("gradients equal DDP"),
        "checkpoint_blocks": _yes("gradients equal DDP"),
        "compile": _yes("gradients equal DDP"),
        "muon": _yes("each update is gathered, orthogonalised and cut again; equal to DDP"),
        "ema": _yes("the average is sliced like the weights; equal to DDP"),
        "samples": _yes("all ranks generate together"),
        "elastic": _yes("slices are joined when they are read: one process and replicas go on from them"),
        "async_save": _no("the state would change while it is written; a save takes a few seconds in minutes"),
    },
}


def require_supported(strategy: str, uses: Collection[str], fsdp_on_cpu: bool = False) -> None:
    """Refuses, before any work, what the strategy cannot do. Raises `strategy.refused` with the reason."""
    for name in FEATURES:
        cell = TABLE[strategy][name]
        if name in uses and not cell.supported and not (name == "cpu" and strategy == "fsdp" and fsdp_on_cpu):
            refuse("strategy.refused", f"strategy {strategy} does not support {FEATURES[name]}: {cell.why}")
