"""picochat generate: continue a text."""

from __future__ import annotations

import sys
from typing import Any

import click

from picochat.artifacts import layout
from picochat.cli import options
from picochat.cli.console import build_console, print_json
from picochat.cli.sampling import iter_text, open_speaker, sampling_options, write_stream


@click.command()
@options.run_argument
@click.option("--prompt", required=True, help="The text to continue; - reads standard input.")
@click.option("--stage", type=click.Choice([layout.BASE, layout.SFT]), default=layout.BASE, show_default=True)
@sampling_options
@options.json_option
def generate(run: str | None, prompt: str, stage: str, as_json: bool, **sampling: Any) -> None:
    """Continue a text with the base model of RUN (default: the newest run)."""
    text = sys.stdin.read() if prompt == "-" else prompt
    source, params = open_speaker(run, stage, sampling)
    from picochat.inference.sampling import stream

    tok, model = source.tokenizer, source.loaded.model
    # The beginning of a prompt that is longer than the context has no place beside its continuation.
    room = model.config.max_seq_len - min(params.max_new_tokens, model.config.max_seq_len // 2)
    ids = [tok.bos, *tok.encode(text)[-room + 1 :]]
    pieces = iter_text(tok, stream(model, ids, params, {tok.eos, tok.end}, source.loaded.autocast))
    if as_json:
        print_json({"prompt": text, "text": "".join(pieces), "model": source.label})
        return
    build_console(stderr=True).print(source.label, style="dim", markup=False)
    sys.stdout.write(text)
    write_stream(pieces)
