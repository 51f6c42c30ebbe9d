"""Tables and lists of a page: captions, header cells with their scope, and a form that fits a narrow screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from picochat.views.checks import CheckRow
from picochat.views.markup import Child, Markup, element

SHORT_ROWS = 8
"""A table of at most so many rows stays on one page of paper."""
VERDICTS = {
    "pass": ("\u2713", "pass"),
    "warn": ("!", "warn"),
    "block": ("\u2715", "block"),
    "not_run": ("?", "not run"),
    "waived": ("~", "waived"),
    "approved": ("\u2713", "approved"),
    "blocked": ("\u2715", "blocked"),
}
"""A sign and a word beside the colour: nothing is told by colour alone."""


def badge(verdict: str) -> Markup:
    sign, word = VERDICTS.get(verdict, ("?", verdict))
    kind = verdict if verdict in VERDICTS else "not_run"
    return element("span", element("span", sign, aria_hidden="true"), f" {word}", class_=f"badge {kind}")


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Child]]) -> Markup | None:
    """A table whose first column names its rows; None without rows.

    On a narrow screen each row becomes a block with its columns' names; the roles keep it a table for those who listen.
    """
    body = [_row(columns, list(row)) for row in rows]
    if not body:
        return None
    head = element("tr", [element("th", name, scope="col", role="columnheader") for name in columns], role="row")
    return element(
        "table",
        element("caption", caption),
        element("thead", head, role="rowgroup"),
        element("tbody", body, role="rowgroup"),
        role="table",
        class_="long" if len(body) > SHORT_ROWS else None,
    )


def _row(columns: Sequence[str], cells: Sequence[Child]) -> Markup:
    first = element("th", cells[0], scope="row", role="rowheader")
    rest = [
        element("td", cell, role="cell", data_label=name) for name, cell in zip(columns[1:], cells[1:], strict=True)
    ]
    return element("tr", first, rest, role="row")


def check_table(caption: str, rows: Iterable[CheckRow]) -> Markup | None:
    """Checks with why they matter and what mends them."""
    return table(
        caption,
        ("check", "verdict", "measured", "asked for", "why, and what mends it"),
        [
            (
                element("code", row.id),
                badge(row.verdict),
                row.measured,
                row.threshold,
                [
                    row.why,
                    element("span", row.waiver, class_="fix") if row.waiver else None,
                    element("span", element("b", "Fix: "), row.fix, class_="fix") if row.fix else None,
                ],
            )
            for row in rows
        ],
    )


def facts(pairs: Iterable[tuple[str, Child]]) -> Markup:
    """Names with their values."""
    return element(
        "dl", [element("div", element("dt", name), element("dd", value)) for name, value in pairs], class_="facts"
    )


def bullets(items: Iterable[Child], kind: str | None = None) -> Markup | None:
    found = [element("li", item) for item in items]
    return element("ul", found, class_=kind) if found else None


def check_ids(ids: Iterable[str]) -> Markup | None:
    return bullets((element("code", check) for check in ids), "ids")


def digest(sha256: str | None) -> Child:
    return element("code", sha256, class_="digest") if sha256 else None
