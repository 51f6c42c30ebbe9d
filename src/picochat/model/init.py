"""The defined start of the weights."""

from __future__ import annotations

import torch
from torch import nn

from picochat.model.rope import build_rope_tables
from picochat.model.transformer import Transformer

RESIDUAL_OUTPUTS = ("attn.o.weight", "mlp.down.weight")


@torch.no_grad()
def init_weights(model: Transformer, generator: torch.Generator) -> None:
    """Normal with std `dim**-0.5`; residual outputs x `1/sqrt(2*n_layers)` (Radford et al. 2019, GPT-2); norms 1.

    Draws in the order of `named_parameters`, so one generator state gives one set of weights. Also fills the rotary
    tables, for a model that was built on the meta device and then emptied onto another.
    """
    config = model.config
    std = config.dim**-0.5
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            parameter.fill_(1.0)
        else:
            scale = (2 * config.n_layers) ** -0.5 if name.endswith(RESIDUAL_OUTPUTS) else 1.0
            nn.init.normal_(parameter, std=std * scale, generator=generator)
    cos_Sh, sin_Sh = build_rope_tables(config.head_dim, config.max_seq_len, config.rope_theta)
    model.cos_Sh.copy_(cos_Sh)
    model.sin_Sh.copy_(sin_Sh)
