"""An import from start to end: one writer, a plan, the units of work, and the manifest last.

    run_import(folder, config, ...)     goes on where an earlier attempt stopped, or says that nothing is left to do

Killed at any instant and started again, an import ends with the same bytes as one that nobody disturbed, whatever the
number of processes: the parts of a source file depend on that file and the settings alone.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import picochat
from picochat.core.clock import Clock, SystemClock, utc_now
from picochat.core.errors import PicochatError, refuse
from picochat.core.fs import make_dir, raise_disk_error, sweep_temporaries, write_json, write_volatile
from picochat.core.hashing import digest_of
from picochat.core.progress import Pace, Progress, SilentProgress
from picochat.core.publish import writer_lock
from picochat.core.units import format_count
from picochat.core.workers import available_processes, map_in_order
from picochat.data.imports.config import ImportConfig
from picochat.data.imports.hub import Hub
from picochat.data.imports.manifest import (
    MANIFEST,
    SCHEMA,
    STOP,
    WORK,
    ImportManifest,
    Origin,
    Plan,
    Unit,
    UnitState,
    require_sound,
    seal,
)
from picochat.data.imports.planning import make_plan, read_plan, require_not_moved, require_same_settings
from picochat.data.imports.reader import load_import
from picochat.data.imports.unit_tally import read_state
from picochat.data.imports.unit_work import KEPT, UnitJob, UnitWorker

BYTES_A_PROCESS = 32_000_000
"""Source bytes that take longer to read than a process takes to start."""
_STOP_EVERY_S = 0.2
_TOOLS = ("zstandard", "pyarrow", "huggingface_hub")


@dataclass(frozen=True)
class Imported:
    """A finished import. `fresh` is False when it was finished before."""

    manifest: ImportManifest
    fresh: bool


@dataclass(frozen=True)
class Surroundings:
    """What an import is given beside its settings. `again` is the command that goes on, for errors."""

    token: str | None = None
    again: str = "run the same command again"
    progress: Progress = SilentProgress()
    stop_reason: Callable[[], str] = str
    clock: Clock = SystemClock()
    sleep: Callable[[float], None] = time.sleep


def run_import(folder: Path, config: ImportConfig, around: Surroundings | None = None) -> Imported:
    """Imports a source into a folder, or goes on with it.

    Raises `usage.*`, `config.*`, `source.*`, `hub.*`, `import.*`, `disk.*`, `run.busy` for a second writer,
    `run.stopped` (exit 75) between two parts, and `workers.lost`.
    """
    around = around or Surroundings()
    hub = Hub(config.endpoint, around.token, around.again, around.sleep)
    make_dir(folder)
    with writer_lock(folder):
        if (folder / MANIFEST).is_file():
            manifest = load_import(folder)
            require_same_settings(config, manifest.settings, manifest.source, folder, finished=True)
            _remove_work(folder)
            return Imported(manifest, fresh=False)
        around.progress.stage("import", config.source)
        plan = read_plan(folder)
        if plan is None:
            plan = make_plan(config, folder, hub)
        else:
            require_same_settings(config, plan.settings, plan.origin, folder, finished=False)
            if not all(read_state(folder, unit.number).done for unit in plan.units):
                require_not_moved(config, folder, hub, plan)
        sweep_temporaries(folder)
        (folder / STOP).unlink(missing_ok=True)
        states = _work(folder, config, plan, hub, around)
        manifest = _conclude(plan, config, states)
        write_json(folder / MANIFEST, manifest.to_json())
        _remove_work(folder)
        return Imported(manifest, fresh=True)


def _remove_work(folder: Path) -> None:
    if (folder / WORK).exists():
        try:
            shutil.rmtree(folder / WORK)
        except OSError as err:
            raise_disk_error(err, folder / WORK)


def _processes(config: ImportConfig, plan: Plan) -> int:
    """One with max_rows, where each file depends on how many rows the files before it had."""
    if config.max_rows is not None:
        return 1
    if config.workers is not None:
        return min(config.workers, len(plan.units))
    worth = sum(unit.bytes for unit in plan.units) // BYTES_A_PROCESS
    return max(1, min(available_processes(), len(plan.units), worth))


def _build(folder: Path, config: ImportConfig, origin: Origin, hub: Hub) -> UnitWorker:
    """A worker in a process of its own; it hears of a stop by a file, because signals are left to its parent."""
    return UnitWorker(folder, config, origin, hub, partial(_read_stop, folder / STOP))


def _read_stop(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _work(folder: Path, config: ImportConfig, plan: Plan, hub: Hub, around: Surroundings) -> list[UnitState]:
    """The states of all units that were worked on, in order."""
    processes = _processes(config, plan)
    show = _Show(plan, {unit.number for unit in plan.units if read_state(folder, unit.number).done}, around)
    if processes == 1:
        build = partial(UnitWorker, folder, config, plan.origin, hub, around.stop_reason, show.within)
    else:
        build = partial(_build, folder, config, plan.origin, hub)
    states: list[UnitState] = []
    with _stop_file(folder / STOP, around.stop_reason) if processes > 1 else contextlib.nullcontext():
        try:
            for state in map_in_order(build, _jobs(plan, config.max_rows, states), processes=processes):
                states.append(state)
                show.finished(plan.units[len(states) - 1], state)
                if (reason := around.stop_reason()) and len(states) < len(plan.units):
                    refuse("run.stopped", f"stopped between two files: {reason}", why=KEPT, fix=around.again)
        except PicochatError as err:
            if err.code == "workers.lost":
                refuse(err.code, err.detail, fix=f"{around.again}; the key workers = 1 needs least memory")
            raise
    return states


def _jobs(plan: Plan, max_rows: int | None, states: list[UnitState]) -> Iterator[UnitJob]:
    """The units; with `max_rows` each may read what those before it have left, and none is begun for nothing."""
    for unit in plan.units:
        if max_rows is None:
            yield UnitJob(unit)
            continue
        left = max_rows - sum(state.rows_read for state in states)
        if left <= 0:
            return
        yield UnitJob(unit, left)


@contextlib.contextmanager
def _stop_file(path: Path, stop_reason: Callable[[], str]) -> Iterator[None]:
    """While the block runs, a stop that is asked for is written where other processes look."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_STOP_EVERY_S):
            if reason := stop_reason():
                write_volatile(path, reason.encode())
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        path.unlink(missing_ok=True)


