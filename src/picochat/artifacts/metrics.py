"""Names, units and direction of every metric that stands in events and reports."""

from __future__ import annotations

from typing import NamedTuple


class Metric(NamedTuple):
    unit: str
    better: str
    title: str


METRICS = {
    "loss": Metric("nats/target", "lower", "training loss"),
    "val_loss": Metric("nats/token", "lower", "held-out loss"),
    "bpb": Metric("bits/byte", "lower", "held-out bits per byte"),
    "lr": Metric("", "", "learning rate"),
    "grad_norm": Metric("", "", "global gradient norm"),
    "tokens": Metric("tokens", "", "tokens seen"),
    "tokens_per_s": Metric("tokens/s", "higher", "throughput"),
    "mfu_frac": Metric("fraction", "higher", "model FLOPs utilisation"),
    "rss_bytes": Metric("bytes", "lower", "resident memory"),
}
