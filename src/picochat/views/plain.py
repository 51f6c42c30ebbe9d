"""Documents for people: secrets masked, characters that nobody sees made visible, long texts cut."""

from __future__ import annotations

from typing import Any

from picochat.core.redact import redact
from picochat.views.markup import seen

TEXT_CHARS = 2000
CUT = "…"


def plain_text_of(text: str, most: int = TEXT_CHARS) -> str:
    """A text as it is shown: masked before it is cut, so that no half of a secret is left."""
    masked = redact(text)
    return seen(masked[:most]) + (CUT if len(masked) > most else "")


def plain_tree(value: Any, most: int = TEXT_CHARS) -> Any:
    """A JSON value with every text in it, keys too, as `plain_text_of` gives it."""
    if isinstance(value, str):
        return plain_text_of(value, most)
    if isinstance(value, dict):
        return {plain_text_of(str(key), most): plain_tree(item, most) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_tree(item, most) for item in value]
    return value
