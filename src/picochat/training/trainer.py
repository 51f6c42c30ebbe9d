"""THE training loop. Every stage that trains builds one Trainer; nothing else in the package calls backward.

A step: draw all its micro-batches, because the divisor is the global number of targets; forward and backward each; let
the guard judge the global loss and gradient norm; update; write the ledger; tell the hooks. Every rank runs the same
loop; where something is reduced over the ranks, the world does it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from picochat.core.clock import Clock, SystemClock
from picochat.core.failpoints import failpoint, spoil
from picochat.data.batches import Batch, BatchStream
from picochat.distributed.replicas import require_equal_replicas
from picochat.distributed.strategy import Single, Strategy
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
    strategy: Strategy = field(default_factory=Single)
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
        self.data_wait_s = 0.0
        """Time of this process in which the loop waited for its batches."""
        self._forward = loop.strategy.wrap(model, objective)

    def fit(self) -> str:
        """Trains to the last step. Returns "" when done, or the reason why it stopped early; raises GuardStop."""
        for hook in self.hooks:
            hook.on_start(self)
        if self.loop.strategy.rehearses and self.state.step < self.loop.steps:
            self._rehearse()
        first = self.state.step
        while self.state.step < self.loop.steps:
            self._tell_step(self.train_step())
            if self.state.step == first + 1:
                self.world.after_first_step()
            if exhausted := self.loop.guard.exhausted():
                self._tell_stop(exhausted)
                raise GuardStop(exhausted)
            reason = self.loop.stop_reason()
            if self.world.any(bool(reason)) and self.state.step < self.loop.steps:
                reason = reason or "another rank was asked to"
                self._tell_stop(reason)
                return reason
        for hook in self.hooks:
            hook.on_finish(self)
        return ""

    def train_step(self) -> StepResult:
        """One optimizer update over all ranks, or one step that the guard rejected and that changed no weight."""
        started = self.loop.clock.monotonic()
        self.world.phase = f"step {self.state.step + 1:,}"
        self.model.train()
        batches = self.batches.draw_step()
        data_wait_s = self.loop.clock.monotonic() - started
        self.data_wait_s += data_wait_s
        num_targets = self._global_targets(batches)
        loss_sum, extras = self._accumulate(batches, num_targets)
        failpoint("step.after_backward")
        loss = spoil("guard.value", float(self.world.sum(loss_sum)) / num_targets)
        grad_norm = self.loop.strategy.global_norm(self.optimizer.clip(self.loop.clip))
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
            data_wait_s=data_wait_s,
            documents=self._global_documents(batches),
            extras=extras,
        )
        self._write_ledger(result)
        return result

    def state_tensors(self) -> dict[str, Tensor]:
        """Weights, optimizer and EMA by name: what a step changes, and what every replica has in common."""
        tensors = {f"weights/{name}": p.detach() for name, p in self.model.named_parameters()}
        tensors |= {f"optimizer/{name}": tensor for name, tensor in self.optimizer.state_tensors().items()}
        if self.loop.ema:
            tensors |= {f"ema/{name}": tensor for name, tensor in self.loop.ema.state_dict().items()}
        return tensors

    def require_equal_replicas(self) -> None:
        """Raises `launch.replicas` on every rank when one of them holds other bits; slices are no replicas."""
        if not self.loop.strategy.replicated:
            return
        self.world.phase = f"comparing replicas at step {self.state.step:,}"
        require_equal_replicas(self.world, self.state_tensors(), self.state.step)

    def _global_targets(self, batches: list[Batch]) -> int:
        mine = torch.tensor(sum(batch.num_targets for batch in batches), dtype=torch.int64, device=self.world.device)
        return max(1, int(self.world.sum(mine)))

    def _global_documents(self, batches: list[Batch]) -> str:
        """The digest of what all ranks trained on, in the one global order: slices of a step follow the ranks."""
        mine = np.concatenate([batch.spans for batch in batches])
        parts = self.world.gather_bytes(np.ascontiguousarray(mine, dtype="<i8").tobytes())
        return documents_digest(np.frombuffer(part, dtype="<i8").reshape(-1, 3) for part in parts)

    def _accumulate(self, batches: list[Batch], num_targets: int) -> tuple[Tensor, Mapping[str, float]]:
        """Gradients of the mean over all targets of the step; returns this rank's sum of losses."""
        loss_sum = torch.zeros((), device=self.world.device)
        extras: Mapping[str, float] = {}
        strategy = self.loop.strategy
        for number, batch in enumerate(batches, start=1):
            with strategy.micro_batch(last=number == len(batches)):
                with self.loop.autocast():
                    output = self._forward(batch)
                (output.total_sum * strategy.gradient_scale / num_targets).backward()
            loss_sum += output.loss_sum.detach()
            extras = output.extras
            if number < len(batches):
                failpoint("step.mid_accumulation")
        return loss_sum, extras

    def _rehearse(self) -> None:
        """One backward on a batch of nothing, whose gradients are thrown away (see `distributed.strategy.Ddp`)."""
        self.world.phase = "rehearsal"
        self.model.train()
        batch = self.batches.blank()
        with self.loop.strategy.micro_batch(last=True), self.loop.autocast():
            self._forward(batch).total_sum.backward()
        self.optimizer.zero_grad()

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