class _Show:
    """Tells how far an import is: rows, source bytes a second, and when it will be done."""

    def __init__(self, plan: Plan, before: set[int], around: Surroundings) -> None:
        """`before` are the units that an earlier attempt has done: they make nobody look fast."""
        self._progress, self._before = around.progress, before
        self._bytes = sum(unit.bytes for unit in plan.units if unit.number in before)
        self._pace = Pace(around.clock, sum(unit.bytes for unit in plan.units), self._bytes)
        self._rows = 0

    def within(self, unit: Unit, done: float, rows: int, what: str) -> None:
        self._pace.done = self._bytes + done * unit.bytes
        self._update(self._rows + rows, what)

    def finished(self, unit: Unit, state: UnitState) -> None:
        self._rows += state.rows_read
        self._bytes += unit.bytes if unit.number not in self._before else 0
        self._pace.done = self._bytes
        parts = f"{len(state.parts):,} parts" if len(state.parts) != 1 else "1 part"
        self._update(self._rows, f"{unit.files[0].name}: {parts}")

    def _update(self, rows: int, what: str) -> None:
        note = ", ".join(filter(None, (f"{format_count(rows)} rows", self._pace.note(), what)))
        self._progress.update(self._pace.done, max(1.0, self._pace.total), note)


def _conclude(plan: Plan, config: ImportConfig, states: list[UnitState]) -> ImportManifest:
    """The manifest of everything that was read. Raises `source.empty` when no document was kept."""
    files = tuple(file for state in states for file in state.files)
    dropped = sum((Counter(state.dropped) for state in states), Counter())
    rows_read, documents = sum(state.rows_read for state in states), sum(state.documents for state in states)
    if not documents:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in dropped.most_common()) or "there are none"
        refuse("source.empty", f"{config.source}: none of {rows_read:,} rows is a document ({reasons})")
    origin = plan.origin
    if origin.kind == "local":
        digest = digest_of([[file.name, file.bytes, file.sha256] for file in files])
        origin = origin.model_copy(update={"revision": digest})
    manifest = seal(
        {
            "schema": SCHEMA,
            "source": origin,
            "text_column": config.text,
            "filters": [wanted.as_dict() for wanted in config.filters],
            "max_rows": config.max_rows,
            "files": files,
            "files_left": sum(len(unit.files) for unit in plan.units) - len(files),
            "rows_read": rows_read,
            "documents": documents,
            "dropped": dict(sorted(dropped.items())),
            "front_matter": sum(state.front_matter for state in states),
            "text_bytes": sum(state.text_bytes for state in states),
            "parts": [part for state in states for part in state.parts],
            "settings": plan.settings,
            "tools": _tools(),
            "created_at": utc_now(),
        }
    )
    require_sound(manifest, MANIFEST)  # no import is published whose numbers do not add up
    return manifest


def _tools() -> dict[str, str]:
    found = {"picochat": picochat.__version__, "python": platform.python_version()}
    for name in _TOOLS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
