"""What preflight judges beside the artifacts: numbers that were gathered from configuration, text and machine.

None is unknown, and what is unknown is `not_run`, never a pass. Nothing here is measured or decided.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

ABSENT = "absent"


@dataclass(frozen=True)
class RecipeFacts:
    """What base and SFT will do, resolved, beside what the rules derive."""

    parameters: int
    target_tokens: float
    """Tokens of base that the target ratio asks for."""
    planned_tokens: int
    """Tokens of base, padding included, in whole steps."""
    steps: int
    lr: float
    rule_lr: float
    step_tokens: int
    rule_step_tokens: int
    sft_lr: float
    long: bool
    """Whether boundary tokens are mandatory in shards."""
    data_mode: str


@dataclass(frozen=True)
class TokenFacts:
    """Unique tokens of the train side: counted, or estimated from tokenised documents with a 95 % interval."""

    unique: float | None = None
    interval: tuple[float, float] | None = None
    source: str = ""
    """The artifact that they were counted in."""
    documents: int | None = None
    """Documents that were tokenised for an estimate; None when all were counted."""


@dataclass(frozen=True)
class ChatFacts:
    """Counts over the chat rows of a run, as they are on disk."""

    rows: int
    categories: dict[str, int]
    mean_answer_words: dict[str, float]
    """Of the categories that the pack brings: generated skills answer in a word by design."""
    duplicate_prompts_frac: float
    tokenised_rows: int | None = None
    """Rows that were rendered to see whether they fit; None without a tokenizer."""
    too_long_frac: float | None = None
    epochs: float | None = None
    """Passes over the supervised rows that sft.loop.tokens pays for."""
    eval_rows: int = 0
    eval_without_rule: int = 0
    eval_unanswerable: int = 0
    eval_by_category: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class MachineFacts:
    """The machine that will train: this one, looked at, or a kind of GPU, from the table of cards."""

    name: str
    """`this machine`, or as asked: 8xH100."""
    seen: bool
    """False where figures come from a table: nothing was looked at."""
    ranks: int
    profile_ranks: int | None
    """None: the configuration is of no profile that is known."""
    device_fault: str | None = ""
    """Why the device that the configuration asks for is not there; empty when it is, None while nobody has looked."""
    precision: str = ""
    """What the configuration asks for."""
    precision_fault: str | None = None
    """Why it cannot be computed natively here; None is unknown, empty is fine."""
    attention_fault: str | None = None
    needed_memory_bytes: int | None = None
    memory_bytes: int | None = None
    """Of one device."""
    needed_disk_bytes: int | None = None
    free_disk_bytes: int | None = None


@dataclass(frozen=True)
class LaunchFacts:
    """What is true of a machine that is paid by the hour; absent where nothing is rented."""

    estimate_usd: float | None = None
    cap_usd: float | None = None
    prediction: str | None = None
    """`present`, `refused` (recorded), `absent`; None where there is no run to look into."""
    tokenises: bool | None = None
    """Whether text would be tokenised while GPUs are waited for."""


@dataclass(frozen=True)
class PreflightFacts:
    """All of it. `launch` is None where nothing is rented, `chat` where no rows were built."""

    recipe: RecipeFacts
    tokens: TokenFacts
    machine: MachineFacts
    chat: ChatFacts | None = None
    launch: LaunchFacts | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for preflight.json."""
        return dataclasses.asdict(self)
