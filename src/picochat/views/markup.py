"""HTML and SVG by function calls: everything is escaped unless it came out of `element` itself.

element("p", "a < b", class_="note")    ->  a paragraph whose text is escaped
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\uffff]"
)
"""Controls, marks that turn the direction of what follows, half characters. The list is fixed, so that another version
of Python shows the same."""
VOID = frozenset({"meta", "br", "circle", "line", "path", "polyline", "rect"})


class Markup(str):
    """Text that is markup already and is not escaped again."""

    __slots__ = ()


Child = str | None | Iterable["Child"]


def seen(text: str) -> str:
    """The text with characters that nobody sees shown as escapes: a file's text cannot forge or turn a line."""
    return _UNSEEN.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def escape(text: str) -> Markup:
    """Text as text, in an element or in a quoted attribute."""
    return Markup(html.escape(seen(text), quote=True))


def join(children: Iterable[Child]) -> Markup:
    """Children in their order: markup as it is, text escaped, None left out, lists opened."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(escape(child))
        elif child is not None:
            parts.append(join(child))
    return Markup("".join(parts))


def element(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """An element. `class_` is class, `data_label` is data-label; an attribute that is None or False is left out."""
    shown = "".join(
        f' {_attribute(key)}="{escape("" if value is True else str(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in VOID:
        return Markup(f"<{name}{shown}>" if name in ("meta", "br") else f"<{name}{shown}/>")
    return Markup(f"<{name}{shown}>{join(children)}</{name}>")


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")
