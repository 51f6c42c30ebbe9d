"""Smaller models of the same kind: width and depth shrink together, so that their ratio stays that of the target."""

from __future__ import annotations

import math

from picochat.model.config import ModelConfig
from picochat.model.sizing import count_parameters

UNIT = 8
"""Widths are multiples of it."""
MIN_LAYERS = 2


def shrink_model(target: ModelConfig, parameters: float) -> ModelConfig:
    """The shape nearest to so many parameters: depth by the cube root of the ratio, then the width that fits best.

    Heads keep their width while the model is as wide as one; vocabulary, context and kind of block stay.
    """
    ratio = (parameters / count_parameters(target).total) ** (1 / 3)
    layers = min(target.n_layers, max(MIN_LAYERS, round(target.n_layers * ratio)))
    width = UNIT
    while count_parameters(_shape(target, width + UNIT, layers)).total <= parameters:
        width += UNIT
    near = (_shape(target, width, layers), _shape(target, width + UNIT, layers))
    return min(near, key=lambda shape: abs(math.log(count_parameters(shape).total / parameters)))


def _shape(target: ModelConfig, width: int, layers: int) -> ModelConfig:
    ratio = width / target.dim
    heads = max(1, round(target.n_heads * ratio))
    wanted_kv = max(1, round(target.n_kv_heads * heads / target.n_heads))
    kv_heads = max(count for count in range(1, wanted_kv + 1) if heads % count == 0)
    changed = {
        "dim": width,
        "n_layers": layers,
        "n_heads": heads,
        "n_kv_heads": kv_heads,
        "head_dim": min(target.head_dim, width),
        "hidden_dim": max(UNIT, UNIT * round(target.hidden_dim * ratio / UNIT)),
    }
    return ModelConfig.from_dict(target.as_dict() | changed, "a rung's model")
