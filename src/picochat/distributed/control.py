"""ddp_control.json: how rank 0 tells the others what it does alone, while no collective is pending (torch-free).

    ControlWriter    rank 0: counts beats in a thread, progress, and turns, each with the value that it gave
    ControlReader    the others: wait for a turn, and judge rank 0's life by changes on their own clock

A turn is one piece of work that rank 0 does alone. Wall time, file times and the age of processes are never read: two
hosts need not agree on the hour.
"""

from __future__ import annotations

import os
import platform
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from picochat.artifacts import layout
from picochat.artifacts.schema import VERSIONS, schema_tag
from picochat.core import fs
from picochat.core.clock import Clock, SystemClock
from picochat.core.errors import PicochatError, refuse
from picochat.core.failpoints import failpoint
from picochat.core.jsonio import canonical_json, parse_json, pretty_json, read_json
from picochat.core.log import LOGGER
from picochat.core.reasons import REASONS
from picochat.core.redact import redact_tree
from picochat.distributed.config import DistributedConfig
from picochat.distributed.env import Launch
from picochat.views.runs.run_state import process_start

SCHEMA = "ddp_control"
EARLY_BEATS, EARLY_BEAT_S = 40, 0.25
"""The first beats come fast, so that the others soon see one change and know that the file is no leftover."""
LINGER_S = 1.5
"""After a failure rank 0 goes on beating for so long, for a rank that looks only now."""
KEPT_TURNS = 32
POLL_S, POLL_GROWTH, POLL_MAX_S = 0.005, 1.5, 0.25


class ControlWriter:
    """Rank 0's side. Every change is one atomic replacement; a beat comes at least every `beat_s` seconds."""

    def __init__(self, root: Path, launch: Launch, beat_s: float) -> None:
        self._path = root / layout.DDP_CONTROL
        self._beat_s = beat_s
        self._lock = threading.Lock()
        self._turns: OrderedDict[int, Any] = OrderedDict()
        self._said: dict[str, Any] = {
            "schema": schema_tag(SCHEMA).to_json(),
            "launch": launch.id,
            "attempt": launch.attempt,
            "host": platform.node(),
            "place": process_place(),
            "pid": os.getpid(),
            "log": layout.rank_log(0),
            "state": "preparing",
            "doing": "starting",
            "beat": 0,
            "progress": 0,
            "turn": 0,
            "error": None,
        }
        self._ended = threading.Event()
        self._pace = min(EARLY_BEAT_S, beat_s)
        self._early = EARLY_BEATS
        self._thread = threading.Thread(target=self._beat, name="ddp-control", daemon=True)
        self._write()
        self._thread.start()

    def begin(self, doing: str) -> None:
        """Says what rank 0 does alone from now on."""
        self._write(state="preparing", doing=doing)

    def advance(self) -> None:
        """Counts progress; it is written with the next beat."""
        self._said["progress"] += 1

    def finish(self, value: Any) -> Any:
        """Ends the turn, and returns `value` as the others will read it. Raises TypeError when it is no JSON."""
        read_back = parse_json(canonical_json(value), "the value of a turn")
        with self._lock:
            self._said["turn"] += 1
            self._turns[self._said["turn"]] = read_back
            while len(self._turns) > KEPT_TURNS:
                self._turns.popitem(last=False)
        self._write(state="ready", progress=self._said["progress"] + 1)
        return read_back

    def fail(self, err: BaseException) -> None:
        """Tells the others why rank 0 ends; they end with its text and exit code."""
        self._write(state="blocked" if _exit_code(err) == 3 else "failed", error=describe_error(err))

    def close(self) -> None:
        if self._said["error"] is not None:
            self._ended.wait(LINGER_S)
        self._ended.set()
        self._thread.join()

    def _write(self, **changes: Any) -> None:
        with self._lock:
            self._said |= changes
            self._said["beat"] += 1
            turns = {str(turn): value for turn, value in self._turns.items()}
            masked = {key: redact_tree(self._said[key]) for key in ("doing", "error")}
            fs.write_volatile(self._path, pretty_json(self._said | masked | {"turns": turns}))

    def _beat(self) -> None:
        slept_s = 0.0
        while not self._ended.wait(pause_s := min(self._pace, self._beat_s - slept_s)):
            slept_s += pause_s
            failed = self._said["error"] is not None
            if self._early <= 0 and not failed and slept_s < self._beat_s:
                continue
            self._early, slept_s = self._early - 1, 0.0
            failpoint("setup.beat")
            try:
                self._write()
            except (PicochatError, OSError) as err:
                LOGGER.warning("ddp control: %s", err)


