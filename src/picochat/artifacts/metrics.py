"""The metrics of a training: name, unit and direction, in one table for events, reports and charts."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """What a key of a step or eval event means. `field` is its name in the event, "" where it is derived."""

    label: str
    unit: str
    better: Literal["lower", "higher", ""]
    kind: Literal["step", "eval"] = "step"
    field: str = ""
    smoothed: bool = True
    """A learning rate is exact and a validation is a mean already: smoothing either would only show a lag."""


METRICS = {
    "loss": Metric("train", "nats a target", "lower", field="loss"),
    "bpb": Metric("train", "bits a byte", "lower"),
    "val_loss": Metric("held-out", "nats a target", "lower", "eval", "val_loss", smoothed=False),
    "val_bpb": Metric("held-out", "bits a byte", "lower", "eval", "bpb", smoothed=False),
    "lr": Metric("rate", "rate", "", field="lr", smoothed=False),
    "grad_norm": Metric("norm", "norm", "", field="grad_norm"),
    "tokens_per_s": Metric("speed", "tokens/s", "higher", field="tokens_per_s"),
    "flops_per_s": Metric("FLOPs", "FLOP/s", "higher", field="flops_per_s"),
    "mfu_frac": Metric("MFU", "share of the peak", "higher"),
    "step_time_s": Metric("step time", "s", "lower"),
    "data_wait_s": Metric("data wait", "s a step", "lower", field="data_wait_s"),
    "rss_bytes": Metric("memory", "bytes", "", field="rss_bytes", smoothed=False),
    "peak_memory_bytes": Metric("GPU", "bytes", "", field="peak_memory_bytes", smoothed=False),
    "supervised_frac": Metric("targets", "share", "", field="supervised_frac"),
}
"""bpb, mfu_frac and step_time_s follow from others: the first by bytes a token, the second by the card's peak."""
