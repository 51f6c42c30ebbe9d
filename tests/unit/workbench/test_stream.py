"""The stream of changes: it goes on from any number and ends when the page or the server does."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.workbench.test_follow import RUN, append, make_run

from picochat.artifacts import layout
from picochat.core.clock import SystemClock
from picochat.workbench.api.changes import LOST, last_cursor
from picochat.workbench.problems import Problem
from picochat.workbench.watching import stream
from picochat.workbench.watching.feed import KINDS, Change, Feed
from picochat.workbench.watching.follow import Follower
from picochat.workbench.watching.stream import EventStream, Pulse

BEGIN = 1000


class Page:
    """Something that listens until it leaves."""

    def __init__(self, pulse: Pulse, cursor: int | None = None, method: str = "GET") -> None:
        self.messages: list[dict[str, Any]] = []
        self._leave = asyncio.Event()
        self.task = asyncio.create_task(
            EventStream(pulse, cursor)({"type": "http", "method": method}, self._receive, self._send)
        )

    async def _receive(self) -> dict[str, Any]:
        await self._leave.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.messages.append(message)

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.messages).decode()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line[6:]) for line in self.text.splitlines() if line.startswith("data: ")]

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not true():
                await asyncio.sleep(0.002)

    async def leave(self) -> None:
        self._leave.set()
        async with asyncio.timeout(5):
            await self.task


def pulse_of(runs: Path, **quick: float) -> Pulse:
    return Pulse(Follower(runs, SystemClock(), Feed(BEGIN)), **{"look_s": 0.01, **quick})


def test_a_page_is_told_what_changes_and_from_which_number(tmp_path: Path):
    root = make_run(tmp_path)

    async def listen() -> None:
        pulse = pulse_of(tmp_path)
        pulse.follower.look()
        page = Page(pulse)
        await page.until(lambda: bool(page.text))
        head = dict(page.messages[0]["headers"])
        assert head[b"content-type"].startswith(b"text/event-stream") and head[b"cache-control"] == b"no-cache"
        assert head[b"x-accel-buffering"] == b"no" and b"content-length" not in head
        assert page.text == f"retry: 2000\nid: {BEGIN}\n\n"
        for number in (1, 2):
            append(root / layout.EVENTS)
            await page.until(lambda number=number: len(page.events) == number)
        assert page.events == [{"run": RUN, "kind": "events", "cursor": BEGIN + number} for number in (1, 2)]
        assert page.text.endswith(f'id: {BEGIN + 2}\ndata: {{"cursor":{BEGIN + 2},"kind":"events","run":"{RUN}"}}\n\n')
        await page.leave()
        assert page.messages[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
        assert pulse.streams == 0

    asyncio.run(listen())


def test_a_page_that_comes_back_loses_nothing(tmp_path: Path):
    async def listen() -> None:
        pulse = pulse_of(tmp_path)
        pulse.follower.feed.add([Change("a", "status"), Change("b", "gate"), Change("b", "gate")])
        page = Page(pulse, BEGIN + 1)
        await page.until(lambda: len(page.events) == 1)
        assert page.events == [{"run": "b", "kind": "gate", "cursor": BEGIN + 3}]
        await page.leave()
        for cursor in (LOST, 5, BEGIN + 4):
            page = Page(pulse, cursor)
            await page.until(lambda page=page: len(page.events) == len(KINDS))
            assert [(e["run"], e["kind"], e["cursor"]) for e in page.events] == [(None, k, BEGIN + 3) for k in KINDS]
            await page.leave()

    asyncio.run(listen())


def test_silence_is_broken_by_a_comment(tmp_path: Path):
    async def listen() -> None:
        page = Page(pulse_of(tmp_path, comment_s=0.02))
        await page.until(lambda: page.text.count("\n:\n\n") + page.text.count("\n\n:\n\n") >= 3)
        assert page.events == []
        await page.leave()

    asyncio.run(listen())
    assert 5 <= stream.COMMENT_S <= 10


def test_files_are_looked_at_only_while_somebody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def listen() -> None:
        pulse = pulse_of(tmp_path)
        looks = 0

        def look(at_most_every_s: float = 0.0) -> None:
            nonlocal looks
            looks += 1

        monkeypatch.setattr(pulse.follower, "look", look)
        await asyncio.sleep(0.05)
        assert looks == 0
        pages = [Page(pulse), Page(pulse)]
        await pages[0].until(lambda: looks >= 3)
        for page in pages:
            await page.leave()
        await asyncio.sleep(0.05)
        before = looks
        await asyncio.sleep(0.05)
        assert looks == before
        again = Page(pulse)
        await again.until(lambda: looks > before)
        await again.leave()

    asyncio.run(listen())


def test_what_another_look_found_is_told_too(tmp_path: Path):
    """A page that asks, beside one that listens."""

    async def listen() -> None:
        pulse = pulse_of(tmp_path, look_s=0.05, comment_s=100.0)
        page = Page(pulse)
        await page.until(lambda: bool(page.text))
        for number in range(1, 4):
            await asyncio.sleep(0.06)
            pulse.follower.feed.add([Change(RUN, "events")])
            await page.until(lambda number=number: len(page.events) == number)
        await page.leave()

    asyncio.run(listen())


def test_a_look_that_fails_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def listen() -> None:
        pulse = pulse_of(tmp_path)
        fails = iter([True, True])

        def look(at_most_every_s: float = 0.0) -> None:
            if next(fails, False):
                raise ValueError("made to fail")
            pulse.follower.feed.add([Change(RUN, "events")])

        monkeypatch.setattr(pulse.follower, "look", look)
        page = Page(pulse)
        await page.until(lambda: bool(page.events))
        await page.leave()

    asyncio.run(listen())
    assert caplog.text.count("could not be looked at") == 2


def test_the_end_of_the_server_ends_all_streams_and_refuses_new_ones(tmp_path: Path):
    async def listen() -> None:
        pulse = pulse_of(tmp_path, comment_s=100.0)
        pages = [Page(pulse) for _ in range(3)]
        await pages[2].until(lambda: pulse.streams == 3)
        pulse.close()
        async with asyncio.timeout(1):
            await asyncio.gather(*(page.task for page in pages))
        assert all(page.messages[-1]["more_body"] is False for page in pages)
        with pytest.raises(Problem, match="429"):
            await Page(pulse).task

    asyncio.run(listen())


def test_there_is_an_end_of_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream, "MOST_STREAMS", 2)

    async def listen() -> None:
        pulse = pulse_of(tmp_path)
        pages = [Page(pulse), Page(pulse)]
        await pages[1].until(lambda: pulse.streams == 2)
        with pytest.raises(Problem) as err:
            await Page(pulse).task
        assert (err.value.status, err.value.code) == (429, "streams") and "retry-after" in err.value.headers
        await pages[0].leave()
        third = Page(pulse)
        await third.until(lambda: bool(third.text))
        await third.leave()
        await pages[1].leave()

    asyncio.run(listen())


def test_the_head_of_a_stream_is_no_stream(tmp_path: Path):
    async def listen() -> None:
        page = Page(pulse_of(tmp_path), method="HEAD")
        async with asyncio.timeout(1):
            await page.task
        assert page.text == ""

    asyncio.run(listen())


@pytest.mark.parametrize(
    ("text", "cursor"),
    [
        (None, None),
        ("", None),
        ("17", 17),
        ("0", 0),
        ("-1", LOST),
        ("x", LOST),
        ("1" * 17, LOST),
        ("²", LOST),
        ("1.0", LOST),
    ],
)
def test_the_number_that_a_browser_sends_back(text: str | None, cursor: int | None):
    assert last_cursor(text) == cursor
