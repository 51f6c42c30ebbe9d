"""Facts about this machine's devices, and the choices that `auto` makes from them, each with its reason."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

import torch

from picochat.artifacts.code_record import NATIVE_BF16_CPU, cpu_features
from picochat.core.errors import refuse

TOP_PAD_BYTES = 64 * 2**20


def choose_device(wanted: str, local_rank: int | None = None) -> torch.device:
    """`auto` is CUDA where there is one; a rank takes the GPU of its place on the host.

    Raises `config.value`, or `device.missing` when it is not there.
    """
    on_gpu = wanted == "cuda" or (wanted == "auto" and torch.cuda.is_available())
    if on_gpu and local_rank is not None:
        wanted = f"cuda:{local_rank}"
    elif wanted == "auto":
        return torch.device("cuda" if on_gpu else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        refuse("config.value", f"{wanted!r} is no device", fix="use auto, cpu, cuda or cuda:N")
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type != "cpu" and (device.type != "cuda" or (device.index or 0) >= present):
        refuse(
            "device.missing",
            f"device {wanted!r} was asked for, but torch {torch.__version__} sees {present} CUDA devices",
        )
    return device


def choose_precision(wanted: str, device: torch.device) -> tuple[str, str]:
    """(precision, reason). `auto` picks bf16 where the device computes it natively, float32 elsewhere."""
    if wanted != "auto":
        return wanted, "asked for"
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device)[0] >= 8
        return ("bf16", "the GPU has bf16 tensor cores") if native else ("fp32", "the GPU has no native bf16")
    found = [feature for feature in NATIVE_BF16_CPU if feature in cpu_features()]
    return ("bf16", f"the CPU has {found[0]}") if found else ("fp32", "the CPU has neither AMX nor AVX512-BF16")


def autocast_dtype(precision: str) -> torch.dtype | None:
    """The dtype of autocast, or None for plain float32."""
    return {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}[precision]


def set_threads(count: int | None, local_size: int = 1) -> int:
    """Fixes torch's CPU threads (None: this rank's share of the cores it may use) and returns the number."""
    threads = count or max(1, len(os.sched_getaffinity(0)) // local_size)
    torch.set_num_threads(threads)
    return threads


def keep_freed_pages() -> bool:
    """Tells glibc to keep freed memory instead of giving it back to the kernel; False where that cannot be done.

    Large tensors are otherwise mapped and unmapped at each use, and each new page costs a fault: on a CPU that was a
    quarter of an eager step.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    trim_threshold, top_pad, mmap_max = -1, -2, -4
    libc = ctypes.CDLL(None)
    settings = ((mmap_max, 0), (trim_threshold, 2**31 - 1), (top_pad, TOP_PAD_BYTES))
    return all(libc.mallopt(name, value) for name, value in settings)
