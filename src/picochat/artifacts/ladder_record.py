"""ladder.json: the rungs of a ladder, each a finished training, and what they were made from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from picochat.artifacts.reports import CodeRecord
from picochat.artifacts.schema import Record, SchemaTag


class Rung(Record):
    """One training of a ladder: a size, a length, a seed, and what it came to on the held-out documents."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    """Its run folder, below the ladder."""
    purpose: Literal["fit", "seed"]
    """Whether the law is fitted to it, or it tells what another seed changes."""
    parameters: int = Field(gt=0)
    tokens: int = Field(gt=0)
    seed: int
    loss: float
    """Nats a target."""
    loss_se: float
    bpb: float
    bpb_se: float
    steps: int
    branch_step: int | None
    """The step of a longer training of the same size with which this one goes on; None: it began at its own start."""
    inputs: dict[str, str]
    """Digests of corpus, documents and tokenizer."""
    rules: str
    """Digest of what all rungs have in common beside them."""
    weights_digest: str
    run_digest: str
    report_sha256: str


class LadderRecord(Record):
    """The ladder as a prediction reads it."""

    schema_tag: SchemaTag = Field(alias="schema")
    profile: str
    made_at: str
    rungs: tuple[Rung, ...]
    rules: dict[str, Any]
    """Settings that all rungs share, by key."""
    settings: dict[str, Any]
    """How the ladder was laid out."""
    code: CodeRecord
    environment: dict[str, Any]
    self_digest: str
