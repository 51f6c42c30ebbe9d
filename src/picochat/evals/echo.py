"""Two faults that any reply can have: it repeats the prompt, or it repeats itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

from picochat.evals.normalize import normalize, split_words

ECHO_WORDS = 8
ECHO_START = 80
SHORT_PROMPT = 8
REPEAT_GRAM = 4
REPEAT_FRAC = 0.5
ROLE_MARKER = re.compile(
    r"^[^\S\n]*(?:<\|(?:bos|system|user|assistant|tool|end)\|>|(?:#+[^\S\n]*)?(?:system|user|assistant|human|tool)[^\S\n]*:)",
    re.IGNORECASE | re.MULTILINE,
)


def is_echo(prompts: Sequence[str], reply: str) -> bool:
    """True when the reply holds 8 words in a row of one of the prompts, begins with its first 80 normalised
    characters, or has a role marker at a line start.

    A prompt shorter than 80 characters counts as a whole, up to a word boundary of the reply; one under 8 characters
    ("Hi") proves nothing and is left out.
    """
    if ROLE_MARKER.search(reply):
        return True
    start, grams = normalize(reply), set(_grams(split_words(reply), ECHO_WORDS))
    return any(_begins_with(start, prompt) or _shares_words(grams, prompt) for prompt in prompts)


def _shares_words(grams: set[tuple[str, ...]], prompt: str) -> bool:
    return bool(grams) and not grams.isdisjoint(_grams(split_words(prompt), ECHO_WORDS))


def _begins_with(reply: str, prompt: str) -> bool:
    head = normalize(prompt)
    if len(head) >= ECHO_START:
        return reply.startswith(head[:ECHO_START])
    if len(head) < SHORT_PROMPT or not reply.startswith(head):
        return False
    return not (head[-1].isalnum() and reply[len(head) : len(head) + 1].isalnum())


def repetition_frac(reply: str) -> float:
    """Share of a reply's 4-grams of words that stood in it before, 0 to 1; 0 for a reply under 4 words."""
    grams = list(_grams(split_words(reply), REPEAT_GRAM))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def is_repetitive(reply: str) -> bool:
    """True when over half of the 4-grams of the reply are repeats."""
    return repetition_frac(reply) > REPEAT_FRAC


def _grams(words: list[str], size: int) -> list[tuple[str, ...]]:
    return list(zip(*(words[i:] for i in range(size)), strict=False))
