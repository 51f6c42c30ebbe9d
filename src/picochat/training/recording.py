"""Hooks that write down what happens: events, held-out loss, samples, checkpoints."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import torch

from picochat.core.clock import Clock
from picochat.core.events import EventWriter
from picochat.core.progress import Progress
from picochat.core.units import format_count, format_duration
from picochat.inference.scoring import ValidationResult
from picochat.training.hooks import Hook, StepResult, Training
from picochat.training.ledger import Ledger
from picochat.training.state import TrainState


def peak_rss_bytes() -> int:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_device_bytes() -> int | None:
    """Largest memory of tensors on this process's GPU so far; None where it has none."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None


class LogHook(Hook):
    """Step events every `every` steps, live figures and the progress line at each."""

    def __init__(
        self,
        stage: str,
        every: int,
        flops_per_token: float,
        events: EventWriter,
        live: dict[str, Any],
        progress: Progress,
        clock: Clock,
    ) -> None:
        self._stage, self._every, self._flops = stage, every, flops_per_token
        self._events, self._live, self._progress, self._clock = events, live, progress, clock
        self._window_tokens, self._window_start = 0, 0.0
        self._first_step: int | None = None

    def on_start(self, trainer: Training) -> None:
        self._window_start = self._clock.monotonic()

    def on_skip(self, trainer: Training, result: StepResult) -> None:
        self._events.emit(
            "guard_skipped",
            self._stage,
            step=result.step,
            loss=result.loss,
            grad_norm=result.grad_norm,
            documents=result.documents,
        )

    def on_step(self, trainer: Training, result: StepResult) -> None:
        self._window_tokens += result.tokens
        steps = trainer.loop.steps
        due = result.step % self._every == 0 or result.step in (1, steps)
        elapsed = self._clock.monotonic() - self._window_start
        rate = self._window_tokens / elapsed if elapsed > 0 else 0.0
        # The first step of a process may compile: its speed foretells nothing.
        self._first_step = self._first_step or result.step
        foretells = rate > 0 and result.step > self._first_step
        eta_s = (steps - result.step) * result.tokens / rate if foretells else None
        self._live.update(
            stage=self._stage,
            step=result.step,
            steps=steps,
            tokens=trainer.state.tokens_seen,
            tokens_per_s=rate,
            eta_s=eta_s,
        )
        if due:
            note = f"loss {result.loss:.3f}"
            if eta_s is not None:
                note += f", {format_count(rate)} tokens/s, {format_duration(eta_s)} left"
            self._progress.update(result.step, steps, note)
            self._events.emit(
                "step",
                self._stage,
                step=result.step,
                loss=result.loss,
                grad_norm=result.grad_norm,
                lr=result.lr,
                tokens=trainer.state.tokens_seen,
                tokens_per_s=rate,
                flops_per_s=rate * self._flops,
                rss_bytes=peak_rss_bytes(),
                peak_memory_bytes=peak_device_bytes(),
                data_wait_s=result.data_wait_s,
                **result.extras,
            )
        if due or not foretells:
            self._window_tokens, self._window_start = 0, self._clock.monotonic()


class ValidationHook(Hook):
    """Held-out loss every `every` steps and after the last one; remembers the best."""

    def __init__(
        self,
        stage: str,
        every: int,
        score: Callable[[], ValidationResult],
        events: EventWriter,
        on_best: Callable[[], None],
    ) -> None:
        self._stage, self._every, self._score = stage, every, score
        self._events, self._on_best = events, on_best
        self.last: ValidationResult | None = None

    def on_step(self, trainer: Training, result: StepResult) -> None:
        if self._every and result.step % self._every == 0 and result.step < trainer.loop.steps:
            self._validate(trainer)

    def on_finish(self, trainer: Training) -> None:
        self._validate(trainer)

    def _validate(self, trainer: Training) -> None:
        self.last = found = self._score()
        state = trainer.state
        entry = {"step": state.step, "loss": found.loss, "bpb": found.bpb}
        state.history = [old for old in state.history if old["step"] != state.step] + [entry]
        self._events.emit("eval", self._stage, step=state.step, val_loss=found.loss, bpb=found.bpb, bpb_se=found.bpb_se)
        if state.best_val_loss is None or found.loss < state.best_val_loss:
            state.best_val_loss, state.best_step = found.loss, state.step
            self._on_best()


class ResumeHook(Hook):
    """Tells once whether the steps that were repeated are those of before, when the last of them has been compared."""

    def __init__(
        self,
        stage: str,
        state: TrainState,
        ledger: Ledger,
        may_be_exact: bool,
        differences: list[dict[str, Any]],
        events: EventWriter,
    ) -> None:
        self._stage, self._ledger, self._events = stage, ledger, events
        self._may_be_exact = may_be_exact
        self._told = False
        self._entry: dict[str, Any] = {
            "step": state.step,
            "repeated_steps": 0,
            "differing_steps": [],
            "exact": None,
            "differences": differences,
        }
        state.resumes.append(self._entry)

    def on_step(self, trainer: Training, result: StepResult) -> None:
        if result.step >= self._ledger.to_repeat:
            self._tell()

    def on_stop(self, trainer: Training, reason: str) -> None:
        self._tell()

    def on_finish(self, trainer: Training) -> None:
        self._tell()

    def _tell(self) -> None:
        if self._told:
            return
        self._told = True
        differing = self._ledger.differing
        exact = self._may_be_exact and not differing
        self._entry |= {
            "repeated_steps": self._ledger.repeated,
            "differing_steps": differing[:10],
            "exact": exact,
        }
        self._events.emit("resumed", self._stage, **self._entry)


class ReplicaHook(Hook):
    """Compares the replicas of all ranks every `every` steps; each save does so as well."""

    def __init__(self, every: int) -> None:
        self._every = every

    def on_step(self, trainer: Training, result: StepResult) -> None:
        if self._every and result.step % self._every == 0:
            trainer.require_equal_replicas()


class SampleHook(Hook):
    """Shows what the model writes every `every` steps and at the end, through `sample(step)`."""

    def __init__(self, every: int, sample: Callable[[int], None]) -> None:
        self._every, self._sample = every, sample

    def on_step(self, trainer: Training, result: StepResult) -> None:
        if self._every and result.step % self._every == 0 and result.step < trainer.loop.steps:
            self._sample(result.step)

    def on_finish(self, trainer: Training) -> None:
        self._sample(trainer.state.step)


class CheckpointHook(Hook):
    """Saves every `every` steps, when training stops early, and after the last step, through `save()`.

    `skip()` says on every rank alike whether an early stop is to leave the last checkpoint as it is.
    """

    def __init__(self, every: int, save: Callable[[], None], skip: Callable[[], bool] = lambda: False) -> None:
        self._every, self._save, self._skip = every, save, skip

    def on_step(self, trainer: Training, result: StepResult) -> None:
        if self._every and result.step % self._every == 0 and result.step < trainer.loop.steps:
            self._save()

    def on_stop(self, trainer: Training, reason: str) -> None:
        if not self._skip():
            self._save()

    def on_finish(self, trainer: Training) -> None:
        self._save()
