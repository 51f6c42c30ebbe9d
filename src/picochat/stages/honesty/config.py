"""Configuration of the honesty stage."""

from __future__ import annotations

from picochat.core.config import Config
from picochat.data.contamination.config import ContaminationConfig


class HonestyConfig(Config):
    """How the training texts are searched for what the model is judged on."""

    contamination: ContaminationConfig = ContaminationConfig()
