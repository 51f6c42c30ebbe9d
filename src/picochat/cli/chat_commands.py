"""The commands of a conversation, and what they take."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from picochat.core.errors import refuse


class Command(NamedTuple):
    """A command's name, without the slash, and its value, None where it takes none."""

    name: str
    value: Any = None


def _temperature(text: str) -> float:
    value = float(text)
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(text)
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


TAKES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "temp": ("a number from 0, such as /temp 0.8", _temperature),
    "topk": ("a whole number from 0, such as /topk 40", _count),
    "seed": ("a whole number from 0, such as /seed 7", _count),
    "save": ("the name of a new file, such as /save talk.jsonl", str),
}
PLAIN = ("probs", "base", "sft", "both", "reset", "undo", "history", "help", "quit")
HELP = """\
/temp T, /topk K and /seed N change the sampling; /probs shows the probability of each token
/base, /sft and /both choose who answers; /save FILE keeps the conversation
/reset forgets it, /undo the last exchange, /history shows it; /help shows this, /quit ends"""


def find_command(line: str) -> Command:
    """The command of a line that begins with a slash. Raises `chat.command` with the nearest spelling."""
    name, _, text = line[1:].partition(" ")
    text = text.strip()
    if name in PLAIN:
        if text:
            refuse("chat.command", f"/{name} takes no value, {text!r} was given")
        return Command(name)
    if name not in TAKES:
        near = difflib.get_close_matches(name, (*PLAIN, *TAKES), n=1)
        refuse("chat.command", f"there is no command /{name}" + (f"; did you mean /{near[0]}?" if near else ""))
    wanted, parse = TAKES[name]
    try:
        if not text:
            raise ValueError
        return Command(name, parse(text))
    except (ValueError, OverflowError):
        refuse("chat.command", f"/{name} {text!r}: it takes {wanted}", fix=f"give {wanted}")
