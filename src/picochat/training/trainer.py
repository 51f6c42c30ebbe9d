"""THE training loop. Every stage that trains builds one Trainer; nothing else in the package calls backward.

A step: draw all its micro-batches, because the divisor is the global number of targets; forward and backward each; let
the guard judge the global loss and gradient norm; update; write the ledger; tell the hooks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from picochat.core.clock import Clock, SystemClock
from picochat.core.failpoints import failpoint, spoil
from picochat.data.batches import Batch, BatchStream
from picochat.distributed.world import World
from picochat.training.ema import Ema
from picochat.training.guard import LossGuard
from picochat.training.hooks import Hook, StepResult
from picochat.training.ledger import Ledger, documents_digest
from picochat.training.objective import Objective
from picochat.training.optim import OptimizerSet
from picochat.training.state import TrainState


@dataclass
class LoopParts:
    """What the loop consults beside the model: its length, rates, clipping, and who may stop it."""

    steps: int
    lr_factor: Callable[[int], float]
    lr: float
    clip: float
    ledger: Ledger
    guard: LossGuard = field(default_factory=LossGuard)
    ema: Ema | None = None
    autocast: Callable[[], AbstractContextManager] = nullcontext
    stop_reason: Callable[[], str] = str
    state_digest: Callable[[int], str | None] = lambda step: None
    rng_digest: Callable[[], str] = str
    clock: Clock = field(default_factory=SystemClock)


class GuardStop(Exception):
    """The guard rejected too many steps; the message says how many."""


class Trainer:
    """Runs `loop.steps` updates of `model` under `objective`, from wherever `state` stands."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        optimizer: OptimizerSet,
        batches: BatchStream,
        world: World,
        loop: LoopParts,
        hooks: Sequence[Hook],
        state: TrainState,
    ) -> None:
        self.model = model
        self.objective = objective
        self.optimizer = optimizer
        self.batches = batches
        self.world = world
        self.loop = loop
        self.hooks = hooks
        self.state = state

    def fit(self) -> str:
        """Trains to the last step. Returns "" when done, or the reason why it stopped early; raises GuardStop."""
        for hook in self.hooks:
            hook.on_start(self)
        while self.state.step < self.loop.steps:
            self._tell_step(self.train_step())
            if exhausted := self.loop.guard.exhausted():
                self._tell_stop(exhausted)
                raise GuardStop(exhausted)
            reason = self.loop.stop_reason()
            if self.world.any(bool(reason)) and self.state.step < self.loop.steps:
                self._tell_stop(reason)
                return reason
        for hook in self.hooks:
            hook.on_finish(self)
        return ""

    def train_step(self) -> StepResult:
        """One optimizer update over all ranks, or one step that the guard rejected and that changed no weight."""
        started = self.loop.clock.monotonic()
        self.model.train()
        batches = self.batches.draw_step()
        num_targets = self._global_targets(batches)
        loss_sum, extras = self._accumulate(batches, num_targets)
        failpoint("step.after_backward")
        loss = spoil("guard.value", float(self.world.sum(loss_sum)) / num_targets)
        grad_norm = float(self.optimizer.clip(self.loop.clip))
        accepted = not self.world.any(not self.loop.guard.accepts(loss, grad_norm))
        factor = self.loop.lr_factor(self.state.step)
        if accepted:
            failpoint("step.before_optimizer")
            self.optimizer.step(factor)
            if self.loop.ema:
                self.loop.ema.update()
            failpoint("step.after_optimizer")
        self.optimizer.zero_grad()
        tokens = self.batches.tokens_per_step
        self._advance(accepted, tokens, num_targets)
        result = StepResult(
            step=self.state.step,
            accepted=accepted,
            loss=loss,
            grad_norm=grad_norm,
            lr=self.loop.lr * factor,
            tokens=tokens,
            num_targets=num_targets,
            duration_s=self.loop.clock.monotonic() - started,
            documents=documents_digest(batch.spans for batch in batches),
            extras=extras,
        )
        self._write_ledger(result)
        return result

    def _global_targets(self, batches: list[Batch]) -> int:
        mine = torch.tensor(sum(batch.num_targets for batch in batches), dtype=torch.int64, device=self.world.device)
        return max(1, int(self.world.sum(mine)))

    def _accumulate(self, batches: list[Batch], num_targets: int) -> tuple[Tensor, dict[str, float]]:
        """Gradients of the mean over all targets of the step; returns this rank's sum of losses."""
        loss_sum = torch.zeros((), device=self.world.device)
        extras: dict[str, float] = {}
        for number, batch in enumerate(batches):
            with self.loop.autocast():
                output = self.objective(self.model, batch)
            (output.total_sum / num_targets).backward()
            loss_sum += output.loss_sum
            extras = output.extras
            if number + 1 < len(batches):
                failpoint("step.mid_accumulation")
        return loss_sum, extras

    def _advance(self, accepted: bool, tokens: int, num_targets: int) -> None:
        state = self.state
        state.step += 1
        state.tokens_seen += tokens
        state.targets_seen += num_targets
        state.skipped_steps += 0 if accepted else 1

    def _write_ledger(self, result: StepResult) -> None:
        line = {
            "step": result.step,
            "verdict": "ok" if result.accepted else "skipped",
            "loss": result.loss.hex(),
            "grad_norm": result.grad_norm.hex(),
            "lr": result.lr.hex(),
            "targets": result.num_targets,
            "documents": result.documents,
            "rng": self.loop.rng_digest(),
        }
        digest = self.loop.state_digest(result.step)
        self.loop.ledger.append(line | ({"state": digest} if digest else {}))

    def _tell_step(self, result: StepResult) -> None:
        for hook in self.hooks:
            if not result.accepted:
                hook.on_skip(self, result)
            hook.on_step(self, result)

    def _tell_stop(self, reason: str) -> None:
        for hook in self.hooks:
            hook.on_stop(self, reason)
