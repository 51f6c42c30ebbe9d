"""Proofs: the chosen precision gives the loss of float32, and micro-batches give the gradient of the batch."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from picochat.artifacts.checks import CheckResult
from picochat.data.order import SampleOrder
from picochat.data.rows import IGNORE, RowSource
from picochat.stages.sanity.building import Autocast, Workplace, build_stream, measure_step
from picochat.stages.sanity.resume import build_objective
from picochat.stages.sanity.verdicts import judge, not_run
from picochat.training.chat import ChatTuning

LOSS_BAR = 5e-3
"""bf16 rounds to 1 part in 256; over hundreds of targets the errors of the loss cancel to far less."""
GRADIENT_BAR = 0.1
"""Distance of the gradients as a share of their length: rounding adds a few hundredths, a lost term tenths."""
ACCUMULATION_BAR = 1e-4
"""Float32 sums in another order; a mean of means is off by the inequality of the micro-batches, tenths."""


def prove_precision(place: Workplace) -> list[CheckResult]:
    """Loss and gradient of one step in the machine's precision against float32, from the same weights and batch."""
    if place.machine.precision == "fp32":
        reason = f"trains in fp32 ({place.machine.precision_reason}): nothing to compare"
        return [not_run(check, reason) for check in ("sanity.precision_loss", "sanity.precision_gradient")]
    low, low_gradients = step_of_windows(place, place.machine.autocast, "chosen")
    full, full_gradients = step_of_windows(place, nullcontext, "float32")
    n = sum(map(Tensor.numel, full_gradients.values()))
    return [
        judge("sanity.precision_loss", abs(low[0] - full[0]) / abs(full[0]), LOSS_BAR, full[1]),
        judge("sanity.precision_gradient", gradient_distance(full_gradients, low_gradients), GRADIENT_BAR, n),
    ]


def step_of_windows(place: Workplace, autocast: Autocast, name: str) -> tuple[tuple[float, int], dict[str, Tensor]]:
    """((loss, targets), gradients) of one micro-batch of documents."""
    config, windows = place.material.config, place.material.windows()
    order = SampleOrder(max(1, len(windows)), config.seed).samples_at
    batches = build_stream(place, windows, order, micro_batches=1, micro_batch_size=config.rows)
    result, gradients = measure_step(place, build_objective(config), batches, autocast, name)
    return (result.loss, result.num_targets), gradients


def gradient_distance(full: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """|other - full| / |full| over all parameters."""
    squares = sum(float((other[name].double() - full[name].double()).square().sum()) for name in full)
    return (squares / sum(float(gradient.double().square().sum()) for gradient in full.values())) ** 0.5


def prove_accumulation(place: Workplace) -> CheckResult:
    """Gradients of one batch of B rows against B batches of one, in float32, on rows with unequal numbers of targets.

    With equal numbers a mean of means would be right by chance, so conversations are taken, which differ.
    """
    config = place.material.config
    if not place.material.conversations:
        return not_run("sanity.accumulation", "the run has no chat rows, and only they have unequal targets")
    packed = place.material.packed()
    rows = unequal_rows(packed, config.rows)
    if len(set(count_targets(packed, rows).tolist())) < 2:
        return not_run("sanity.accumulation", f"all {len(rows)} rows have the same number of targets")
    gradients = []
    for count, size in ((1, len(rows)), (len(rows), 1)):
        batches = build_stream(place, packed, lambda samples: rows[samples], micro_batches=count, micro_batch_size=size)
        objective = ChatTuning(config.loop.z_loss, config.loop.loss_chunk_tokens)
        gradients.append(measure_step(place, objective, batches, nullcontext, f"accumulated-{count}")[1])
    n = sum(map(Tensor.numel, gradients[0].values()))
    return judge("sanity.accumulation", largest_difference(*gradients), ACCUMULATION_BAR, n)


def count_targets(source: RowSource, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return (source.take(rows).targets != IGNORE).sum(axis=1)


def unequal_rows(source: RowSource, wanted: int) -> NDArray[np.int64]:
    """Rows from the fewest to the most targets, evenly."""
    order = np.argsort(count_targets(source, np.arange(len(source))), kind="stable")
    return order[np.linspace(0, len(order) - 1, num=min(wanted, len(order))).round().astype(np.int64)]


def largest_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Of all parameters, the largest difference of an element as a share of the parameter's largest element."""
    return max(
        float((other[name] - gradient).abs().max() / gradient.abs().max().clamp_min(torch.finfo(torch.float32).tiny))
        for name, gradient in one.items()
    )
