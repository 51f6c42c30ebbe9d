"""What a run's process and its machine use now. What cannot be asked, as on another host, is null."""

from __future__ import annotations

import os
import platform
import shutil
import threading
from collections import deque
from pathlib import Path
from typing import Any

from picochat.core.clock import Clock
from picochat.core.subprocesses import run_quiet
from picochat.views.curves.known import number_at
from picochat.views.runs.run_state import process_start

GPU_FIELDS = ("name", "utilization.gpu", "memory.used", "memory.total", "power.draw", "temperature.gpu")
GPU_ARGV = ["nvidia-smi", f"--query-gpu={','.join(GPU_FIELDS)}", "--format=csv,noheader,nounits"]
GPU_TIMEOUT_S = 3.0
GPU_AGE_S = 2.0
DISK_SAMPLES = 240
DISK_EVERY_S = 5.0
DISK_KNOWN_AFTER_S = 30.0
"""A shorter look would foretell a full disk from one checkpoint."""
MEBIBYTE = 1024 * 1024


class MachineUse:
    """Remembers what it needs for a rate: the free bytes of a file system, and the last answer about GPUs."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._free: dict[int, deque[tuple[float, int]]] = {}
        self._gpus: tuple[float, list[dict[str, Any]] | None] | None = None

    def describe(self, root: Path, status: dict[str, Any]) -> dict[str, Any]:
        """`status` is the run's status.json. The disk is that of the run folder, wherever its process is."""
        here = status.get("host") == platform.node()
        return {
            "process": describe_process(status) if here else None,
            "cpu_cores": os.cpu_count() if here else None,
            "load_1m": round(os.getloadavg()[0], 2) if here else None,
            "memory_bytes": physical_memory() if here else None,
            "gpus": self.gpus_of(status),
            "disk": self._disk(root),
        }

    def _disk(self, root: Path) -> dict[str, Any] | None:
        try:
            usage, device = shutil.disk_usage(root), os.stat(root).st_dev
        except OSError:
            return None
        now = self._clock.monotonic()
        with self._lock:
            samples = self._free.setdefault(device, deque(maxlen=DISK_SAMPLES))
            if not samples or now - samples[-1][0] >= DISK_EVERY_S:
                samples.append((now, usage.free))
            rate = fill_rate(list(samples))
        full_s = usage.free / rate if rate is not None and rate > 0 else None
        return {"total_bytes": usage.total, "free_bytes": usage.free, "filling_bytes_per_s": rate, "full_in_s": full_s}

    def gpus_of(self, status: dict[str, Any]) -> list[dict[str, Any]] | None:
        """The GPUs of this machine, asked at most every two seconds; None for a run elsewhere, or without a driver."""
        if status.get("host") != platform.node():
            return None
        now = self._clock.monotonic()
        with self._lock:
            if self._gpus is not None and now - self._gpus[0] < GPU_AGE_S:
                return self._gpus[1]
            said = run_quiet(GPU_ARGV, timeout_s=GPU_TIMEOUT_S)
            self._gpus = now, None if said is None else parse_gpus(said)
            return self._gpus[1]


def fill_rate(samples: list[tuple[float, int]]) -> float | None:
    """Bytes a second by which free space shrinks, from (monotonic seconds, free bytes); None when seen too briefly."""
    if not samples or samples[-1][0] - samples[0][0] < DISK_KNOWN_AFTER_S:
        return None
    return (samples[0][1] - samples[-1][1]) / (samples[-1][0] - samples[0][0])


def describe_process(status: dict[str, Any]) -> dict[str, Any] | None:
    """Memory and processor time of the very process that wrote the status; None when it is gone."""
    pid, started = status.get("pid"), status.get("process_started")
    if type(pid) is not int or pid <= 0 or started is None or process_start(pid) != started:
        return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    cpu_s, age_s = (int(fields[11]) + int(fields[12])) / ticks, uptime - int(fields[19]) / ticks
    return {
        "pid": pid,
        "rss_bytes": int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        "cpu_s": round(cpu_s, 2),
        "cores_used": round(cpu_s / age_s, 3) if age_s > 0 else None,
        "age_s": round(age_s, 1),
    }


def physical_memory() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def parse_gpus(text: str) -> list[dict[str, Any]]:
    """Rows of nvidia-smi; a field that a card does not tell is null."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != len(GPU_FIELDS):
            continue
        busy, used, total, watts, celsius = (_plain(cell) for cell in cells[1:])
        found.append(
            {
                "name": cells[0],
                "busy_frac": None if busy is None else busy / 100,
                "used_bytes": None if used is None else round(used * MEBIBYTE),
                "total_bytes": None if total is None else round(total * MEBIBYTE),
                "power_w": watts,
                "temperature_c": celsius,
            }
        )
    return found


def _plain(cell: str) -> float | None:
    try:
        return number_at(float(cell))
    except ValueError:
        return None
