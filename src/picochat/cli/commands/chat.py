"""picochat chat: talk to a trained model."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import click

from picochat.artifacts import layout
from picochat.cli import options
from picochat.cli.console import build_console, print_json
from picochat.cli.sampling import iter_text, open_speaker, sampling_options, write_stream
from picochat.core.errors import PicochatError, refuse

HELP = "/reset forgets the conversation, /undo the last exchange, /history shows it, /quit ends"


class Turn(NamedTuple):
    """One message of the conversation."""

    role: str
    content: str
    weight: float = 1.0


@click.command()
@options.run_argument
@click.option("--prompt", help="Ask one question, print the answer, and end.")
@sampling_options
@options.json_option
def chat(run: str | None, prompt: str | None, as_json: bool, **sampling: Any) -> None:
    """Talk to the chat model of RUN (default: the newest run). Lines that begin with / are commands."""
    source, params = open_speaker(run, layout.SFT, sampling)
    if prompt is not None:
        pieces = answer(source, [Turn("user", prompt)], params)
        if as_json:
            print_json({"prompt": prompt, "text": "".join(pieces), "model": source.label})
        else:
            write_stream(pieces)
        return
    console = build_console(stderr=True)
    console.print(f"{source.label}\n{HELP}", style="dim", markup=False)
    converse(source, params, console)


def answer(source, turns: list[Turn], params):
    """The pieces of the model's reply to a conversation; the oldest exchanges go when the context is full."""
    from picochat.inference.sampling import stream
    from picochat.tokenizer.chat import render

    tok, model = source.tokenizer, source.loaded.model
    room = model.config.max_seq_len - min(params.max_new_tokens, model.config.max_seq_len // 2)
    kept = list(turns)
    while len(kept) > 1 and len(render(kept, tok, add_generation_prompt=True).ids) > room:
        kept = kept[2:]
    ids = render(kept, tok, add_generation_prompt=True).ids
    if len(ids) >= model.config.max_seq_len:
        refuse("prompt.too_long", f"the question has {len(ids):,} tokens, the context has {model.config.max_seq_len:,}")
    return iter_text(tok, stream(model, ids, params, {tok.end, tok.eos}, source.loaded.autocast))


def converse(source, params, console) -> None:
    """Reads lines until the end of input or /quit."""
    turns: list[Turn] = []
    while True:
        console.print("> ", end="", markup=False)
        line = sys.stdin.readline()
        if not line or line.strip() == "/quit":
            return
        text = line.strip()
        if text.startswith("/"):
            turns = obey(text, turns, console)
        elif text:
            turns = say(source, turns, text, params, console)


def say(source, turns: list[Turn], text: str, params, console) -> list[Turn]:
    """The conversation after a question and its answer; one that cannot be asked leaves it as it was."""
    asked = [*turns, Turn("user", text)]
    try:
        reply = write_stream(answer(source, asked, params)).rstrip("\n")
    except PicochatError as err:
        console.print("\n".join(err.lines()), markup=False)
        return turns
    return [*asked, Turn("assistant", reply)]


def obey(command: str, turns: list[Turn], console) -> list[Turn]:
    """The conversation after a /command."""
    if command == "/reset":
        return []
    if command == "/undo":
        return turns[:-2]
    lines = [f"{turn.role}: {turn.content}" for turn in turns] if command == "/history" else [HELP]
    console.print("\n".join(lines) or "nothing was said yet", style="dim", markup=False)
    return turns
