"""What `generate` and `chat` share: the options of sampling, and text that is shown as it is made."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from picochat.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from picochat.cli.model_source import ModelSource
    from picochat.inference.sampling import SamplingParams


def sampling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which model speaks, and how it picks the next token."""
    for option in (
        click.option("--max-new-tokens", type=click.IntRange(min=1), default=128, show_default=True),
        click.option("--temperature", type=click.FloatRange(min=0), default=0.0, show_default=True, help="0: greedy."),
        click.option("--top-k", type=click.IntRange(min=0), default=0, show_default=True, help="0 keeps all tokens."),
        click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
        click.option("--checkpoint", type=click.Path(path_type=Path), help="A checkpoint folder, with --tokenizer."),
        click.option("--tokenizer", type=click.Path(path_type=Path)),
        click.option("--device", default="auto", show_default=True),
    ):
        command = option(command)
    return command


def open_speaker(run: str | None, stage: str, given: dict[str, Any]) -> tuple[ModelSource, SamplingParams]:
    """The model and the sampling that the options ask for; torch is imported here."""
    from picochat.cli.model_source import open_model
    from picochat.inference.sampling import SamplingParams

    names = ("temperature", "top_k", "top_p", "seed", "max_new_tokens")
    params = SamplingParams(**{name: given[name] for name in names})
    return open_model(run, stage, given["checkpoint"], given["tokenizer"], given["device"]), params


def iter_text(tok: Tokenizer, ids: Iterable[int]) -> Iterator[str]:
    """Text as it becomes whole: bytes of an unfinished character wait for the rest."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for token in ids:
        yield decoder.decode(tok.decode_bytes([token], skip_special=True))
    yield decoder.decode(b"", final=True)


def write_stream(pieces: Iterable[str]) -> str:
    """Shows pieces at once and returns the whole text."""
    parts = []
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
        parts.append(piece)
    sys.stdout.write("\n")
    return "".join(parts)
