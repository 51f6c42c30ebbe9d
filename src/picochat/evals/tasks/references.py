"""Published results by benchmark, read from one file: what stands beside our score, and whether it may be compared."""

from __future__ import annotations

import functools
from pathlib import Path

from pydantic import Field, model_validator

from picochat.core.config import Config, read_toml
from picochat.core.errors import refuse
from picochat.evals.tasks.facts import TABLE

FILE = Path(__file__).with_name("references.toml")


class Reference(Config):
    """One published result, or the range of several (`value` to `value_high`)."""

    benchmark: str
    model: str = Field(min_length=1)
    value: float
    value_high: float | None = None
    tokens: int | None = Field(default=None, gt=0)
    """Tokens that the model was trained on; None where it was not published."""
    harness: str
    shots: str
    metric: str
    source: str
    same_setup: bool
    """Same items, prompts, shots and metric as ours. Only then a comparison means anything."""

    @model_validator(mode="after")
    def _known(self) -> Reference:
        if self.benchmark not in TABLE:
            raise ValueError(f"benchmark {self.benchmark!r} is not in the table")
        if self.same_setup and self.metric != TABLE[self.benchmark].metric:
            raise ValueError(f"{self.model}: another metric cannot be the same setup")
        return self


class References(Config):
    """The whole file."""

    reference: list[Reference]


@functools.cache
def load_references() -> tuple[Reference, ...]:
    """All published results, in the order of the file."""
    return tuple(References.from_dict(read_toml(FILE), FILE.name).reference)


def references_of(benchmark: str) -> list[Reference]:
    """Those of one benchmark."""
    return [reference for reference in load_references() if reference.benchmark == benchmark]


def find_reference(benchmark: str, model: str) -> Reference:
    """The result of a model on a benchmark. Raises `config.value`, naming those that are known."""
    known = references_of(benchmark)
    for reference in known:
        if reference.model == model:
            return reference
    names = ", ".join(repr(reference.model) for reference in known) or "none"
    refuse("config.value", f"{benchmark} has no published result of {model!r}; known are {names}")
