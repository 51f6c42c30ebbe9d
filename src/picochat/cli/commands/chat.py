"""picochat chat: talk to a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from picochat.artifacts import layout
from picochat.cli import options
from picochat.cli.commands.generate import describe, interrupted_code
from picochat.cli.console import build_console, print_json
from picochat.cli.sampling import Manner, sampling_options
from picochat.core.errors import refuse


@click.command()
@options.run_argument
@click.option("--prompt", "-p", help="Ask one question, print the answer, and end.")
@sampling_options
@options.json_option
def chat(run: str | None, prompt: str | None, as_json: bool, **sampling: Any) -> int:
    """Talk to the chat model of RUN (default: the newest run). Lines that begin with / are commands."""
    from picochat.cli.conversation import Conversation, Speakers
    from picochat.cli.speaker import show_text

    if as_json and prompt is None:
        refuse("usage.path", "--json without --prompt: a conversation is no document", fix="add --prompt TEXT")
    console = build_console(stderr=True)
    with Speakers(build_opener(run, sampling), layout.SFT) as speakers:
        conversation = Conversation(speakers, Manner.of(sampling), console)
        if prompt is None:
            conversation.run()
            return 0
        found = conversation.ask(prompt, (lambda _: None) if as_json else show_text)
        if as_json:
            print_json({"prompt": prompt, "model": speakers.current.label, **describe(found)})
        else:
            show_text("\n")
            console.print(found.summary(), style="dim", markup=False)
        return interrupted_code(found)


def build_opener(run: str | None, given: dict[str, Any]) -> Any:
    """A function from a stage to its model: of the run, or of the folder beside --checkpoint.

    The model that was named first stands for `sft`, whatever trained it.
    """
    from picochat.cli.model_source import open_model

    checkpoint: Path | None = given["checkpoint"]

    def open_stage(stage: str) -> Any:
        folder = checkpoint
        if folder is not None and stage != layout.SFT:
            folder = folder.absolute().parent.parent / layout.checkpoint_dir(stage)
        return open_model(run, stage, folder, given["tokenizer"], given["device"])

    return open_stage
