"""Texts and conversations on which another tokenizer must give our ids, BOS once."""

from __future__ import annotations

from dataclasses import dataclass

from picochat.tokenizer.chat import render
from picochat.tokenizer.hostile import HOSTILE_TEXTS
from picochat.tokenizer.special import SPECIAL_TOKENS
from picochat.tokenizer.tokenizer import Tokenizer

LONGEST_CHARS = 200
"""A longer text says nothing more here, and fills the context of a small model."""


@dataclass(frozen=True)
class Turn:
    """A message as the renderer reads it."""

    role: str
    content: str
    weight: float = 1.0


TEXTS = tuple(
    text for text in HOSTILE_TEXTS if 0 < len(text) <= LONGEST_CHARS and not any(n in text for n in SPECIAL_TOKENS)
)
"""Without the names of control tokens: other runtimes read those in a text as control tokens, and the card says so."""
CONVERSATIONS = (
    (Turn("user", "What is 2+2?"),),
    (Turn("system", "Be brief."), Turn("user", "Spell cat."), Turn("assistant", "c a t"), Turn("user", "And dog?")),
    (
        Turn("user", "  spaces \n\n and lines\t"),
        Turn("assistant", "\u00dcber 3\u00bd \u20ac"),
        Turn("user", "don't & \u2764\ufe0f stop"),
    ),
)


def expected_text(tok: Tokenizer, text: str) -> list[int]:
    """A text as a model is given it: BOS once."""
    return [tok.bos, *tok.encode(text)]


def expected_chat(tok: Tokenizer, turns: tuple[Turn, ...]) -> list[int]:
    """A conversation up to where the answer begins."""
    return render(turns, tok, add_generation_prompt=True).ids
