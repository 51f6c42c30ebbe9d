"""picochat doctor: what this machine has, what is missing, and the command that mends it."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from picochat.artifacts.code_record import code_record, cpu_features
from picochat.cli import options
from picochat.cli.console import print_json, print_table
from picochat.core.fs import free_bytes
from picochat.core.units import format_bytes

PACKAGES = ("torch", "numpy", "pydantic", "click", "rich", "safetensors", "tokenizers", "tiktoken")
RAW = ("nccl", "cuda_devices", "memory_bytes", "cpu_bf16", "free_disk_bytes")
"""Facts for programs; a table shows them in other words."""
LOW_DISK_BYTES = 2 * 2**30


@click.command()
@options.json_option
def doctor(as_json: bool) -> None:
    """Show devices, versions and disk, and what to do about what is missing."""
    facts = {**python_facts(), **device_facts(), **disk_facts()}
    advice = find_advice(facts)
    if as_json:
        print_json({"facts": facts, "advice": advice})
        return
    print_table("", ["fact", "value"], fact_rows(facts))
    print_table("", ["what is missing", "fix"], [[row["missing"], row["fix"]] for row in advice] or [["nothing", ""]])


def python_facts() -> dict[str, Any]:
    code = code_record()
    facts: dict[str, Any] = {
        "picochat": f"{code.version} ({(code.git_commit or 'no git')[:12]})",
        "python": sys.version.split()[0],
        "platform": platform.platform(),
    }
    for package in PACKAGES:
        try:
            facts[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            facts[package] = None
    return facts


def device_facts() -> dict[str, Any]:
    """What torch sees; imported here, because it takes seconds."""
    import torch

    from picochat.distributed.env import cxx_compiler
    from picochat.distributed.nccl import effective_settings
    from picochat.distributed.probe import choose_precision

    precision, reason = choose_precision("auto", torch.device("cpu"))
    return {
        "cpu_features": ", ".join(cpu_features()) or "unknown",
        "threads": torch.get_num_threads(),
        "memory": format_bytes(free) if (free := memory_bytes()) else "unknown",
        "memory_bytes": memory_bytes(),
        "cpu_bf16": precision == "bf16",
        "cuda": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "cuda_devices": [gpu_facts(i) for i in range(torch.cuda.device_count())],
        "cpu_precision": f"{precision} ({reason})",
        "cxx_compiler": cxx_compiler(),
        "nccl": effective_settings(),
    }


def gpu_facts(index: int) -> dict[str, Any]:
    """Name, memory, and whether bf16 and fused attention run natively (both from compute capability 8.0 on)."""
    import torch

    capability = torch.cuda.get_device_capability(index)
    return {
        "name": torch.cuda.get_device_name(index),
        "memory_bytes": torch.cuda.get_device_properties(index).total_memory,
        "capability": ".".join(map(str, capability)),
        "bf16": capability >= (8, 0),
        "flash": capability >= (8, 0) and torch.backends.cuda.flash_sdp_enabled(),
    }


def memory_bytes() -> int | None:
    """Main memory that is free for a new process; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def fact_rows(facts: dict[str, Any]) -> list[list[str]]:
    """Facts as a table; the settings that ranks on GPUs would use stand in it only where there are GPUs."""
    rows = [[key, str(value)] for key, value in facts.items() if key not in RAW]
    return rows + ([[name, value] for name, value in facts["nccl"].items()] if facts["cuda"] else [])


def disk_facts() -> dict[str, Any]:
    return {"free_disk": format_bytes(free_bytes(Path())), "free_disk_bytes": free_bytes(Path())}


def find_advice(facts: dict[str, Any]) -> list[dict[str, str]]:
    """What is missing, and the command that mends it."""
    advice = [{"missing": package, "fix": f"pip install {package}"} for package in PACKAGES if facts[package] is None]
    if facts["cxx_compiler"] is None:
        advice.append(
            {"missing": "a C++ compiler: training runs eager, about a quarter slower", "fix": "apt-get install g++"}
        )
    if facts["free_disk_bytes"] < LOW_DISK_BYTES:
        advice.append(
            {
                "missing": f"disk: {facts['free_disk']} are free",
                "fix": "free some space, or work with --out-dir on another disk",
            }
        )
    return advice
