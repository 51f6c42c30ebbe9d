"""Settings of an import of a model."""

from __future__ import annotations

from pydantic import Field

from picochat.core.config import Config


class ForeignConfig(Config):
    """What of a published model is taken."""

    max_seq_len: int = Field(default=8192, ge=2)
    """The longest context in tokens; a model trained for less keeps its own. A cache holds as many keys and values."""

    chat_template: bool = True
    """Whether the chat template is taken; without it a model continues texts and cannot be talked to."""

    licence: str | None = Field(default=None, min_length=1)
    """The licence of the weights; that of the model's card when not given."""
