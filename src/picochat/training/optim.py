"""Optimizers: fused AdamW, and Muon for the blocks' matrices. One object to step, clip, save and restore.

Muon: momentum orthogonalised by Newton-Schulz (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural
networks"). Suffixes: S matrices of equal shape in a stack, M rows, N columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from picochat.core.errors import refuse
from picochat.distributed.shards import slice_like, whole
from picochat.training.config import OptimConfig

STATE_KEYS = {"adamw": ("step", "exp_avg", "exp_avg_sq"), "muon": ("momentum",)}
"""What each optimizer keeps a parameter."""
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration of the Muon reference."""


def is_block_matrix(name: str, parameter: Tensor) -> bool:
    """Whether a parameter is a matrix inside a block: these alone get weight decay, and Muon where it is chosen."""
    return name.startswith("blocks.") and parameter.ndim == 2


@torch.no_grad()
def orthogonalise(update_SMN: Tensor, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrix of each in the stack, roughly: singular values end between 0.7 and 1.2."""
    a, b, c = NEWTON_SCHULZ
    dtype = torch.bfloat16 if torch.is_autocast_enabled(update_SMN.device.type) else torch.float32
    x = update_SMN.to(dtype)
    transposed = x.shape[1] > x.shape[2]
    if transposed:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return (x.mT if transposed else x).to(update_SMN.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, scaled by sqrt(max(1, rows / columns)); equal shapes go as one stack."""

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            stacks: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    stacks.setdefault(parameter.shape, []).append(parameter)
            for parameters in stacks.values():
                self._step_stack(parameters, group)

    def _step_stack(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        lr, momentum = group["lr"], group["momentum"]
        rows, columns = parameters[0].shape
        # Of a matrix in slices every rank needs the whole update, and keeps its slice of the result.
        directions = [whole(self._nesterov(p, momentum)) for p in parameters]
        scale = -lr * max(1.0, rows / columns) ** 0.5
        for parameter, update in zip(parameters, orthogonalise(torch.stack(directions)).unbind(0), strict=True):
            if group["weight_decay"]:
                parameter.mul_(1.0 - lr * group["weight_decay"])
            parameter.add_(slice_like(parameter, update), alpha=scale)

    def _nesterov(self, parameter: Tensor, momentum: float) -> Tensor:
        assert parameter.grad is not None
        buffer = self._buffer(parameter).lerp_(parameter.grad, 1.0 - momentum)
        return torch.lerp(parameter.grad, buffer, momentum)

    def _buffer(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        return state["momentum"]


class OptimizerSet:
    """The optimizers of one model behind one verb each. Learning rates are peak rates times the schedule's factor."""

    def __init__(self, model: nn.Module, config: OptimConfig) -> None:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self._names = {id(p): name for name, p in named}
        self._parameters = [p for _, p in named]
        matrices = [p for name, p in named if is_block_matrix(name, p)]
        others = [p for name, p in named if not is_block_matrix(name, p)]
        self.parts: dict[str, torch.optim.Optimizer] = {}
        groups = [{"params": others, "weight_decay": 0.0}]
        if config.optimizer == "muon":
            self.parts["muon"] = Muon(matrices, config.muon_lr, config.muon_momentum, config.muon_weight_decay)
        else:
            groups.insert(0, {"params": matrices, "weight_decay": config.weight_decay})
        self.parts["adamw"] = torch.optim.AdamW(
            groups, lr=config.lr, betas=(config.beta1, config.beta2), eps=config.eps, fused=True
        )
        self._peaks = {"muon": config.muon_lr, "adamw": config.lr}

    def clip(self, max_norm: float) -> Tensor:
        """Scales all gradients to a global norm of at most `max_norm`; returns the norm before it."""
        return nn.utils.clip_grad_norm_(self._parameters, max_norm)

    def step(self, factor: float) -> None:
        """One update of every part at `factor` times its peak learning rate."""
        for name, optimizer in self.parts.items():
            for group in optimizer.param_groups:
                group["lr"] = self._peaks[name] * factor
            optimizer.step()

    def zero_grad(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def state_tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state as `part/parameter/key`, for a checkpoint."""
        tensors = {}
        for part, optimizer in self.parts.items():
            for parameter, state in optimizer.state.items():
                tensors |= {f"{part}/{self._names[id(parameter)]}/{key}": value for key, value in state.items()}
        return tensors

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restores what `state_tensors` gave: all of it, or nothing where no step was taken yet.

        Raises `config.conflict` when a tensor has no place here, `checkpoint.state` when one is missing or misshapen.
        """
        places = self._state_places()
        if unknown := sorted(set(tensors) - set(places)):
            refuse(
                "config.conflict",
                f"the saved state has {unknown[0]}, which this optimizer ({' and '.join(self.parts)}) has not",
                fix="choose the optimizer that wrote the checkpoint, or set sft.carry_optimizer = false",
            )
        if tensors and (absent := sorted(set(places) - set(tensors))):
            refuse("checkpoint.state", f"the saved optimizer state lacks {absent[0]} ({len(absent)} in all)")
        for name, value in tensors.items():
            optimizer, key, parameter = places[name]
            shape = () if key == "step" else parameter.shape
            if value.shape != shape:
                refuse("checkpoint.state", f"optimizer state {name} has shape {tuple(value.shape)}, not {tuple(shape)}")
            # AdamW counts its steps in a CPU scalar per parameter; moments live where the parameter lives.
            moved = value.clone() if key == "step" else slice_like(parameter, value.to(parameter.device)).clone()
            optimizer.state[parameter][key] = moved

    def _state_places(self) -> dict[str, tuple[torch.optim.Optimizer, str, Tensor]]:
        """Where every tensor of a complete state belongs: optimizer, key and parameter."""
        return {
            f"{part}/{self._names[id(p)]}/{key}": (optimizer, key, p)
            for part, optimizer in self.parts.items()
            for group in optimizer.param_groups
            for p in group["params"]
            for key in STATE_KEYS[part]
        }
