"""Wrong copies of our model, each with one mistake that an export could make. A proof must notice every one of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from picochat.model.transformer import Transformer


def build_controls(model: Transformer) -> Iterator[tuple[str, Transformer]]:
    """(name, wrong model), one at a time; the model itself stays as it is."""
    yield "rope_rows_permuted", _changed(model, _permute_rope_rows)
    if model.config.qk_norm:
        yield "qk_norm_one", _changed(model, _reset_qk_norm)
    yield "gate_up_swapped", _changed(model, _swap_gate_up)
    yield "residual_swapped", _swap_residual(model)


def _changed(model: Transformer, mistake: Callable[[Transformer], None]) -> Transformer:
    wrong = copy.deepcopy(model)
    with torch.no_grad():
        mistake(wrong)
    return wrong


def _permute_rope_rows(model: Transformer) -> None:
    """Pairs of neighbours where halves belong together: the layout of the first Llama."""
    for name, weight in model.named_parameters():
        if name.endswith(("attn.q.weight", "attn.k.weight")):
            weight.copy_(_interleaved(weight, model.config.head_dim))


def _interleaved(weight: Tensor, head_dim: int) -> Tensor:
    halves = weight.view(-1, 2, head_dim // 2, weight.shape[1])
    return halves.transpose(1, 2).reshape(weight.shape)


def _reset_qk_norm(model: Transformer) -> None:
    for name, weight in model.named_parameters():
        if "q_norm" in name or "k_norm" in name:
            weight.fill_(1.0)


def _swap_gate_up(model: Transformer) -> None:
    state = model.state_dict()
    for name in [key for key in state if key.endswith("mlp.gate.weight")]:
        gate, up = state[name], state[name.replace("gate", "up")]
        kept = gate.clone()
        gate.copy_(up)
        up.copy_(kept)


def _swap_residual(model: Transformer) -> Transformer:
    """The same tensors in blocks of the other kind, a shared norm used twice or the norm of attention alone."""
    other = "sequential" if model.config.residual == "parallel" else "parallel"
    wrong = Transformer(model.config.model_copy(update={"residual": other})).eval().requires_grad_(False)
    state = model.state_dict()
    for name in wrong.state_dict():
        if name not in state:
            layer, _, rest = name.removeprefix("blocks.").partition(".")
            source = "norm.weight" if rest in ("attn_norm.weight", "mlp_norm.weight") else "attn_norm.weight"
            state[name] = model.state_dict()[f"blocks.{layer}.{source}"]
    wrong.load_state_dict({name: state[name] for name in wrong.state_dict()})
    return wrong
