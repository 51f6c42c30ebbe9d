"""One check explained, as lines and tables for a terminal. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from picochat.core.jsonio import canonical_json
from picochat.views.checks import UNKNOWN, check_row, format_value
from picochat.views.dataset import Table
from picochat.views.markup import seen

Content = Mapping[str, Any]
SHOWN_CHARS = 160
SHOWN_PLACES = 20
"""Of the places where numbers stand; --json has them all."""


def explain_lines(found: Content) -> list[str]:
    """What the check asks and what was measured, one fact a line."""
    return [f"{found['check']}: {found['title']}", *(f"{name:<9}{text}" for name, text in _facts(found))]


def explain_tables(found: Content) -> list[Table]:
    """What the profiles ask, where the numbers stand, and the first hits; those without rows are left out."""
    tables = [_profiles(found), _evidence(found), _hits(found)]
    return [table for table in tables if table.rows]


def _facts(found: Content) -> Iterator[tuple[str, str]]:
    yield "why", found["why"]
    yield "fix", found["fix"]
    result = found["result"]
    if result is None:
        yield "verdict", f"{found['profile']} does not judge it"
    else:
        row = check_row(result)
        yield "verdict", f"{row.verdict} under {found['profile']} (version {found['profile_version']})"
        yield "measured", row.measured
        yield "asked", f"{row.threshold} {found['unit']}"
    if passes := found["passes"]:
        yield "passes", passes_sentence(passes)
    yield "waiver", _waiver(found)
    if found["hits"] == []:
        yield "hits", "none is listed"


def passes_sentence(passes: Content) -> str:
    """How many rows passed and how many have to."""
    k, n, needed = passes["k"], passes["n"], passes["needed"]
    text = f"{k:,} of {n:,}; a pass needs "
    limit = f"the 95 % interval to clear {passes['threshold']:.3f}"
    if needed is None:
        return f"{text}more than {n:,} rows, for {limit}"
    text += f"at {'least' if passes['direction'] == '>=' else 'most'} {needed:,} of {n:,}, for {limit}"
    off = needed - k if passes["direction"] == ">=" else k - needed
    return f"{text}: {off:,} {'more' if passes['direction'] == '>=' else 'fewer'}" if off > 0 else f"{text}: reached"


def _waiver(found: Content) -> str:
    waiver = found["waiver"]
    if waiver is not None:
        who = f"by {waiver['by']} until {waiver['until']}, given at {waiver['given_at']}: {waiver['reason']}"
        return f"{waiver['effect']}; {who}"
    return "none" if found["waivable"] else "none, and this check is never waived"


def _profiles(found: Content) -> Table:
    rows = []
    for asked in found["profiles"]:
        limits = [format_value(asked[key], found["unit"]) for key in ("threshold", "warn_at")]
        if asked["warn_below"] is not None:
            limits[1] += f", under {format_value(asked['warn_below'], found['unit'])}"
        column = (asked["column"] or "not judged").replace("_", " ")
        rest = [format_value(asked["minimum_n"] or None), asked["baseline"] or UNKNOWN]
        rows.append([asked["profile"], column, *limits, *rest])
    columns = ["profile", "column", f"threshold {found['direction']}".strip(), "warns at", "least n", "baseline"]
    return Table("", columns, rows)


def _evidence(found: Content) -> Table:
    rows = [[place["artifact"], place["pointer"] or "(whole file)", _found(place)] for place in found["evidence"]]
    left = len(rows) - SHOWN_PLACES
    title = f"the first {SHOWN_PLACES} of {len(rows):,} places" if left > 0 else ""
    return Table(title, ["artifact", "pointer", "what stands there"], rows[:SHOWN_PLACES])


def _found(place: Content) -> str:
    if place["problem"]:
        return place["problem"]
    if not place["pointer"]:
        return f"{place['bytes']:,} bytes, sha256 {place['sha256'][:12]}"
    return _short(canonical_json(place["found"]).decode())


def _hits(found: Content) -> Table:
    """Both passages of the first hits: of the item, and of the training text."""
    rows = []
    for hit in found["hits"] or ():
        place = (hit.get("places") or [{}])[0]
        where = f"{hit.get('against')} {place.get('number', UNKNOWN)}"
        passage = (hit.get("item_passage") or {}).get("text", UNKNOWN)
        rule = f"{hit.get('column', UNKNOWN)}, {hit.get('rule', UNKNOWN)}"
        rows.append(
            [f"{hit.get('set')} {hit.get('item')}", rule, _short(passage), where, _short(place.get("text", UNKNOWN))]
        )
    return Table("", ["item", "rule", "its passage", "found in", "that passage"], rows)


def _short(text: str) -> str:
    line = " ".join(seen(str(text)).split())
    return line if len(line) <= SHOWN_CHARS else line[: SHOWN_CHARS - 3] + "..."
