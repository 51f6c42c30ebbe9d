"""Events of trainings that never ran: steps, a resume, a spike, as a run writes them."""

from __future__ import annotations

import datetime
import json
import math
from pathlib import Path
from typing import Any

BEGAN = datetime.datetime(2026, 11, 30, 0, 21, 28, 500_000)
TOKENS_A_STEP, TOKENS_PER_S, FLOPS_A_TOKEN = 4096, 40_960.0, 5_000_000.0


class Story:
    """Events in the order in which they are told. Times are seconds after the beginning."""

    def __init__(self, stage: str = "base") -> None:
        self.stage, self.events = stage, []

    def tell(self, kind: str, t: float, attempt: int = 1, **fields: Any) -> None:
        moment = (BEGAN + datetime.timedelta(seconds=t)).isoformat(timespec="milliseconds") + "Z"
        head = {"seq": len(self.events) + 1, "t": moment, "attempt": attempt, "stage": self.stage, "kind": kind}
        self.events.append(head | fields)

    def step(self, step: int, t: float, attempt: int = 1, **fields: Any) -> None:
        found = {
            "step": step,
            "loss": loss_of(step),
            "lr": 0.003 * (1 - step / 1000),
            "grad_norm": 0.5 + 0.1 * math.sin(step),
            "tokens": step * TOKENS_A_STEP,
            "tokens_per_s": TOKENS_PER_S,
            "flops_per_s": TOKENS_PER_S * FLOPS_A_TOKEN,
            "rss_bytes": 700_000_000 + step,
            "peak_memory_bytes": None,
            "data_wait_s": 0.001,
        }
        self.tell("step", t, attempt, **found | fields)

    def evaluate(self, step: int, t: float, attempt: int = 1) -> None:
        self.tell("eval", t, attempt, step=step, val_loss=loss_of(step) + 0.1, bpb=loss_of(step) / 1.4, bpb_se=0.01)

    def text(self) -> str:
        return "".join(json.dumps(event, separators=(",", ":")) + "\n" for event in self.events)

    def write(self, root: Path) -> Path:
        """As events.jsonl of a run folder, beside a status."""
        root.mkdir(parents=True, exist_ok=True)
        path = root / "events.jsonl"
        path.write_text(self.text())
        status = {"state": "stopped", "stage": self.stage, "step": 1, "steps": 400}
        (root / "status.json").write_text(json.dumps(status))
        return path


def loss_of(step: int) -> float:
    """A smooth curve with a ripple."""
    return 2 + 5 * math.exp(-step / 60) + 0.02 * math.sin(step / 3)


def straight(steps: int, stage: str = "base", every: int = 1) -> Story:
    """One attempt, a step a tenth of a second, a validation every 50."""
    story = Story(stage)
    story.tell("stage_started", 0)
    for step in range(every, steps * every + 1, every):
        story.step(step, step / 10)
        if step % 50 == 0:
            story.evaluate(step, step / 10 + 0.01)
    return story


def resumed(spike_at: int | None = 77) -> Story:
    """Killed at step 150 with a checkpoint of step 100; the second attempt repeats 50 steps and goes on to 300."""
    story = straight(150)
    story.events = [event for event in story.events if event["kind"] != "stage_finished"]
    if spike_at:
        next(event for event in story.events if event.get("step") == spike_at)["loss"] = 30.0
    story.tell("checkpoint_saved", 10.02, step=100, weights_digest="0" * 64)
    story.tell("stage_started", 500, 2)
    for step in range(101, 301):
        story.step(step, 500 + (step - 100) / 10, 2)
        if step == 150:
            found = {"repeated_steps": 50, "differing_steps": [], "exact": True, "differences": []}
            story.tell("resumed", 505.01, 2, step=100, **found)
        if step % 50 == 0:
            story.evaluate(step, 500 + (step - 100) / 10 + 0.02, 2)
        if step == 220:
            story.tell("guard_skipped", 512.05, 2, step=221, loss=11.0, grad_norm=50.0, documents="x")
    return story
