"""Picochat with parallel residuals: Qwen3, but a block adds attention and MLP of one shared norm.

Only the decoder layer's forward differs. Rotary positions, attention with its norm of queries and keys, caches, masks
and attention backends are those of Qwen3.
"""

import torch
from torch import nn
from transformers.models.qwen3.modeling_qwen3 import (
    Qwen3Attention,
    Qwen3DecoderLayer,
    Qwen3ForCausalLM,
    Qwen3Model,
)

from .configuration_picochat import PicochatConfig


class PicochatDecoderLayer(Qwen3DecoderLayer):
    """x + attention(n) + mlp(n), where n is the norm of x."""

    def __init__(self, config: PicochatConfig, layer_idx: int) -> None:
        super().__init__(config, layer_idx)
        del self.post_attention_layernorm

    def forward(self, hidden_states: torch.Tensor, **kwargs) -> torch.Tensor:
        normed = self.input_layernorm(hidden_states)
        attended, _ = self.self_attn(hidden_states=normed, **kwargs)
        return hidden_states + attended + self.mlp(normed)


class PicochatModel(Qwen3Model):
    config_class = PicochatConfig
    _no_split_modules = ["PicochatDecoderLayer"]
    _supports_attention_backend = True
    _can_record_outputs = {"hidden_states": PicochatDecoderLayer, "attentions": Qwen3Attention}

    def __init__(self, config: PicochatConfig) -> None:
        super().__init__(config)
        self.layers = nn.ModuleList([PicochatDecoderLayer(config, layer) for layer in range(config.num_hidden_layers)])
        self.post_init()


class PicochatForCausalLM(Qwen3ForCausalLM):
    config_class = PicochatConfig
    _no_split_modules = ["PicochatDecoderLayer"]
    _supports_attention_backend = True
    _can_record_outputs = PicochatModel._can_record_outputs

    def __init__(self, config: PicochatConfig) -> None:
        super().__init__(config)
        self.model = PicochatModel(config)
        self.post_init()
