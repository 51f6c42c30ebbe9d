"""What a run lays on its disk, at most, and how long a save takes there."""

from __future__ import annotations

import math
from pathlib import Path

from picochat.model.config import ModelConfig
from picochat.model.sizing import count_parameters
from picochat.model.step_memory import optimizer_bytes
from picochat.pipeline.config import RunConfig
from picochat.pipeline.plan.records import Disk, StagePlan
from picochat.training.config import LoopConfig

COPIES = 3
"""For a moment three stand side by side: the new one, the current and the one before."""
BITS_A_BYTE_OF_TEXT = 2.6
"""Of a token's id. English prose took 9 bits for 2.3 bytes, 11 for 3.8 and 13 for 5.0 with vocabularies trained on it,
so a corpus of so many tokens is hardly larger."""
SAVE_BYTES_PER_S = 500e6
"""Written, synced, read back and hashed: 256 MiB took 0.34 to 0.56 s (`benchmarks/save_cost.py`)."""


def checkpoint_bytes(model: ModelConfig, loop: LoopConfig) -> int:
    """Weights, optimizer state and average, all float32; headers and counters are some kilobytes more."""
    n = count_parameters(model).total
    return 4 * n + optimizer_bytes(model, loop.optimizer) + (4 * n if loop.ema_decay is not None else 0)


def plan_disk(config: RunConfig, stages: tuple[StagePlan, ...]) -> Disk:
    """Corpus and shards of one pass over all tokens of base, and the checkpoints of both stages."""
    base = stages[0]
    corpus, where = _corpus_bytes(config, base.tokens)
    width = 2 if config.model.vocab_size <= 2**16 else 4
    shards = 0 if config.base.data_mode == "memory" else width * base.tokens
    loops = {"base": config.base.loop, "sft": config.sft.loop}
    sizes = [checkpoint_bytes(config.model, loops[stage.stage]) for stage in stages]
    kept = sum(size * _kept(loops[stage.stage], stage.steps) for size, stage in zip(sizes, stages, strict=True))
    saves = sum(stage.steps // (loops[stage.stage].save_every or stage.steps) for stage in stages)
    return Disk(
        corpus_bytes=corpus,
        shards_bytes=shards,
        checkpoint_bytes=max(sizes),
        checkpoint_copies=COPIES * len(stages),
        kept_bytes=kept,
        total_bytes=corpus + shards + COPIES * sum(sizes) + kept,
        save_s=max(sizes) / SAVE_BYTES_PER_S,
        saves=saves,
        assumptions=(
            where,
            f"a save writes, syncs and reads back {SAVE_BYTES_PER_S / 1e6:,.0f} MB/s",
        ),
    )


def _corpus_bytes(config: RunConfig, tokens: int) -> tuple[int, str]:
    """Size of a corpus that is given; otherwise what so many different tokens would take."""
    given = config.base.text.corpus
    if given is not None and Path(given).is_file():
        return Path(given).stat().st_size, f"the corpus is {given}"
    each = math.log2(config.model.vocab_size) / BITS_A_BYTE_OF_TEXT
    return round(
        tokens * each
    ), f"no token of the corpus is read twice, and a token is at most {each:.1f} bytes of text"


def _kept(loop: LoopConfig, steps: int) -> int:
    """Checkpoints that stay: every `keep_every` steps, and the best one."""
    return (steps // loop.keep_every if loop.keep_every else 0) + (1 if loop.keep == "best" else 0)
