"""How much a client may send, how long it may take, and what is said when it is too much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds, counts of sockets and requests. Answers under way are never cut by size or
    time: only a client that reads nothing of its answer for `unread_s` is let go.
    """

    header_bytes: int = 16 * KIB
    body_bytes: int = MIB
    pending_bytes: int = 12 * MIB
    """Bodies of all requests that are not complete: what stalled clients can make the server hold."""
    read_s: float = 10.0
    idle_s: float = 5.0
    unread_s: float = 120.0
    linger_s: float = 2.0
    """How long a refused client may go on sending, unread, so that it sees the refusal."""
    sockets: int = 512
    requests: int = 128


Code = Literal[
    "invalid_value",
    "origin_not_allowed",
    "request_timeout",
    "request_too_large",
    "host_not_allowed",
    "headers_too_large",
    "queue_full",
    "internal_error",
]


class Refusal(NamedTuple):
    """What the guard refuses and why; the application that it stands before makes an answer of it."""

    code: Code
    message: str
