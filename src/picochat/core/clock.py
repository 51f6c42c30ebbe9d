"""Time. Decisions use a monotonic clock that is passed in; the wall clock is only ever written down."""

from __future__ import annotations

import datetime
import time
from typing import Protocol


class Clock(Protocol):
    def monotonic(self) -> float: ...


class SystemClock:
    """The clock of this machine, in seconds."""

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that a test moves by hand."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now


def utc_today() -> datetime.date:
    """The day of the wall clock in UTC: judgements are handed the day on which they are made."""
    return datetime.datetime.now(datetime.UTC).date()


def utc_now() -> str:
    """The wall clock in ISO 8601, for records only."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_time(seconds: float) -> str:
    """A time in seconds since 1970, as of a file, in ISO 8601: to be shown."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_seconds() -> int:
    """The wall clock in whole seconds since 1970, for records whose form asks for it."""
    return int(datetime.datetime.now(datetime.UTC).timestamp())
