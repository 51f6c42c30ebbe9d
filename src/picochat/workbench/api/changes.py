"""What changed: as a stream, and for whoever gets no stream through, by asking again."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from starlette.responses import Response

from picochat.workbench.routing import Call, Question, Route
from picochat.workbench.watching.stream import EventStream

LAST = "last-event-id"
LOST = -1


class After(Question):
    """With `since` the answer is one document, without it a stream."""

    since: int | None = Field(default=None, ge=0, le=2**53)


def follow(call: Call) -> Response | dict[str, Any]:
    """Invalidations: {run, kind, cursor}."""
    if call.query.since is None:
        return EventStream(call.bench.pulse, last_cursor(call.headers.get(LAST)))
    found = call.bench.follower.since(call.query.since)
    return {
        "cursor": found.cursor,
        "events": [event._asdict() for event in found.events],
        "complete": found.complete,
    }


def last_cursor(text: str | None) -> int | None:
    """Where a stream goes on; a number that was never given out is one of which nobody knows what came after."""
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else LOST


ROUTES = [Route("GET", "api/events", follow, "What changed in the runs folder", "picochat status", After)]
