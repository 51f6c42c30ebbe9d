"""`Codec` for a model of others: its own vocabulary, control tokens and chat template."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from picochat.artifacts import layout
from picochat.artifacts.import_record import ForeignTokenizer, ImportRecord, load_import, read_output
from picochat.core.errors import refuse
from picochat.tokenizer.chat import ROLES, ChatMessage
from picochat.tokenizer.foreign.origin import Veil, render_told
from picochat.tokenizer.foreign.template import ChatTemplate
from picochat.tokenizer.foreign.vocabulary import Vocabulary, read_vocabulary
from picochat.tokenizer.tokenizer import require_encodable


class ForeignCodec:
    """A vocabulary of others behind `Codec`. Data never becomes a control token; only the template sets those."""

    def __init__(self, vocabulary: Vocabulary, settings: ForeignTokenizer, template: str | None) -> None:
        self._vocabulary = vocabulary
        self.vocab_size = settings.vocab_size
        self.bos: int | None = settings.bos
        self.end_ids = frozenset(settings.end_ids)
        unused = (place for place, piece in enumerate(vocabulary.pieces) if piece is None)
        self.special_ids = frozenset((*settings.special, *unused))
        self._template = None if template is None else ChatTemplate(template, settings.variables, layout.CHAT_TEMPLATE)
        names = sorted(vocabulary.control, key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, names)) or r"(?!)")

    @classmethod
    def load(cls, root: Path, record: ImportRecord | None = None) -> Self:
        """The codec of an imported model, from files that are proved first. Raises `artifact.*`, `foreign.*`."""
        record = load_import(root) if record is None else record
        settings = record.tokenizer
        template = None
        if settings.chat_template is not None:
            template = read_output(root, record, layout.CHAT_TEMPLATE).decode()
        data = read_output(root, record, layout.TOKENIZER)
        what = str(root / layout.TOKENIZER)
        named = (*settings.variables.values(), *settings.special)
        vocabulary = read_vocabulary(data, what, settings.vocab_size, named, template or "")
        return cls(vocabulary, settings, template)

    def encode(self, text: str) -> list[int]:
        """Ids of a text, none of a control token. Raises `text.surrogate`."""
        return self._vocabulary.encode(text)

    def piece(self, token: int) -> bytes:
        """The bytes of an id; a special one, and one that no token has, by name. Raises `tokenizer.id`."""
        if not 0 <= token < self.vocab_size:
            refuse("tokenizer.id", f"id {token} is outside of the vocabulary of {self.vocab_size:,} ids")
        piece = self._vocabulary.pieces[token]
        return f"<|unused_{token}|>".encode() if piece is None else piece

    def render_chat(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Ids of a conversation and the start of an answer, as the model's own template has them.

        Raises `chat.role`, `chat.template` where there is none or it cannot be followed, `text.surrogate`.
        """
        for message in messages:
            if message.role not in ROLES:
                refuse("chat.role", f"role {message.role!r} is none of {', '.join(ROLES)}")
        text, veil = self._told(messages)
        return [token for part in self._parts(text, veil) for token in part]

    def token_behind_answer(self, messages: Sequence[ChatMessage]) -> int | None:
        """The control token that the template sets behind the last message, which the assistant said."""
        text, veil = self._told(messages, prompt=False)
        said = messages[-1].content.strip()
        at = veil.show(text).rfind(said)
        match = self._control.search(text, at + len(said)) if at >= 0 else None
        return None if match is None else self._vocabulary.control[match.group()]

    def _told(self, messages: Sequence[ChatMessage], prompt: bool = True) -> tuple[str, Veil]:
        if self._template is None:
            refuse("chat.template", "this model came without a chat template", fix="picochat generate continues texts")
        for message in messages:
            require_encodable(message.content)
        vocabulary = self._vocabulary
        control, markers = tuple(vocabulary.control), tuple(vocabulary.markers)
        return render_told(self._template, messages, control, markers, prompt)

    def _parts(self, text: str, veil: Veil) -> Iterator[list[int]]:
        """Control tokens that the template wrote, and the text between them, of template and messages together."""
        at = 0
        for match in self._control.finditer(text):
            yield self._vocabulary.encode(veil.show(text[at : match.start()]))
            yield [self._vocabulary.control[match.group()]]
            at = match.end()
        yield self._vocabulary.encode(veil.show(text[at:]))
