"""Text of a run as it may be shown: what nobody sees becomes an escape, what is long is cut and says so."""

from __future__ import annotations

from typing import Any

from picochat.views.markup import seen

LIST_CHARS = 2_000
"""A field of a row in a list; the row alone is shown with WHOLE_CHARS."""
WHOLE_CHARS = 200_000


def shown(value: Any, limit: int = LIST_CHARS) -> str:
    """Any value as text: controls, marks of direction and half characters as escapes, at most `limit` characters."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    if len(text) <= limit:
        return seen(text)
    return f"{seen(text[:limit])}… ({len(text):,} characters in all)"


def shown_list(value: Any, limit: int = LIST_CHARS, most: int = 50) -> list[str]:
    """The texts of a list, at most `most` of them; anything else is none."""
    items = value if isinstance(value, list | tuple) else []
    return [shown(item, limit) for item in items[:most]]
