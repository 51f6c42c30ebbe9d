"""The speed of a training on this machine: some steps of the real loop on made tokens, timed.

    python -m picochat.training.probing     one ProbeRequest in, its speed out (`core.asking`)

The first steps are not counted: they compile, and the allocator learns its sizes. Validation, samples and checkpoints
are no part of it.
"""

from __future__ import annotations

from statistics import median
from typing import Any

from pydantic import Field

from picochat.core.asking import answer
from picochat.core.config import Config
from picochat.model import sizing
from picochat.model.config import ModelConfig
from picochat.training.config import LoopConfig, MachineConfig
from picochat.training.machine import build_machine, choose_compile, compile_blocks
from picochat.training.recipe import resolve_recipe, split_step
from picochat.training.recording import peak_rss_bytes
from picochat.training.rehearsal import Setting, build_rehearsal

WARMUP_STEPS = 3


class ProbeRequest(Config):
    """What is trained, where, and for how many steps that count."""

    model: ModelConfig
    loop: LoopConfig
    machine: MachineConfig
    steps: int = Field(default=20, gt=0)


def measure_speed(request: ProbeRequest) -> dict[str, Any]:
    """Tokens a second of the median step after the warm-up; what the machine chose; seconds of each step.

    The median, because one step that waits for another program would foretell a whole run that does.
    """
    machine, loop = build_machine(request.machine), request.loop
    recipe = resolve_recipe(loop, sizing.count_parameters(request.model).total)
    size, micro_batches = split_step(recipe.tokens_per_step // loop.seq_len, loop.micro_batch_size, 1)
    setting = Setting(machine.world, size, micro_batches, machine.build_strategy(), machine.autocast)
    trainer = build_rehearsal(request.model, loop, setting)
    # As the run itself will choose, from the operations of the whole stage.
    flops = recipe.steps * recipe.tokens_per_step * sizing.flops_per_token(request.model, loop.seq_len)
    compiled, reason = choose_compile(request.machine.compile, machine, flops)
    if compiled:
        compile_blocks(trainer.model)  # pyright: ignore[reportArgumentType]
    for _ in range(WARMUP_STEPS):
        trainer.train_step()
    seconds = [trainer.train_step().duration_s for _ in range(request.steps)]
    return {
        "tokens_per_s": recipe.tokens_per_step / median(seconds),
        "tokens_per_step": recipe.tokens_per_step,
        "step_s": seconds,
        "warmup_steps": WARMUP_STEPS,
        "compile": "block" if compiled else "eager",
        "compile_reason": reason,
        "machine": machine.facts(),
        "peak_rss_bytes": peak_rss_bytes(),
    }


def measure(question: dict[str, Any]) -> dict[str, Any]:
    """The answer to a ProbeRequest in JSON."""
    return measure_speed(ProbeRequest.from_dict(question, "probe request"))


if __name__ == "__main__":
    answer(measure)
