"""Models that answer in the playground: `picochat serve` children on loopback, each with a random key.

ask(run, checkpoint, path, body) -> lines of a stream of server-sent events

At most two at a time: a third takes the place of the one that was idle for longest. One that nobody asked for ten
minutes ends, and all of them end with the server.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.clock import Clock
from picochat.workbench.problems import Problem

MOST = 2
IDLE_S = 600.0
LOOK_EVERY_S = 5.0
START_S = 180.0
ANSWER_S = 150.0
STOP_S = 15.0
LAST_WORDS_S = 1.0
WAIT_S = 0.5
"""How often somebody who waits for a model hears that it is still loading; a client that left is noticed then."""
SLOTS = 2
PROGRAM = (sys.executable, "-m", "picochat.workbench.commands.speaking")
_READY = re.compile(r"ready: (?P<model>\S+) at http://127\.0\.0\.1:(?P<port>\d+)/v1")
Key = tuple[str, str]


@dataclass
class Speaker:
    """One child. `port` is known once it is ready, `failure` when it never will be."""

    key: Key
    secret: str
    popen: subprocess.Popen[str]
    asked_s: float
    busy: int = 0
    model: str = ""
    port: int | None = None
    failure: str | None = None
    settled: threading.Event = field(default_factory=threading.Event)


class Speakers:
    """Starts, finds and ends the children; safe to use from several threads."""

    def __init__(self, clock: Clock, program: Sequence[str] = PROGRAM) -> None:
        self._clock = clock
        self._program = program
        self._lock = threading.Lock()
        self._speakers: dict[Key, Speaker] = {}
        self._closed = threading.Event()
        self._watch: threading.Thread | None = None

    def ask(self, store: RunStore, checkpoint: str, path: str, body: dict[str, Any]) -> Iterator[bytes]:
        """Frames of the answer: `{"state": "loading"}` while the model is read, then what the server sends."""
        speaker = self._take(store, checkpoint)
        try:
            while not speaker.settled.wait(WAIT_S):
                yield frame({"state": "loading"})
            if speaker.port is None:
                raise Problem(409, "play.model", speaker.failure or "the model did not start")
            yield frame({"state": "answering", "model": speaker.model})
            yield from self._pass_on(speaker, path, body | {"model": speaker.model})
        finally:
            with self._lock:
                speaker.busy -= 1
                speaker.asked_s = self._clock.monotonic()

    def describe(self) -> list[dict[str, Any]]:
        """Who is there: run, checkpoint, state."""
        with self._lock:
            found = list(self._speakers.values())
        return [{"run": s.key[0], "checkpoint": s.key[1], "state": _state(s), "busy": s.busy} for s in found]

    def close(self) -> None:
        """Ends all children; called when the server stops."""
        self._closed.set()
        with self._lock:
            found, self._speakers = list(self._speakers.values()), {}
        for speaker in found:
            speaker.popen.terminate()
        for speaker in found:
            _bury(speaker, LAST_WORDS_S)

    def end_idle(self) -> None:
        """Ends whoever nobody asked for `IDLE_S`."""
        now = self._clock.monotonic()
        with self._lock:
            idle = [s for s in self._speakers.values() if not s.busy and now - s.asked_s > IDLE_S]
            for speaker in idle:
                del self._speakers[speaker.key]
        for speaker in idle:
            speaker.popen.terminate()
            _bury(speaker)

    def _take(self, store: RunStore, checkpoint: str) -> Speaker:
        """The child of a checkpoint, started if need be, with one more who waits for it. Raises 429, 409."""
        key = store.root.name, checkpoint
        leaving: Speaker | None = None
        with self._lock:
            if self._closed.is_set():
                raise Problem(503, "play.closing", "the workbench is stopping")
            speaker = self._speakers.get(key)
            if (
                speaker is not None
                and speaker.settled.is_set()
                and (speaker.port is None or speaker.popen.poll() is not None)
            ):
                speaker = None
            if speaker is None:
                leaving = self._make_room(key)
                speaker = self._speakers[key] = self._start(store, key)
            speaker.busy += 1
        if leaving is not None:
            leaving.popen.terminate()
            _bury(leaving)
        return speaker

    def _make_room(self, key: Key) -> Speaker | None:
        self._speakers.pop(key, None)
        if len(self._speakers) < MOST:
            return None
        idle = [speaker for speaker in self._speakers.values() if not speaker.busy]
        if not idle:
            raise Problem(429, "play.busy", f"{MOST} models are answering: wait for one of them, or stop it")
        oldest = min(idle, key=lambda speaker: speaker.asked_s)
        return self._speakers.pop(oldest.key)

    def _start(self, store: RunStore, key: Key) -> Speaker:
        secret, folder = secrets.token_urlsafe(32), Path(tempfile.mkdtemp(prefix="picochat-key-"))
        file = folder / "key"
        file.touch(mode=0o600)
        file.write_text(secret)
        root = store.root.absolute()
        words = ["serve", "--checkpoint", root / key[1], "--tokenizer", root / layout.TOKENIZER, "--port", 0]
        words += ["--api-key-file", file, "--set", f"serve.slots={SLOTS}"]
        argv = [*self._program, str(os.getpid()), *map(str, words)]
        popen = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        speaker = Speaker(key, secret, popen, self._clock.monotonic())
        threading.Thread(target=self._listen, args=(speaker, folder), daemon=True).start()
        if self._watch is None:
            self._watch = threading.Thread(target=self._look_after, daemon=True)
            self._watch.start()
        return speaker

    def _listen(self, speaker: Speaker, folder: Path) -> None:
        """Reads what the child says until it ends; the line that says it is ready names its port."""
        said: list[str] = []
        timer = threading.Timer(START_S, lambda: speaker.settled.is_set() or speaker.popen.kill())
        timer.daemon = True
        timer.start()
        assert speaker.popen.stdout is not None
        with speaker.popen.stdout as lines:
            for line in lines:
                said = [*said[-5:], line.strip()]
                ready = _READY.match(line)
                if ready and not speaker.settled.is_set():
                    speaker.model, speaker.port = ready["model"], int(ready["port"])
                    shutil.rmtree(folder, ignore_errors=True)
                    speaker.settled.set()
        timer.cancel()
        shutil.rmtree(folder, ignore_errors=True)
        errors = [line for line in said if line.startswith("error:")] or said[-1:]
        speaker.failure, speaker.port = errors[0] if errors else "the model ended without a word", None
        speaker.popen.wait()
        speaker.settled.set()

    def _look_after(self) -> None:
        while not self._closed.wait(LOOK_EVERY_S):
            self.end_idle()

    def _pass_on(self, speaker: Speaker, path: str, body: dict[str, Any]) -> Iterator[bytes]:
        """The stream of the child, line by line. Leaving early closes the connection, which frees the slot."""
        assert speaker.port is not None
        connection = http.client.HTTPConnection("127.0.0.1", speaker.port, timeout=ANSWER_S)
        try:
            headers = {"content-type": "application/json", "authorization": f"Bearer {speaker.secret}"}
            connection.request("POST", path, json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                yield frame({"error": _complaint(answer.read())})
                return
            yield from answer
        except (OSError, http.client.HTTPException) as err:
            yield frame({"error": f"the model stopped answering: {type(err).__name__}"})
        finally:
            connection.close()


def frame(document: dict[str, Any]) -> bytes:
    """One event of a stream."""
    return b"data: " + json.dumps(document, ensure_ascii=False, allow_nan=False).encode() + b"\n\n"


def _complaint(data: bytes) -> str:
    """What the server says was wrong with a request."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(data)["error"]["message"])
    return "the model refused the request"


def _state(speaker: Speaker) -> str:
    if not speaker.settled.is_set():
        return "loading"
    return "failed" if speaker.port is None else "ready"


def _bury(speaker: Speaker, patience_s: float = STOP_S) -> None:
    """Waits for a child that was asked to end; it holds nothing that could be lost."""
    try:
        speaker.popen.wait(patience_s)
    except subprocess.TimeoutExpired:
        speaker.popen.kill()
        speaker.popen.wait()
