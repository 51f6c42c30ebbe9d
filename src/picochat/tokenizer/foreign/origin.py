"""Which characters of a rendered conversation a template wrote, and which a message.

A template gives one text, and in it a control token that somebody typed looks like one that the template set. So the
conversation is rendered again with characters of the messages replaced by private ones, one for one: what comes out
private was said in a message, whatever the template stripped, cut or moved. The replacement proves itself: put back,
the text must be that of the plain rendering.

    all     every character but white space is private: for templates that pass contents on, stripped or not
    begins  only characters with which a control token could begin: for templates that look into contents
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol

from picochat.core.errors import refuse
from picochat.tokenizer.foreign.template import ChatTemplate, Failed

_PRIVATE = (range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))


class Message(Protocol):
    @property
    def role(self) -> str: ...

    @property
    def content(self) -> str: ...


class Veil:
    """Private characters in place of others, and back. None of them stands in `taken`, a text that passes by."""

    def __init__(self, taken: str) -> None:
        used = set(taken)
        self._free = (chr(code) for codes in _PRIVATE for code in codes if chr(code) not in used)
        self._private: dict[str, str] = {}
        self._plain: dict[str, str] = {}

    def hide(self, character: str) -> str:
        """The private character of one; the same for equal ones."""
        if character not in self._private:
            private = next(self._free)
            self._private[character], self._plain[private] = private, character
        return self._private[character]

    def show(self, text: str) -> str:
        """The text with every private character put back."""
        return text.translate({ord(private): plain for private, plain in self._plain.items()})


def render_told(
    template: ChatTemplate,
    messages: Sequence[Message],
    control: Collection[str],
    markers: Collection[str],
    prompt: bool = True,
) -> tuple[str, Veil]:
    """The rendered conversation with its veil: text that is not private may be read for control tokens.

    `control` are the names of all control tokens; `markers` those among them that are no special tokens, which stay
    control tokens in what the assistant said: it made them itself, and templates look for them there.
    Raises `chat.template`.
    """
    plain = [{"role": message.role, "content": message.content} for message in messages]
    taken = template.source + "".join(control) + "".join(message["content"] for message in plain)
    veils = [Veil(taken), Veil(taken)]
    begins = {name[0] for name in control}
    hidden = [
        [m | {"content": _hide(m, markers, veils[0], lambda c: True)} for m in plain],
        [m | {"content": _hide(m, markers, veils[1], begins.__contains__)} for m in plain],
    ]
    wanted, *veiled = template.render([plain, *hidden], prompt)
    if isinstance(wanted, Failed):
        refuse("chat.template", f"{template.what} refuses the conversation: {wanted.reason}")
    for found, told, veil in zip(veiled, hidden, veils, strict=True):
        if isinstance(found, str) and veil.show(found) == wanted:
            _require_asked(template, told, found)
            return found, veil
    refuse(
        "chat.template",
        f"{template.what} changes what a message says, so that its words cannot be told from the template's own",
    )


def _hide(message: dict[str, str], markers: Collection[str], veil: Veil, wanted: Callable[[str], bool]) -> str:
    """A message's text behind the veil; of the assistant's, markers stay as they are: it set them itself."""
    text = message["content"]
    told = message["role"] == "assistant"
    bare = {at + n for name in markers if told for at in _places(text, name) for n in range(len(name))}
    return "".join(c if c.isspace() or at in bare or not wanted(c) else veil.hide(c) for at, c in enumerate(text))


def _places(text: str, name: str) -> Iterator[int]:
    at = text.find(name)
    while at >= 0:
        yield at
        at = text.find(name, at + 1)


def _require_asked(template: ChatTemplate, messages: Sequence[dict[str, str]], text: str) -> None:
    """Every question of the user stands in the text, in order: a template that drops one changes the conversation."""
    at = 0
    for message in messages:
        wanted = message["content"].strip()
        if message["role"] == "user" and wanted:
            at = text.find(wanted, at)
            if at < 0:
                refuse("chat.template", f"{template.what} leaves out what the user said")
            at += len(wanted)
