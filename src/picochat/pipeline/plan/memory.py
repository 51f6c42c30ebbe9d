"""The micro-batch and whether to recompute blocks: what is configured where it fits, else the largest that does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from picochat.model.config import ModelConfig
from picochat.model.sizing import GIB, needed_bytes
from picochat.model.step_memory import SHORT_ROW_TOKENS, StepShape, step_memory
from picochat.pipeline.plan.cards import Fleet, cards
from picochat.pipeline.plan.records import Batch, Memory, StrategyChoice
from picochat.training.config import LoopConfig

MORE_RANKS = 1024
"""So many cards at most are looked at when something that fits is sought."""


@dataclass(frozen=True)
class Site:
    """Where a stage trains: the ranks, who holds what, in which precision."""

    model: ModelConfig
    loop: LoopConfig
    fleet: Fleet
    strategy: StrategyChoice
    precision: Literal["bf16", "fp32"]
    compiled: bool

    @property
    def on_cpu(self) -> bool:
        """Whether attention takes the way of processors."""
        return self.fleet.card.device == "cpu"

    def shape(self, micro_batch_size: int, micro_batches: int, checkpoint_blocks: bool) -> StepShape:
        """The step as the arithmetic of memory takes it."""
        loop = self.loop
        short = self.on_cpu and loop.seq_len <= SHORT_ROW_TOKENS
        return StepShape(
            micro_batch_size=micro_batch_size,
            seq_len=loop.seq_len,
            precision=self.precision,
            masked=loop.document_mask or short,
            chunk_tokens=loop.loss_chunk_tokens,
            checkpoint_blocks=checkpoint_blocks,
            compiled=self.compiled,
            gradients_held=micro_batches > 1 or self.strategy == "ddp",
            slices=self.fleet.count if self.strategy == "fsdp" else 1,
            accumulates=micro_batches > 1,
            optimizer=loop.optimizer,
            ema=loop.ema_decay is not None,
            on_cpu=self.on_cpu,
        )

    def batch(self, micro_batch_size: int, micro_batches: int, checkpoint_blocks: bool) -> Batch:
        """A way to cut a step, with what it needs on one rank."""
        found = step_memory(self.model, self.shape(micro_batch_size, micro_batches, checkpoint_blocks))
        needed = needed_bytes(found.total)
        memory = Memory(
            phase=found.phase,
            weights_bytes=found.weights,
            gradients_bytes=found.gradients,
            optimizer_bytes=found.optimizer,
            activations_bytes=found.activations,
            logits_bytes=found.logits,
            work_bytes=found.work,
            peak_bytes=found.total,
            margin_bytes=needed - found.total,
            needed_bytes=needed,
        )
        return Batch(
            micro_batch_size=micro_batch_size,
            grad_accum_steps=micro_batches,
            checkpoint_blocks=checkpoint_blocks,
            memory=memory,
            fits=needed <= self.fleet.rank_bytes,
        )


def choose_batch(site: Site, share: int, micro_batch_size: int) -> tuple[Batch, str, Batch | None]:
    """(what to plan with, why, the widest that fits) for a rank's `share` of the rows of a step.

    `micro_batch_size` divides the share. What is configured is kept where it fits. Otherwise the largest smaller
    micro-batch is taken, first without recomputing blocks. Where nothing fits it is what is configured, and says so.
    """
    loop = site.loop
    asked = site.batch(micro_batch_size, share // micro_batch_size, loop.checkpoint_blocks)
    widest = next(_fitting(site, share, share, (False, True)), None)
    room = f"{site.fleet.rank_bytes / GIB:.1f} GiB"
    need = f"{asked.memory.needed_bytes / GIB:.1f} GiB"
    if asked.fits:
        return asked, f"as configured: needs {need} of {room}", widest
    ways = (True,) if loop.checkpoint_blocks else (False, True)
    chosen = next(_fitting(site, share, micro_batch_size, ways), None)
    if chosen is None:
        return asked, f"nothing fits: as configured it needs {need} of {room}", None
    blocks = "with recomputed blocks" if chosen.checkpoint_blocks else "without recomputing blocks"
    reason = f"micro-batch {micro_batch_size} as configured needs {need} of {room}"
    return chosen, f"{reason}; {chosen.micro_batch_size} {blocks} is the largest that fits", widest


def _fitting(site: Site, share: int, limit: int, ways: tuple[bool, ...]) -> Iterator[Batch]:
    """Those that fit: the first way before the second, large micro-batches before small ones."""
    sizes = [size for size in range(min(limit, share), 0, -1) if share % size == 0]
    for checkpoint_blocks in ways:
        for size in sizes:
            batch = site.batch(size, share // size, checkpoint_blocks)
            if batch.fits:
                yield batch


def find_remedies(site: Site, rows: int) -> list[str]:
    """What would fit at the smallest micro-batch, where nothing does: slices, more cards, a larger card."""
    count, found = site.fleet.count, []
    if site.strategy != "fsdp":
        sliced = [n for n in _counts(count, rows) if _smallest_fits(site, n, "fsdp", rows)]
        if sliced:
            found.append(f"--gpus {sliced[0]}x{site.fleet.card.name} --distributed-strategy fsdp")
    else:
        more = [n for n in _counts(count + 1, rows) if _smallest_fits(site, n, "fsdp", rows)]
        found += [f"--gpus {more[0]}x{site.fleet.card.name}"] if more else []
    larger = sorted((c for c in cards().values() if c.memory_gb), key=lambda c: c.memory_bytes)
    for card in larger:
        other = Site(site.model, site.loop, Fleet(count=count, card=card), site.strategy, site.precision, site.compiled)
        if rows % count == 0 and other.batch(1, rows // count, True).fits:
            found.append(f"--gpus {count}x{card.name} with micro_batch_size = 1 and checkpoint_blocks = true")
            break
    return found


def _counts(least: int, rows: int) -> list[int]:
    """Numbers of cards that can share a step."""
    return [n for n in range(max(2, least), min(MORE_RANKS, rows) + 1) if rows % n == 0]


def _smallest_fits(site: Site, count: int, strategy: StrategyChoice, rows: int) -> bool:
    if site.fleet.card.device == "cpu":
        return False
    fleet = Fleet(count=count, card=site.fleet.card)
    other = Site(site.model, site.loop, fleet, strategy, site.precision, site.compiled)
    return other.batch(1, rows // count, True).fits
