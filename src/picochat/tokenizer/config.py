"""Configuration of the tokenizer and of what its report measures."""

from __future__ import annotations

from pydantic import Field

from picochat.core.config import Config
from picochat.tokenizer.special import N_BYTES, N_SPECIAL


class TokenizerConfig(Config):
    """Byte-level BPE on the train side of the corpus."""

    vocab_size: int = Field(default=8192, ge=N_BYTES + N_SPECIAL, le=1_000_000)
    """Ids in all: 256 bytes, the merges, 16 special tokens."""

    sample_bytes: int = Field(default=2_000_000_000, ge=1)
    """The most text that merges are counted on; documents are taken in the order of their hash."""

    min_frequency: int = Field(default=2, ge=1)
    """A pair seen less often never becomes a token."""

    measure_bytes: int = Field(default=100_000_000, ge=1)
    """The most text of each side that is encoded for the report; shards count the tokens of all of it."""

    baseline_max_tokens: int = Field(default=20_000_000, ge=1)
    """The most train tokens that the n-gram baselines are counted on; as many held-out tokens are scored at most."""
