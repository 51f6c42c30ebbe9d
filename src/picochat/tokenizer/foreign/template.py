"""A chat template of somebody else, run in a process that can do nothing but answer."""

from __future__ import annotations

import datetime
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from picochat.core.clock import utc_now
from picochat.core.errors import refuse
from picochat.core.subprocesses import LineChild

MAX_TEMPLATE_BYTES = 1 << 18
MAX_ANSWER_BYTES = 1 << 27
WALL_S = 20.0
_CHILD = Path(__file__).with_name("child.py")
_ENVIRONMENT = {"LC_ALL": "C.UTF-8"}
Messages = Sequence[Mapping[str, str]]


class Failed(NamedTuple):
    """Why a template gave no text for a conversation."""

    reason: str


class ChatTemplate:
    """Renders conversations; `variables` are the names of tokens.

    The process starts with the first conversation (about 0.1 s) and stays. Raises `usage.extra` without jinja2.
    """

    def __init__(self, source: str, variables: Mapping[str, str], what: str) -> None:
        if importlib.util.find_spec("jinja2") is None:
            refuse(
                "usage.extra",
                f"{what} is a jinja2 template, and the package jinja2 is not installed",
                fix="pip install 'picochat[serve]'",
            )
        self.source, self.what = source, what
        self._variables = dict(variables)
        self._child = LineChild([sys.executable, "-I", str(_CHILD)], _ENVIRONMENT)

    def render(self, conversations: Sequence[Messages], prompt: bool = True) -> list[str | Failed]:
        """The text of each conversation, with `prompt` up to where the assistant's answer begins, or why there is none.

        Raises `chat.template` when the process was ended.
        """
        now = datetime.datetime.fromisoformat(utc_now()).isoformat()
        question = {"conversations": [list(map(dict, c)) for c in conversations], "variables": self._variables}
        lines = [_line({"template": self.source}), _line(question | {"now": now, "prompt": prompt})]
        answer = self._child.ask(lines, WALL_S, MAX_ANSWER_BYTES)
        if answer is None:
            refuse("chat.template", f"{self.what} was ended: it takes too long, too much memory, or says too much")
        texts = json.loads(answer)["texts"]
        return [text if isinstance(text, str) else Failed(text["error"]) for text in texts]

    def close(self) -> None:
        """Ends the process; the next conversation starts another."""
        self._child.close()


def _line(obj: object) -> bytes:
    return json.dumps(obj).encode() + b"\n"
