"""What serving and chatting need of a tokenizer, whoever trained it.

text -> encode -> ids           never a control token: what a user types is data
id -> piece -> bytes            joined and decoded by whoever shows text
conversation -> render_chat -> ids that end where the answer begins
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from picochat.tokenizer.chat import ChatMessage, render
from picochat.tokenizer.tokenizer import Tokenizer


class Codec(Protocol):
    """A vocabulary with its control tokens and its chat template."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def bos(self) -> int | None:
        """The id that begins a text in training, once; None where there is none."""
        ...

    @property
    def end_ids(self) -> frozenset[int]:
        """Each of them ends an answer."""
        ...

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids that stand for no text."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of a text as data. Raises `text.surrogate`."""
        ...

    def piece(self, token: int) -> bytes:
        """The text bytes of an id, the name of a special one. Raises `tokenizer.id`."""
        ...

    def render_chat(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Ids of a conversation up to where the assistant's answer begins. Raises `chat.role`."""
        ...


class PicochatCodec:
    """The tokenizer of a run behind `Codec`."""

    def __init__(self, tok: Tokenizer) -> None:
        self.tokenizer = tok
        self.vocab_size = tok.vocab_size
        self.bos: int | None = tok.bos
        self.end_ids = frozenset({tok.end, tok.eos})
        self.special_ids = frozenset(tok.specials.values())

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without any special token. Raises `text.surrogate`."""
        return self.tokenizer.encode(text)

    def piece(self, token: int) -> bytes:
        """The bytes of an id, a special token by its name. Raises `tokenizer.id`."""
        return self.tokenizer.decode_bytes([token])

    def render_chat(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Ids of a conversation and the start of an answer. Raises `chat.role`, `text.surrogate`."""
        return render(messages, self.tokenizer, add_generation_prompt=True).ids
