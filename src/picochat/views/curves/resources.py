"""What a training takes and how fast it is: from its newest events. What nothing says is null, never 0."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from picochat.views.curves.axes import Known
from picochat.views.curves.columns import Floats
from picochat.views.curves.follow import EventFollower, iter_stages
from picochat.views.curves.stage import StageEvents
from picochat.views.curves.values import step_times

RECENT = 200
"""Step events over which a speed is taken."""


def build_speed(events: EventFollower, name: str | None, known: Known) -> dict[str, Any]:
    """Figures of one stage, or of the newest that trained."""
    trained = [key for key, stage in iter_stages(events) if len(stage.steps)]
    chosen = name if name is not None else trained[-1] if trained else None
    stage = events.stages.get(chosen) if chosen else None
    if stage is None or not len(stage.steps):
        return {"stage": chosen, **dict.fromkeys(_FIGURES)}
    return {"stage": chosen, **describe_speed(stage, known)}


def describe_speed(stage: StageEvents, known: Known) -> dict[str, Any]:
    """Medians of the newest step events, percentiles of the time of a step, largest memory."""
    times, flops = step_times(stage)[-RECENT:], _median(stage.steps["flops_per_s"][-RECENT:])
    wait, step_time = _median(stage.steps["data_wait_s"][-RECENT:]), _median(times)
    return {
        "step": _last(stage.steps["step"]),
        "tokens_per_s": _median(stage.steps["tokens_per_s"][-RECENT:]),
        "flops_per_s": flops,
        "mfu_frac": flops / known.peak_flops_per_s if flops and known.peak_flops_per_s else None,
        "step_time_p50_s": step_time,
        "step_time_p99_s": _percentile(times, 99),
        "step_times": int(np.isfinite(times).sum()),
        "data_wait_frac": wait / step_time if wait is not None and step_time else None,
        "peak_rss_bytes": _largest(stage.steps["rss_bytes"]),
        "peak_gpu_tensor_bytes": _largest(stage.steps["peak_memory_bytes"]),
        "slowest_rank": None,
    }


_FIGURES = (
    "step",
    "tokens_per_s",
    "flops_per_s",
    "mfu_frac",
    "step_time_p50_s",
    "step_time_p99_s",
    "step_times",
    "data_wait_frac",
    "peak_rss_bytes",
    "peak_gpu_tensor_bytes",
    "slowest_rank",
)
"""Rank 0 tells of all: no event says how long one rank took, so the slowest one is unknown."""


def _percentile(values: Floats, share: float) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, share)) if len(known) else None


def _median(values: Floats) -> float | None:
    return _percentile(values, 50)


def _largest(values: Floats) -> float | None:
    return _percentile(values, 100)


def _last(values: Floats) -> float | None:
    return float(values[-1]) if len(values) and math.isfinite(values[-1]) else None
