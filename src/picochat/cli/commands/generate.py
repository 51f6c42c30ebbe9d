"""picochat generate: continue a text."""

from __future__ import annotations

import sys
from typing import Any

import click

from picochat.artifacts import layout
from picochat.cli import options
from picochat.cli.console import build_console, print_json
from picochat.cli.sampling import Manner, sampling_options

INTERRUPTED = 130


@click.command()
@options.run_argument
@click.option("--prompt", "-p", required=True, help="The text to continue; - reads standard input.")
@click.option("--stage", type=click.Choice([layout.BASE, layout.SFT]), default=layout.BASE, show_default=True)
@sampling_options
@options.json_option
def generate(run: str | None, prompt: str, stage: str, as_json: bool, **sampling: Any) -> int:
    """Continue a text with the base model of RUN (default: the newest run)."""
    from picochat.cli.model_source import open_model
    from picochat.cli.speaker import Speaker, show_text

    text = sys.stdin.read() if prompt == "-" else prompt
    manner = Manner.of(sampling)
    source = open_model(run, stage, sampling["checkpoint"], sampling["tokenizer"], sampling["device"])
    with Speaker(source) as speaker:
        # The beginning of a prompt that is longer than the context has no place beside its continuation.
        room = manner.prompt_room(speaker.context)
        bos = [] if source.codec.bos is None else [source.codec.bos]
        ids = [*bos, *source.codec.encode(text)[-(room - len(bos)) :]]
        if as_json:
            found = speaker.answer(ids, manner, lambda _: None)
            print_json({"prompt": text, "model": source.label, **describe(found)})
            return interrupted_code(found)
        console = build_console(stderr=True)
        console.print(source.label, style="dim", markup=False)
        show_text(text)
        found = speaker.answer(ids, manner, show_text)
        show_text("\n")
        console.print(found.summary(), style="dim", markup=False)
        return interrupted_code(found)


def describe(found: Any) -> dict[str, Any]:
    """An answer as the document of --json tells it."""
    return {
        "text": found.text,
        "finish": found.finish,
        "tokens": len(found.tokens),
        "tokens_per_s": round(found.tokens_per_s, 2),
        "mean_probability": round(found.mean_probability, 6),
    }


def interrupted_code(found: Any) -> int:
    """The exit code of a command whose one answer was stopped by hand, or not."""
    return INTERRUPTED if found.finish == "cancelled" else 0
