"""picochat generate: continue a text."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from picochat.artifacts import layout
from picochat.cli import options
from picochat.cli.console import build_console, print_json
from picochat.tokenizer.tokenizer import Tokenizer


def sampling_options(command):
    """The options that decide how the next token is picked."""
    for option in (
        click.option("--max-new-tokens", type=click.IntRange(min=1), default=128, show_default=True),
        click.option(
            "--temperature", type=click.FloatRange(min=0), default=0.0, show_default=True, help="0 is greedy."
        ),
        click.option("--top-k", type=click.IntRange(min=0), default=0, show_default=True, help="0 keeps all tokens."),
        click.option("--top-p", type=click.FloatRange(min=0, max=1, min_open=True), default=1.0, show_default=True),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
        click.option("--checkpoint", type=click.Path(path_type=Path), help="A checkpoint folder, with --tokenizer."),
        click.option("--tokenizer", type=click.Path(path_type=Path)),
        click.option("--device", default="auto", show_default=True),
    ):
        command = option(command)
    return command


@click.command()
@options.run_argument
@click.option("--prompt", required=True, help="The text to continue; - reads standard input.")
@click.option("--stage", type=click.Choice([layout.BASE, layout.SFT]), default=layout.BASE, show_default=True)
@sampling_options
@options.json_option
def generate(
    run: str | None,
    prompt: str,
    stage: str,
    max_new_tokens: int,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int,
    checkpoint: Path | None,
    tokenizer: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Continue a text with the base model of RUN (default: the newest run)."""
    from picochat.cli.model_source import open_model
    from picochat.inference.sampling import SamplingParams, stream

    text = sys.stdin.read() if prompt == "-" else prompt
    source = open_model(run, stage, checkpoint, tokenizer, device)
    tok = source.tokenizer
    params = SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed, max_new_tokens=max_new_tokens)
    ids = [tok.bos, *tok.encode(text)][-source.loaded.model.config.max_seq_len + 1 :]
    pieces = stream(source.loaded.model, ids, params, {tok.eos, tok.end}, source.loaded.autocast)
    if as_json:
        reply = "".join(iter_text(tok, pieces))
        print_json({"prompt": text, "text": reply, "model": source.label})
        return
    build_console(stderr=True).print(source.label, style="dim", markup=False)
    sys.stdout.write(text)
    write_stream(iter_text(tok, pieces))


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
