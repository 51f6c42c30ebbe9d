"""What the machine is: this one, asked in a process of its own, because torch takes seconds and memory to load."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from picochat.core import fs
from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json
from picochat.core.subprocesses import run_quiet
from picochat.judgement.preflight.facts import MachineFacts
from picochat.model.sizing import count_parameters, needed_bytes, peak_bytes
from picochat.pipeline.config import RunConfig
from picochat.pipeline.plan.cards import Fleet
from picochat.pipeline.plan.records import Plan

DOCTOR_TIMEOUT_S = 120.0
DISK_SLACK = 1.2
CHECKPOINTS = 3
"""New, current and previous stand beside each other for a moment."""
STATE_BYTES = 12
"""A parameter in a checkpoint: float32 weight and two moments."""
CPU = "cpu"


def ask_doctor() -> dict[str, Any] | None:
    """The facts of `picochat doctor --json`; None when it could not say."""
    text = run_quiet([sys.executable, "-m", "picochat.cli", "doctor", "--json"], timeout_s=DOCTOR_TIMEOUT_S)
    try:
        found = parse_json(text.encode(), "picochat doctor") if text else None
    except PicochatError:
        return None
    return found["facts"] if isinstance(found, dict) and isinstance(found.get("facts"), dict) else None


def this_machine(
    config: RunConfig, ranks: int, profile_ranks: int | None, folder: Path, doctor: dict[str, Any] | None
) -> MachineFacts:
    """What is known of this machine for a configuration; `doctor` None leaves everything but the disk unknown."""
    needed_disk, free_disk = disk_bytes(config), fs.free_bytes(nearest_folder(folder))
    precision = config.machine.precision
    if doctor is None:
        return MachineFacts(
            "this machine",
            True,
            ranks,
            profile_ranks,
            None,
            precision,
            needed_disk_bytes=needed_disk,
            free_disk_bytes=free_disk,
        )
    gpus = doctor.get("cuda_devices") or []
    kind = config.machine.device.partition(":")[0]
    on_gpu = bool(gpus) if kind == "auto" else kind == "cuda"
    memory = min((gpu["memory_bytes"] for gpu in gpus), default=None) if on_gpu else doctor.get("memory_bytes")
    return MachineFacts(
        name="this machine",
        seen=True,
        ranks=ranks,
        profile_ranks=profile_ranks,
        device_fault=_device_fault(on_gpu, len(gpus), ranks),
        precision=precision,
        precision_fault=_precision_fault(precision, on_gpu, gpus, doctor),
        attention_fault=_attention_fault(on_gpu, gpus),
        needed_memory_bytes=memory_bytes(config),
        memory_bytes=memory,
        needed_disk_bytes=needed_disk,
        free_disk_bytes=free_disk,
    )


def planned_machine(config: RunConfig, fleet: Fleet, profile_ranks: int | None, plan: Plan) -> MachineFacts:
    """What is known of cards that nobody has looked at: the figures of their table, and the plan made for them."""
    native = fleet.card.bf16_tflops is not None
    asked = config.machine.precision
    stages = [stage.batch.memory.needed_bytes for stage in plan.stages]
    return MachineFacts(
        name=str(fleet),
        seen=False,
        ranks=fleet.count,
        profile_ranks=profile_ranks,
        device_fault=_wrong_device(config.machine.device.partition(":")[0], fleet),
        precision=asked,
        precision_fault="" if native or asked in ("auto", "fp32") else f"{fleet.card.title} has no native {asked}",
        attention_fault="" if native else f"{fleet.card.title} has no fused attention",
        needed_memory_bytes=max(stages),
        memory_bytes=fleet.rank_bytes,
        needed_disk_bytes=plan.disk.total_bytes,
    )


def _wrong_device(asked: str, fleet: Fleet) -> str:
    there = fleet.card.device
    return "" if asked in ("auto", there) else f"machine.device is {asked}, {fleet} is {there}"


def memory_bytes(config: RunConfig) -> int:
    """What the larger of the two trainings needs on one device."""
    return max(
        needed_bytes(
            peak_bytes(
                config.model,
                loop.micro_batch_size,
                loop.seq_len,
                checkpoint_blocks=loop.checkpoint_blocks,
                chunk_tokens=loop.loss_chunk_tokens,
                compiled=config.machine.compile != "off",
            )
        )
        for loop in (config.base.loop, config.sft.loop)
    )


def disk_bytes(config: RunConfig) -> int:
    """Three checkpoints of the larger state, and the shards, with a fifth on top."""
    averaged = any(loop.ema_decay for loop in (config.base.loop, config.sft.loop))
    state = (STATE_BYTES + (4 if averaged else 0)) * count_parameters(config.model).total
    token_bytes = 2 if config.model.vocab_size <= 1 << 16 else 4
    shards = 0 if config.base.data_mode == "memory" else token_bytes * config.base.loop.tokens
    return round(DISK_SLACK * (CHECKPOINTS * state + shards))


def nearest_folder(path: Path) -> Path:
    """The folder itself, or the nearest of its parents that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _device_fault(on_gpu: bool, gpus: int, ranks: int) -> str:
    if not on_gpu or gpus >= ranks:
        return ""
    return f"{ranks} CUDA devices are asked for, {gpus} are here"


def _precision_fault(precision: str, on_gpu: bool, gpus: list[dict[str, Any]], doctor: dict[str, Any]) -> str | None:
    """Empty where it is computed natively; `auto` picks what is."""
    if precision in ("auto", "fp32"):
        return ""
    if on_gpu:
        if not gpus:
            return f"{precision} is asked for, and there is no GPU"
        emulated = [gpu["name"] for gpu in gpus if precision == "bf16" and not gpu.get("bf16")]
        return f"{emulated[0]} has no native bf16" if emulated else ""
    if precision == "fp16":
        return "fp16 needs a GPU"
    native = doctor.get("cpu_bf16")
    return None if native is None else "" if native else "the CPU has neither AMX nor AVX512-BF16"


def _attention_fault(on_gpu: bool, gpus: list[dict[str, Any]]) -> str | None:
    if not on_gpu:
        return ""
    if not gpus:
        return None
    slow = [gpu["name"] for gpu in gpus if not gpu.get("flash")]
    return f"{slow[0]} has no fused attention" if slow else ""
