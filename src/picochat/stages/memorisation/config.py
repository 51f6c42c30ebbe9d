"""Configuration of the memorisation stage."""

from __future__ import annotations

from pydantic import Field

from picochat.core.config import Config


class MemorisationConfig(Config):
    """How much is asked of each model. Everything is chosen by digest, so more of it contains less of it."""

    documents: int = Field(default=1000, gt=0)
    """Documents of each side that are continued and whose loss is taken."""
    prefix_tokens: int = Field(default=50, gt=0)
    """Beginning of a document that is given; a short context scales it down."""
    suffix_tokens: int = Field(default=50, gt=0)
    """What must follow it exactly, greedily; a short context scales it down."""
    references: int = Field(default=4095, gt=0, le=4095)
    """Other digits that each canary is compared with; 4,095 allow 12 bits."""
    samples: int = Field(default=200, gt=0)
    """Free samples that are searched for in the corpus."""
    sample_tokens: int = Field(default=128, gt=0)
    """Longest sample."""
    loss_tokens: int = Field(default=512, gt=1)
    """Tokens of a document whose loss is taken, from its beginning; at most the context."""
    batch_size: int = Field(default=256, gt=0)
    """Samples that are made together; decides speed and memory."""
