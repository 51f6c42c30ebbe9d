"""The pack's wish for canaries."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from picochat.core.config import Config

SOURCE = "canary"
MAX_COPIES = 1000


class Canaries(Config):
    """Made-up facts that are planted in the train side, to measure what is learned by heart."""

    copies: list[Annotated[int, Field(ge=1, le=MAX_COPIES)]] = Field(min_length=1, max_length=8)
    """How often a fact stands in one epoch; every number has facts of its own."""
    each: int = Field(default=4, ge=1, le=64)
    """Facts for each number of copies, so that a mean can be given."""

    @field_validator("copies")
    @classmethod
    def _distinct(cls, copies: list[int]) -> list[int]:
        if len(set(copies)) != len(copies):
            twice = next(count for count in copies if copies.count(count) > 1)
            raise ValueError(f"{twice} copies stand twice; name every number once")
        return copies


def source_id(copies: int) -> str:
    """`canary-64`: the source of the facts that stand so often."""
    return f"{SOURCE}-{copies}"
