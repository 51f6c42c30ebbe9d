"""What each runtime can load of a model, and why not: a pure function of the model's configuration (torch-free)."""

from __future__ import annotations

from typing import NamedTuple

from picochat.model.config import ModelConfig

NATIVE, CUSTOM, BACKEND, NO = "native", "custom code", "backend", "no"
HF, VLLM, GGUF = "hf", "vllm", "gguf"
WAYS_OUT = 'picochat export hf RUN, or train with --set model.residual="sequential"'


class Target(NamedTuple):
    """One cell of the table. `option` is the setting that stands in the way of a `no`."""

    name: str
    result: str
    reason: str
    option: str = ""

    @property
    def possible(self) -> bool:
        return self.result != NO


def judge_targets(config: ModelConfig) -> list[Target]:
    """hf, vllm and gguf, in this order."""
    return [_hf(config), _vllm(config), _gguf(config)]


def judge_target(config: ModelConfig, name: str) -> Target:
    """One of them by name."""
    return next(target for target in judge_targets(config) if target.name == name)


def hf_class(config: ModelConfig) -> str:
    """The class of transformers, or of the code in the folder, that loads the model."""
    if config.residual == "parallel":
        return "PicochatForCausalLM"
    return "Qwen3ForCausalLM" if config.qk_norm else "LlamaForCausalLM"


def _foreign_option(config: ModelConfig) -> Target | None:
    """The first setting that no layout carries a proof for."""
    if not config.tie_embeddings:
        return Target("", NO, "no proof exists for an LM head of its own", "model.tie_embeddings=false")
    if config.residual == "parallel" and not config.qk_norm:
        return Target("", NO, "no proof exists for parallel residual without QK norm", "model.qk_norm=false")
    return None


def _hf(config: ModelConfig) -> Target:
    if found := _foreign_option(config):
        return found._replace(name=HF)
    if config.residual == "parallel":
        return Target(HF, CUSTOM, "parallel residual; needs trust_remote_code")
    return Target(HF, NATIVE, hf_class(config))


def _vllm(config: ModelConfig) -> Target:
    if found := _foreign_option(config):
        return found._replace(name=VLLM)
    if config.residual == "parallel":
        return Target(VLLM, BACKEND, "through its Transformers backend; needs trust_remote_code")
    return Target(VLLM, NATIVE, hf_class(config))


def _gguf(config: ModelConfig) -> Target:
    if found := _foreign_option(config):
        return found._replace(name=GGUF)
    if config.residual == "parallel":
        reason = "no llama.cpp graph has parallel residual with QK norm"
        return Target(GGUF, NO, reason, "model.residual=parallel")
    if not config.qk_norm:
        return Target(GGUF, NO, "no proof exists for llama.cpp's graph without QK norm", "model.qk_norm=false")
    return Target(GGUF, NATIVE, "architecture qwen3")
