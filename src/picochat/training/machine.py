"""The machine that a stage trains on: device, precision, threads, and whether compiling pays."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from picochat.core.errors import refuse
from picochat.distributed.env import cxx_compiler
from picochat.distributed.fsdp import Fsdp
from picochat.distributed.guardrails import require_supported
from picochat.distributed.probe import autocast_dtype, choose_device, choose_precision, keep_freed_pages, set_threads
from picochat.distributed.process_group import open_world
from picochat.distributed.ranks import Ranks, SoloRanks
from picochat.distributed.strategy import Ddp, Single, Strategy
from picochat.distributed.world import World
from picochat.model.transformer import Transformer
from picochat.training.config import MachineConfig

COMPILE_COST_S = 30.0
COMPILE_SAVING_FRAC = {"fp32": 0.15, "bf16": 0.25}
"""A cold regional compilation on two CPU cores, and the share of an eager step that it saves."""
EAGER_FLOPS_PER_S = {"cpu": {"fp32": 4e10, "bf16": 1.2e11}, "cuda": {"fp32": 2e13, "bf16": 1e14}}
"""What small models reach eagerly, a core or a GPU: an order of magnitude, so that `auto` need not measure."""


@dataclass(frozen=True)
class Machine:
    """Resolved: what `auto` became, and why."""

    world: World
    precision: str
    precision_reason: str
    threads: int
    keeps_pages: bool

    def autocast(self) -> AbstractContextManager:
        """The context in which forward passes run."""
        dtype = autocast_dtype(self.precision)
        return nullcontext() if dtype is None else torch.autocast(self.world.device.type, dtype=dtype)

    @property
    def strategy_name(self) -> str:
        """single, or what several ranks were asked to do."""
        return self.world.ranks.config.strategy if self.world.ranks.launch.launched else "single"

    def build_strategy(self) -> Strategy:
        """A fresh one for each training."""
        if self.strategy_name == "single":
            return Single()
        if self.strategy_name == "fsdp":
            return Fsdp(self.world, self.precision)
        return Ddp(self.world.size, self.world.ranks.config.static_graph)

    def facts(self) -> dict[str, Any]:
        """For reports and fingerprints."""
        return {
            "device": str(self.world.device),
            "precision": self.precision,
            "precision_reason": self.precision_reason,
            "threads": self.threads,
            "keeps_pages": self.keeps_pages,
            "ranks": self.world.size,
            "strategy": self.strategy_name,
            "torch": str(torch.__version__),
        }


def build_machine(config: MachineConfig, ranks: Ranks | None = None) -> Machine:
    """Resolves a configuration on this machine, and joins the group of the ranks when there is one.

    Raises `device.missing`, `device.compiler`, `usage.unavailable`, `strategy.refused` or `launch.rendezvous`.
    """
    ranks = ranks or SoloRanks()
    launch = ranks.launch
    device = choose_device(config.device, launch.local_rank if launch.launched else None)
    if launch.launched:
        require_supported(ranks.config.strategy, {device.type}, ranks.config.fsdp_on_cpu)
    precision, reason = choose_precision(config.precision, device)
    if precision == "fp16":
        refuse(
            "usage.unavailable",
            "precision fp16 needs a loss scaler, which this version does not have",
            fix="use --precision bf16 or fp32",
        )
    if config.compile == "on" and device.type == "cpu":
        _require_compiler()
    threads = set_threads(config.threads, launch.local_size)
    keeps_pages = keep_freed_pages() if device.type == "cpu" else False
    return Machine(open_world(ranks, device), precision, reason, threads, keeps_pages)


def _require_compiler() -> None:
    if cxx_compiler() is None:
        refuse("device.compiler", "machine.compile is on, but there is no C++ compiler (g++ or clang++)")


def choose_compile(wanted: str, machine: Machine, flops: float) -> tuple[bool, str]:
    """(whether, reason) for a stage of so many floating-point operations.

    `auto` compiles when that saves more time than it costs. It reckons with nominal speeds and never measures: a busy
    machine would choose otherwise than an idle one, and two trainings that should be equal to the bit would not be.
    """
    kind = machine.world.device.type
    if kind == "cpu" and cxx_compiler() is None:
        if wanted == "on":
            _require_compiler()
        return False, "no C++ compiler here: eager"
    if wanted != "auto":
        return wanted == "on", "asked for"
    speed = EAGER_FLOPS_PER_S[kind][machine.precision] * (machine.threads if kind == "cpu" else 1)
    eager_s = flops / speed / machine.world.size
    saved_s = eager_s * COMPILE_SAVING_FRAC[machine.precision]
    reason = f"would save about {saved_s:.0f} of {eager_s:,.0f} s and costs about {COMPILE_COST_S:.0f} s"
    return saved_s > COMPILE_COST_S, reason


def compile_blocks(model: Transformer) -> None:
    """Regional compilation: each block on its own, so that equal blocks share one compiled graph."""
    for block in model.blocks:
        block.compile(dynamic=False)