def process_place() -> str:
    """Where process numbers mean the same: this boot of this host, and this namespace. Names of hosts may repeat."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"unknown {uuid.uuid4().hex}"


def describe_error(err: BaseException) -> dict[str, Any]:
    """An error as JSON, complete enough to be raised again elsewhere."""
    if isinstance(err, PicochatError):
        return {"code": err.code, "detail": err.detail, "why": err.why, "fix": err.fix}
    return {"code": "launch.main_failed", "detail": f"{type(err).__name__}: {err}", "why": None, "fix": None}


def _exit_code(err: BaseException) -> int:
    return err.exit_code if isinstance(err, PicochatError) else 1


class _Seen(NamedTuple):
    """A control file that belongs to this launch."""

    beat: int
    progress: int
    turn: int
    document: dict[str, Any]


class ControlReader:
    """The side of every other rank."""

    def __init__(
        self,
        root: Path,
        launch: Launch,
        config: DistributedConfig,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
        stopped: Callable[[], bool] = bool,
    ) -> None:
        """`stopped` says whether this rank was asked to end: it then waits for nobody who shows no life."""
        self._stopped = stopped
        self._root, self._launch, self._config = root, launch, config
        self._clock, self._sleep = clock or SystemClock(), sleep
        self._first_beat: int | None = None
        self._alive = False
        self._note = "no control file"
        self._unheard: _Seen | None = None

    def wait(self, turn: int, what: str) -> Any:
        """The value of a turn. Raises what ended rank 0, or `launch.main_lost` when it shows no life or progress."""
        begun = beat_at = progress_at = self._clock.monotonic()
        before: _Seen | None = None
        pause = POLL_S
        while True:
            seen = self._look()
            now = self._clock.monotonic()
            if seen is None and not self._alive and self._stopped():
                self._end_unheard(what)
            if seen is not None:
                if seen.document["error"] is not None:
                    _raise_again(seen.document["error"])
                if seen.turn >= turn:
                    return self._value(seen, turn, what)
                if before is None or seen.beat != before.beat:
                    beat_at = now
                if before is None or (seen.progress, seen.turn) != (before.progress, before.turn):
                    progress_at = now
                before = seen
                self._require_process(seen, turn)
            if now - beat_at >= self._config.beat_limit_s:
                self._give_up(what, before, "beat", now - beat_at, self._config.beat_limit_s, now - begun)
            if now - progress_at >= self._config.progress_limit_s:
                self._give_up(what, before, "progress", now - progress_at, self._config.progress_limit_s, now - begun)
            self._sleep(pause)
            pause = min(POLL_MAX_S, pause * POLL_GROWTH)

    def _end_unheard(self, what: str) -> NoReturn:
        """A stop came before rank 0 was heard: what its file says is then taken as it stands."""
        if self._unheard is not None and self._unheard.document["error"] is not None:
            _raise_again(self._unheard.document["error"])
        refuse("launch.main_lost", f"rank {self._launch.rank} was stopped while it waited for {what!r}; {self._note}")

    def _require_process(self, seen: _Seen, turn: int) -> None:
        """Where its process can be looked at, that is faster than waiting for a beat."""
        pid = seen.document["pid"]
        if seen.document["place"] != process_place() or process_start(pid) is not None:
            return
        last = self._look() or seen  # it may have said something more before it ended
        if last.document["error"] is None and last.turn < turn:
            refuse(
                "launch.main_lost",
                f'rank {self._launch.rank} lost rank 0 in "{last.document["doing"]}": its process {pid} is gone',
                fix=f"read rank 0's log at {self._root / layout.rank_log(0)}, "
                "then run the same command again with --resume",
            )

    def _look(self) -> _Seen | None:
        """The file, when it is of this launch and was seen to change; otherwise a note of what it was."""
        path = self._root / layout.DDP_CONTROL
        try:
            document = read_json(path)
            tag = (document["schema"]["name"], document["schema"]["version"])
            if tag != (SCHEMA, VERSIONS[SCHEMA]):
                self._note = f"a control file of {tag[0]} version {tag[1]}, this is {SCHEMA} {VERSIONS[SCHEMA]}"
                return None
            launch, attempt = document["launch"], document["attempt"]
            seen = _Seen(int(document["beat"]), int(document["progress"]), int(document["turn"]), document)
            whole = isinstance(document["turns"], dict) and isinstance(document["error"], dict | None)
            _ = document["doing"], document["place"], document["pid"]
        except (PicochatError, OSError, LookupError, TypeError, ValueError, ArithmeticError) as err:
            self._note = f"an unreadable control file ({_short(err)})" if os.path.exists(path) else "no control file"
            return None
        if not whole:
            self._note = "a control file of another shape"
        elif launch != self._launch.id:
            self._note = f"a control file of another launch ({launch})"
        elif attempt != self._launch.attempt:
            self._note = f"a control file of attempt {attempt}, this is {self._launch.attempt}"
        elif not self._changes(seen):
            self._unheard = seen
            self._note = f"a control file that has not changed yet (beat {seen.beat})"
        else:
            self._note = ""
            return seen
        return None

    def _changes(self, seen: _Seen) -> bool:
        """A leftover of an equally named launch never changes: only a file that does is rank 0 speaking."""
        if self._first_beat is None:
            self._first_beat = seen.beat
        self._alive = self._alive or seen.beat != self._first_beat
        return self._alive

    def _value(self, seen: _Seen, turn: int, what: str) -> Any:
        turns = seen.document["turns"]
        if str(turn) not in turns:
            refuse(
                "launch.main_lost",
                f"rank {self._launch.rank} came too late for {what!r}: rank 0 is {seen.turn - turn} turns ahead",
            )
        return turns[str(turn)]

    def _give_up(
        self, what: str, seen: _Seen | None, counter: str, silent_s: float, limit_s: float, waited_s: float
    ) -> NoReturn:
        number = f"{counter} {getattr(seen, counter)}" if seen else f"its {counter}"
        stage = seen.document["doing"] if seen else what
        saw = f"; it saw {self._note}" if self._note else ""
        refuse(
            "launch.main_lost",
            f'rank {self._launch.rank} gave up on rank 0 in "{stage}": {number} has not changed for {silent_s:.0f} s '
            f"(limit {limit_s:g} s){saw}",
            why=f"rank 0 has stopped or its host is frozen; this rank had waited {waited_s:.0f} s in all",
            fix=f"read rank 0's log at {self._root / layout.rank_log(0)}, "
            "then run the same command again with --resume",
        )


def _raise_again(error: dict[str, Any]) -> NoReturn:
    """Ends this rank with rank 0's own text and exit code."""
    code = error.get("code")
    known = code if isinstance(code, str) and code in REASONS else "launch.main_failed"
    why, fix = (text if isinstance(text := error.get(key), str) else None for key in ("why", "fix"))
    refuse(known, f"rank 0: {error.get('detail')}", why=why, fix=fix)


def _short(err: BaseException) -> str:
    return err.code if isinstance(err, PicochatError) else f"{type(err).__name__} {err}"
