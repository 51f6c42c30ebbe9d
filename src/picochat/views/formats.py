"""Numbers for people, once: the command line, report.html and the pages of the workbench say the same.

The twin in the browser is `workbench/static/js/format.js`; both are held by `tests/golden/formats.json`. What is not
known (None, or a figure that is not finite) is a dash, never 0. The pieces that core/ needs as well are in core.units.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from picochat.core import units

UNKNOWN = "—"
DIGEST_DIGITS = 12
_MONEY = re.compile(r"(-?)(\d+)(?:\.(\d+))?")
_DAY_S = 86_400


def format_bpb(value: float | None) -> str:
    """Bits a byte: 1.2345 -> '1.234'."""
    return _known(value, lambda x: _without_minus_zero(f"{x:.3f}"))


def format_rate(value: float | None, n: int | None) -> str:
    """A share and the number of things that it is a share of: '85.0 % (n = 120)'."""
    share = format_percent(value)
    return share if n is None or share == UNKNOWN else f"{share} (n = {format_integer(n)})"


def format_percent(value: float | None) -> str:
    """A share of 1: .85 -> '85.0 %'."""
    return _known(value, lambda x: f"{_without_minus_zero(f'{x * 100:.1f}')} %")


def format_count(value: float | None) -> str:
    """Parameters, tokens, operations: '22.4 B'."""
    return _known(value, lambda x: _without_minus_zero(units.format_count(x)))


def format_integer(value: float | None) -> str:
    """'1,234,567'."""
    return _known(value, lambda x: _without_minus_zero(f"{x:,.0f}") if abs(x) < 1e15 else units.format_count(x))


def format_duration(seconds: float | None) -> str:
    """'2 h 13 m'."""
    return _known(seconds, lambda x: _without_minus_zero(units.format_duration(x)))


def format_bytes(value: float | None) -> str:
    """'1.5 KiB'."""
    return _known(value, lambda x: _without_minus_zero(units.format_bytes(x)))


def format_money(amount: float | str | None) -> str:
    """'$430.00'; a decimal text keeps all its digits."""
    if isinstance(amount, str):
        found = _MONEY.fullmatch(amount.strip())
        return f"{found[1]}${int(found[2]):,}.{(found[3] or ''):0<2}" if found else UNKNOWN
    return _known(amount, lambda x: f"{'-' if x <= -0.005 else ''}${abs(x):,.2f}")


def format_number(value: float | None) -> str:
    """Any figure: a whole one whole, else four significant digits, a power of ten when it is tiny or huge."""
    return _known(value, _number)


def format_age(moment: str | float | None, now: datetime | None = None) -> str:
    """Of a moment (ISO 8601) or of an age in seconds: '5 m ago', the part of a unit cut off."""
    if isinstance(moment, str):
        found = _moment(moment)
        moment = None if found is None else ((now or datetime.now(UTC)) - found).total_seconds()
    return _known(moment, _age)


def format_time(iso: str | None) -> str:
    """'2026-11-30 00:23 UTC', the same words on every machine."""
    found = _moment(iso)
    return UNKNOWN if found is None else f"{found:%Y-%m-%d %H:%M} UTC"


def format_clock(iso: str | None) -> str:
    """The time of day in UTC: '00:23:10'."""
    found = _moment(iso)
    return UNKNOWN if found is None else f"{found:%H:%M:%S}"


def format_digest(text: str | None) -> str:
    """The first digits of a digest."""
    return text.removeprefix("sha256:")[:DIGEST_DIGITS] if text else UNKNOWN


FORMATS: dict[str, Callable[..., str]] = {
    "bpb": format_bpb,
    "rate": format_rate,
    "percent": format_percent,
    "count": format_count,
    "integer": format_integer,
    "duration": format_duration,
    "bytes": format_bytes,
    "money": format_money,
    "number": format_number,
    "age": format_age,
    "time": format_time,
    "clock": format_clock,
    "digest": format_digest,
}
"""By the name of the twin in format.js."""


def _known(value: Any, form: Callable[[float], str]) -> str:
    is_figure = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return form(value) if is_figure else UNKNOWN


def _number(value: float) -> str:
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-4:
        return units.format_power(value, 4)
    if float(value).is_integer() or size >= 9999.5:
        return _without_minus_zero(f"{value:,.0f}")
    return f"{value:,.4g}"


def _age(seconds: float) -> str:
    for limit, unit_s, name in ((60, 1, "s"), (3600, 60, "m"), (2 * _DAY_S, 3600, "h"), (math.inf, _DAY_S, "d")):
        if seconds < limit:
            return f"{int(seconds // unit_s):,} {name} ago" if seconds >= 1 else "now"
    raise AssertionError("infinity is a limit")


def _moment(iso: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(iso) if isinstance(iso, str) else None
    except ValueError:
        return None
    return None if found is None or found.tzinfo is None else found.astimezone(UTC)


def _without_minus_zero(text: str) -> str:
    """-0.0001 is shown as 0.000, not as -0.000."""
    return text[1:] if text.startswith("-") and not re.search("[1-9]", text) else text
