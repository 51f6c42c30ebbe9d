"""A run folder with a control file, on a clock that a fake sleep moves: what rank 0 says, and what a rank believes."""

import itertools
import json
import math
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from picochat.artifacts import layout
from picochat.core.clock import ManualClock
from picochat.core.errors import PicochatError
from picochat.distributed.config import DistributedConfig
from picochat.distributed.control import ControlReader
from picochat.distributed.env import Launch

MAIN = Launch(0, 0, 4, 4, "job@host:29500", 1, "host", 29500)
WORKER = Launch(3, 3, 4, 4, "job@host:29500", 1, "host", 29500)
VERSION = 1
FAILED = {"state": "failed", "error": {"code": "disk.full", "detail": "wrong", "why": None, "fix": None}}


def document(**changes: Any) -> dict[str, Any]:
    """A whole control file as rank 0 writes it on another host."""
    return {
        "schema": {"name": "ddp_control", "version": VERSION},
        "launch": MAIN.id,
        "attempt": MAIN.attempt,
        "host": platform.node(),
        "place": "another host",
        "pid": 1,
        "log": "logs/rank0.log",
        "state": "preparing",
        "doing": "tokenizer",
        "beat": 41,
        "progress": 7,
        "turn": 0,
        "turns": {},
        "error": None,
    } | changes


class Room:
    """A run folder with a reader; its sleep moves the clock, and then rank 0 has its say."""

    stopped_at_s = math.inf

    def __init__(self, root: Path, stride_s: float = 0.0, **limits: float) -> None:
        self.root = root
        self.path = root / layout.DDP_CONTROL
        self.clock = ManualClock(1000.0)
        self.sleeps: list[float] = []
        self.rank_0: Callable[[float], None] = lambda passed_s: None
        self._stride_s = stride_s
        config = DistributedConfig(**({"beat_s": 1.0, "beat_limit_s": 5.0, "progress_limit_s": 20.0} | limits))
        self.reader = ControlReader(root, WORKER, config, self.clock, self._sleep, self._stopped)

    @property
    def passed_s(self) -> float:
        return self.clock.now - 1000.0

    def put(self, what: dict[str, Any] | bytes | None) -> None:
        if what is None:
            self.path.unlink(missing_ok=True)
        else:
            self.path.write_bytes(what if isinstance(what, bytes) else json.dumps(what).encode())

    def beating(self, **changes: Any) -> None:
        """From now on the file is whole, with a new beat at every look."""
        beats = itertools.count(1)
        self.rank_0 = lambda passed_s: self.put(document(beat=next(beats), **changes))

    def lost(self, turn: int = 1, what: str = "waiting") -> PicochatError:
        with pytest.raises(PicochatError) as caught:
            self.reader.wait(turn, what)
        assert (caught.value.code, caught.value.exit_code) == ("launch.main_lost", 5)
        return caught.value

    def refused(self, turn: int = 1) -> PicochatError:
        """What ended rank 0."""
        with pytest.raises(PicochatError) as caught:
            self.reader.wait(turn, "waiting")
        return caught.value

    def _stopped(self) -> bool:
        return self.passed_s >= self.stopped_at_s

    def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.clock.now += max(seconds, self._stride_s)
        assert len(self.sleeps) < 20_000, "the reader never comes to an end"
        self.rank_0(self.passed_s)


def read(root: Path) -> dict[str, Any]:
    return json.loads((root / layout.DDP_CONTROL).read_bytes())


def await_beat(root: Path, beat: int) -> None:
    begun = time.monotonic()
    while read(root)["beat"] < beat:
        assert time.monotonic() - begun < 10, "no beat came"
        time.sleep(0.002)
