"""The one renderer of conversations: ids and loss mask for training, evaluation and serving.

    <|bos|><|system|>S<|end|><|user|>U<|end|><|assistant|>A<|end|><|user|>U2<|end|><|assistant|>

Contents are encoded as plain text, each on its own: what a user types can never become a control token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from picochat.core.errors import refuse
from picochat.tokenizer.tokenizer import Tokenizer

ROLES = ("system", "user", "assistant", "tool")

CHAT_TEMPLATE_JINJA = (
    "{{ '<|bos|>' }}"
    "{% for message in messages %}"
    "{% if message['role'] not in ['system', 'user', 'assistant', 'tool'] %}"
    "{{ raise_exception('unknown role ' + message['role']) }}"
    "{% endif %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""The same template for other engines; `raise_exception` is the function that they hand to templates."""


class ChatMessage(Protocol):
    """What the renderer reads. A `weight` of 0 takes an assistant message out of the loss."""

    @property
    def role(self) -> str: ...

    @property
    def content(self) -> str: ...

    @property
    def weight(self) -> float: ...


class Rendered(NamedTuple):
    """`mask[i]` says whether `ids[i]` is a target of the loss: assistant text and the `<|end|>` after it."""

    ids: list[int]
    mask: list[bool]

    @property
    def supervised_tokens(self) -> int:
        return sum(self.mask)


def render(messages: Sequence[ChatMessage], tok: Tokenizer, *, add_generation_prompt: bool = False) -> Rendered:
    """Renders a conversation; with `add_generation_prompt` it ends where the assistant's answer begins.

    Raises `chat.role` for an unknown role and `text.surrogate` for a content that is not text.
    """
    starts = {"system": tok.system, "user": tok.user, "assistant": tok.assistant, "tool": tok.tool}
    ids, mask = [tok.bos], [False]
    for message in messages:
        if message.role not in starts:
            refuse("chat.role", f"role {message.role!r} is none of {', '.join(ROLES)}")
        body = [*tok.encode(message.content), tok.end]
        ids += [starts[message.role], *body]
        mask += [False, *[message.role == "assistant" and message.weight > 0] * len(body)]
    if add_generation_prompt:
        ids.append(tok.assistant)
        mask.append(False)
    return Rendered(ids, mask)
