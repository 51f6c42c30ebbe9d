"""Chat and eval rows: their shape, and strict reading and canonical writing as JSON lines."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from picochat.core.config import Config
from picochat.core.errors import PicochatError, refuse
from picochat.core.jsonio import canonical_json, parse_json

Role = Literal["system", "user", "assistant", "tool"]
EvalRule = Literal["exact", "numeric", "word", "option", "pair", "refuse", "benign"]
Row = TypeVar("Row", bound=Config)


class Message(Config):
    """One turn; `weight: 0` keeps an assistant turn out of the loss."""

    role: Role
    content: str = Field(min_length=1)
    weight: Literal[0, 1] = 1

    @model_validator(mode="after")
    def _content_says_something(self) -> "Message":
        if not self.content.strip():
            raise ValueError(f"the {self.role} message is blank")
        return self


def require_turn_order(messages: list[Message], last: Role) -> None:
    """Raises ValueError unless user and assistant take turns up to `last`; one system message may stand first.

    A tool message follows an assistant message and is followed by an assistant message.
    """
    after: dict[str, tuple[str, ...]] = {
        "": ("system", "user"),
        "system": ("user",),
        "user": ("assistant",),
        "assistant": ("user", "tool"),
        "tool": ("assistant", "tool"),
    }
    previous = ""
    for index, message in enumerate(messages):
        if message.role not in after[previous]:
            raise ValueError(f"message {index} is {message.role}, expected {' or '.join(after[previous])}")
        previous = message.role
    if previous != last:
        raise ValueError(f"the last message is {previous or 'missing'}, expected {last}")


class ChatRow(Config):
    """What every chat row may say about itself."""

    category: str = Field(min_length=1)
    template: str | None = None
    entities: list[str] = Field(default_factory=list)
    id: str | None = None
    source: str | None = None
    licence: str | None = None

    def to_messages(self) -> list[Message]:
        """The conversation in turn order."""
        raise NotImplementedError


class PairRow(ChatRow):
    """One exchange."""

    user: str
    assistant: str
    system: str | None = None

    @model_validator(mode="after")
    def _turns_are_valid(self) -> "PairRow":
        for name in ("user", "assistant"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} is empty")
        if self.system is not None and not self.system.strip():
            raise ValueError("system is empty")
        return self

    def to_messages(self) -> list[Message]:
        """System if there is one, user, assistant."""
        system = [Message(role="system", content=self.system)] if self.system is not None else []
        return [*system, Message(role="user", content=self.user), Message(role="assistant", content=self.assistant)]


class ConversationRow(ChatRow):
    """Several turns; at least one assistant message counts."""

    messages: list[Message] = Field(min_length=1)

    @model_validator(mode="after")
    def _turns_are_valid(self) -> "ConversationRow":
        require_turn_order(self.messages, last="assistant")
        if not any(message.role == "assistant" and message.weight for message in self.messages):
            raise ValueError("no assistant message has a weight: nothing to learn")
        return self

    def to_messages(self) -> list[Message]:
        """The messages as they stand."""
        return list(self.messages)


class EvalRow(Config):
    """A question and the rule that judges the reply. `options` are the full strings compared, `answer` one of them."""

    id: str = Field(min_length=1)
    rule: EvalRule
    category: str = Field(min_length=1)
    user: str | None = None
    messages: list[Message] | None = None
    expected: list[str] = Field(default_factory=list)
    distractors: list[str] = Field(default_factory=list)
    forbidden: list[str] = Field(default_factory=list)
    options: list[str] = Field(default_factory=list)
    answer: str | None = None
    template: str | None = None
    entities: list[str] = Field(default_factory=list)
    level: str | None = None
    answerable: bool = True
    max_words: int = Field(default=30, ge=1)
    echo_ok: bool = False
    source: str | None = None

    @model_validator(mode="after")
    def _question_is_whole(self) -> "EvalRow":
        if (self.user is None) == (self.messages is None):
            raise ValueError("give either user or messages")
        if self.user is not None and not self.user.strip():
            raise ValueError("user is empty")
        if self.messages is not None:
            require_turn_order(self.messages, last="user")
        return self

    @model_validator(mode="after")
    def _rule_has_its_fields(self) -> "EvalRow":
        if self.rule in ("exact", "numeric", "word", "benign") and not any(text.strip() for text in self.expected):
            raise ValueError(f"rule {self.rule} needs expected")
        if self.rule in ("option", "pair"):
            if len(set(self.options)) < 2 or len(set(self.options)) < len(self.options):
                raise ValueError(f"rule {self.rule} needs two or more different options")
            if self.answer not in self.options:
                raise ValueError("answer is not one of the options")
        return self

    def to_messages(self) -> list[Message]:
        """The prompt in turn order."""
        return list(self.messages) if self.messages is not None else [Message(role="user", content=self.user or "")]


def parse_chat_row(value: Any) -> PairRow | ConversationRow:
    """A pair row or, when it has `messages`, a conversation row; raises pydantic's ValidationError."""
    if isinstance(value, dict) and "messages" in value:
        return ConversationRow.model_validate(value)
    return PairRow.model_validate(value)


def read_chat_rows(path: Path) -> list[PairRow | ConversationRow]:
    """All rows of a chat file; a bad row is refused with its line (`chat.row`), an empty file with `chat.empty`."""
    rows = []
    for number, line in _iter_lines(path):
        try:
            rows.append(parse_chat_row(parse_json(line, f"{path}:{number}")))
        except (ValidationError, PicochatError) as error:
            _refuse_row("chat.row", path, number, error)
    return rows


def read_eval_rows(path: Path) -> list[EvalRow]:
    """All rows of an eval file; a bad row or a repeated id is refused with its line (`eval.row`)."""
    rows: dict[str, EvalRow] = {}
    for number, line in _iter_lines(path):
        try:
            row = EvalRow.model_validate(parse_json(line, f"{path}:{number}"))
        except (ValidationError, PicochatError) as error:
            _refuse_row("eval.row", path, number, error)
        if row.id in rows:
            refuse(
                "eval.row",
                f"{path} line {number}: id {row.id!r} stands on an earlier line too",
                fix="give each row its own id",
            )
        rows[row.id] = row
    return list(rows.values())


def encode_rows(rows: Iterable[Row]) -> bytes:
    """Canonical JSON lines, one row a line; fields at their default are left out."""
    return b"".join(canonical_json(row.model_dump(exclude_defaults=True)) + b"\n" for row in rows)


def _iter_lines(path: Path) -> list[tuple[int, bytes]]:
    if not path.is_file():
        refuse("usage.path", f"{path} is not a file", fix="give the path of a JSON lines file")
    lines = [(number, line) for number, line in enumerate(path.read_bytes().split(b"\n"), 1) if line.strip()]
    if not lines:
        refuse("chat.empty", f"{path} holds 0 rows, at least 1 is needed", fix=f"write rows to {path}")
    return lines


def _refuse_row(code: str, path: Path, number: int, error: ValidationError | PicochatError) -> None:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        text = f"{where}: {first['msg']}" if where else str(first["msg"])
    else:
        text = error.detail
    refuse(code, f"{path} line {number}: {text}", fix=f"mend line {number} of {path}")
