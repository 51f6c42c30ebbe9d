"""A conversation on the terminal: lines in, answers out, and commands that begin with a slash.

Answers go to standard output and everything about them to standard error. Without a terminal nothing is prompted for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from rich.console import Console

from picochat.artifacts import layout
from picochat.cli.chat_commands import HELP, Command, find_command
from picochat.cli.model_source import ModelSource
from picochat.cli.sampling import Manner
from picochat.cli.speaker import Answer, Show, Speaker, probability, show_text, visible
from picochat.core.errors import PicochatError, refuse
from picochat.core.fs import write_atomic
from picochat.data.conversations import ConversationRow, Message, encode_rows
from picochat.inference.engine.request import ScoredToken


class Turn(NamedTuple):
    """One message of the conversation."""

    role: str
    content: str
    weight: float = 1.0


class Speakers:
    """The models of one run by stage, each loaded when it is first asked. A context manager."""

    def __init__(self, open_stage: Callable[[str], ModelSource], stage: str) -> None:
        self._open, self.stage = open_stage, stage
        self._stack = ExitStack()
        self._speakers: dict[str, Speaker] = {}

    def __enter__(self) -> Self:
        self.of(self.stage)
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    @property
    def current(self) -> Speaker:
        return self.of(self.stage)

    def of(self, stage: str) -> Speaker:
        """Raises `checkpoint.*` where the stage left no model."""
        if stage not in self._speakers:
            self._speakers[stage] = self._stack.enter_context(Speaker(self._open(stage)))
        return self._speakers[stage]


class Conversation:
    """What was said, who answers, and how."""

    def __init__(self, speakers: Speakers, manner: Manner, console: Console) -> None:
        self.speakers, self.manner = speakers, manner
        self.turns: list[Turn] = []
        self.probs = self.both = False
        self._console = console
        self._dropped = 0

    def run(self) -> None:
        """Reads lines until the end of input or /quit."""
        self.tell(self.speakers.current.label)
        self.tell(HELP)
        prompted = sys.stdin.isatty()
        while True:
            try:
                if prompted:
                    self._console.print("> ", end="", markup=False)
                line = sys.stdin.readline()
                if not line or not self.hear(line.strip()):
                    return
            except KeyboardInterrupt:
                if not prompted:
                    raise
                self.tell("\n/quit ends")

    def hear(self, text: str) -> bool:
        """One line. False when the conversation is to end; what goes wrong is told, and the conversation goes on."""
        try:
            if text.startswith("/"):
                command = find_command(text)
                return self.obey(command)
            if text:
                self.say(text)
        except PicochatError as err:
            self._console.print("\n".join(err.lines()), markup=False)
        return True

    def say(self, text: str) -> None:
        """A question and its answer, or its two answers; one that cannot be asked leaves everything as it was."""
        stages = [layout.BASE, layout.SFT] if self.both else [self.speakers.stage]
        reply = ""
        for stage in stages:
            speaker = self.speakers.of(stage)
            if self.both:
                self.tell(f"{stage}:")
            found = self.ask(text, show_text, speaker)
            show_text("\n")
            self.tell(found.summary())
            if self.probs:
                self.tell(" ".join(describe_token(speaker, scored) for scored in found.tokens))
            reply = found.text
        self.turns += [Turn("user", text), Turn("assistant", reply)]

    def ask(self, text: str, show: Show, speaker: Speaker | None = None) -> Answer:
        """The answer to a question after what was said. Raises `prompt.too_long`, `text.surrogate`."""
        speaker = speaker or self.speakers.current
        return speaker.answer(self._fit([*self.turns, Turn("user", text)], speaker), self.manner, show)

    def tell(self, text: str) -> None:
        """Something about the conversation."""
        self._console.print(text, style="dim", markup=False)

    def obey(self, command: Command) -> bool:
        """A /command. False when the conversation is to end."""
        name, value = command
        sampling = self.manner.sampling
        match name:
            case "quit":
                return False
            case "temp":
                self.manner = replace(self.manner, sampling=replace(sampling, temperature=value))
            case "topk":
                self.manner = replace(self.manner, sampling=replace(sampling, top_k=value))
            case "seed":
                self.manner = replace(self.manner, sampling=replace(sampling, seed=value))
            case "base" | "sft":
                self.tell(self.speakers.of(name).label)
                self.speakers.stage, self.both = name, False
            case "both":
                self.tell(f"{self.speakers.of(layout.BASE).label}\n{self.speakers.of(layout.SFT).label}")
                self.both = True
            case "probs":
                self.probs = not self.probs
                self.tell(f"probabilities are {'shown' if self.probs else 'not shown'}")
            case "save":
                self._save(value)
            case "reset":
                self.turns, self._dropped = [], 0
            case "undo":
                self.turns = self.turns[:-2]
            case "history":
                said = "\n".join(f"{turn.role}: {turn.content}" for turn in self.turns)
                self.tell(visible(said) or "nothing was said yet")
            case _:
                self.tell(HELP)
        return True

    def _fit(self, turns: Sequence[Turn], speaker: Speaker) -> list[int]:
        """Ids of the conversation; the oldest exchanges go when the context is full, and that is told."""
        kept = list(turns)
        ids = speaker.codec.render_chat(kept)
        while len(kept) > 1 and len(ids) > self.manner.prompt_room(speaker.context):
            kept = kept[2:]
            ids = speaker.codec.render_chat(kept)
        if len(ids) >= speaker.context:
            refuse("prompt.too_long", f"the question has {len(ids):,} tokens, the context has {speaker.context:,}")
        if (dropped := len(turns) - len(kept)) > self._dropped:
            self._dropped = dropped
            self.tell(f"the context of {speaker.context:,} tokens is full: the oldest {dropped} messages are left out")
        return ids

    def _save(self, name: str) -> None:
        """The conversation as a chat row of a pack, without questions that got no answer.

        Raises `usage.path` or `disk.*`.
        """
        path = Path(name)
        exchanges = [pair for pair in zip(self.turns[::2], self.turns[1::2], strict=True) if pair[1].content.strip()]
        if not exchanges:
            refuse("usage.path", "no answer was given yet", fix="ask something first")
        if path.exists() or not path.parent.is_dir():
            wrong = "exists" if path.exists() else f"cannot be written: there is no folder {path.parent}"
            refuse("usage.path", f"{path} {wrong}", fix="choose another name")
        messages = [Message.model_validate({"role": t.role, "content": t.content}) for pair in exchanges for t in pair]
        write_atomic(path, encode_rows([ConversationRow(category="chat", messages=messages)]))
        self.tell(f"{len(messages)} messages are in {path}")


def describe_token(speaker: Speaker, scored: ScoredToken) -> str:
    """`'the' 0.42`."""
    text = speaker.codec.piece(scored.token).decode("utf-8", "backslashreplace")
    return f"{text!r} {probability(scored):.2f}"
