"""What `generate` and `chat` share: the options of sampling, and what they ask the engine for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import click

from picochat.inference.engine.request import Request, Sampling

SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed")


def sampling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which model speaks, and how it picks the next token."""
    for option in (
        click.option("--max-new-tokens", type=click.IntRange(min=1), default=128, show_default=True),
        click.option("--temperature", type=click.FloatRange(min=0), default=0.0, show_default=True, help="0: greedy."),
        click.option("--top-k", type=click.IntRange(min=0), default=0, show_default=True, help="0 keeps all tokens."),
        click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True),
        click.option(
            "--min-p",
            type=click.FloatRange(0, 1),
            default=0.0,
            show_default=True,
            help="Drop tokens below this share of the likeliest.",
        ),
        click.option(
            "--repetition-penalty",
            type=click.FloatRange(min=0, min_open=True),
            default=1.0,
            show_default=True,
            help="Above 1 makes tokens of prompt and answer rarer.",
        ),
        click.option("--stop", multiple=True, metavar="TEXT", help="End before this text; may be given again."),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
        click.option("--checkpoint", type=click.Path(path_type=Path), help="A checkpoint folder, with --tokenizer."),
        click.option("--tokenizer", type=click.Path(path_type=Path)),
        click.option("--device", default="auto", show_default=True),
    ):
        command = option(command)
    return command


@dataclass(frozen=True)
class Manner:
    """How answers are made: the sampling, how long they may get, and what ends them."""

    sampling: Sampling
    max_new_tokens: int
    stop: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: dict[str, Any]) -> Self:
        """From the options as click gives them."""
        sampling = Sampling(**{name: given[name] for name in SAMPLING})
        return cls(sampling, given["max_new_tokens"], given["stop"])

    def prompt_room(self, context: int) -> int:
        """The tokens that a prompt may have: the answer's are kept free, but at most half of the context."""
        return context - min(self.max_new_tokens, context // 2)

    def build_request(self, ids: Sequence[int], context: int, end_ids: frozenset[int]) -> Request:
        """The answer may be as long as asked for, and as the context has room for."""
        limit = min(self.max_new_tokens, context - len(ids))
        return Request(ids, limit, self.sampling, self.stop, end_ids, logprobs=0)
