"""The values of a metric at each point, and the shares of them that are derived from others."""

from __future__ import annotations

import math

import numpy as np

from picochat.artifacts.metrics import METRICS
from picochat.views.curves.axes import Known
from picochat.views.curves.columns import Floats
from picochat.views.curves.stage import StageEvents


def bits_a_byte(bytes_per_token: float) -> float:
    """What a loss in nats a target is multiplied by.

    By the tokenizer's mean bytes a token: an approximation, because a target is not always an average token.
    """
    return 1 / (math.log(2) * bytes_per_token)


def build_values(stage: StageEvents, key: str, known: Known) -> Floats:
    """A value a point, NaN where there is none. `key` is one of METRICS."""
    metric, columns = METRICS[key], stage.columns(METRICS[key].kind)
    if metric.field:
        return columns[metric.field]
    if key == "step_time_s":
        return step_times(stage)
    if key == "bpb":
        # A loss of chat targets is a loss of few chosen tokens: no mean of the tokenizer says how many bytes they are.
        usable = known.bytes_per_token and stage.name == "base"
        return columns["loss"] * bits_a_byte(known.bytes_per_token) if usable else np.full(len(columns), np.nan)  # type: ignore[arg-type]
    peak = known.peak_flops_per_s
    return columns["flops_per_s"] / peak if peak else np.full(len(columns), np.nan)


def step_times(stage: StageEvents) -> Floats:
    """Seconds a step at each step event: tokens of a step through the speed of its window."""
    columns = stage.steps
    with np.errstate(divide="ignore", invalid="ignore"):
        found = columns["tokens"] / columns["step"] / columns["tokens_per_s"]
    return np.where(columns["tokens_per_s"] > 0, found, np.nan)
