"""Configuration of a Picochat model with parallel residuals: that of Qwen3 under a name of its own."""

from transformers.models.qwen3.configuration_qwen3 import Qwen3Config


class PicochatConfig(Qwen3Config):
    model_type = "picochat"
