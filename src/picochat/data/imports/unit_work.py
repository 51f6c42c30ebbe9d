"""One unit of work: from its source file to its parts. What comes out depends on that file and the settings alone.

The state of the unit is written after each part, so a restart knows how many rows stand in the finished ones. It reads
the file again from its first row, passes those over, and goes on with the first part that is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from picochat.core.errors import refuse
from picochat.core.fs import make_dir, raise_disk_error, write_json
from picochat.data.imports.config import ANEW, ImportConfig
from picochat.data.imports.hub import Hub, remove_download
from picochat.data.imports.local import hash_local, local_path, require_same
from picochat.data.imports.manifest import (
    DOWNLOADS,
    Origin,
    PlannedFile,
    SourceFile,
    Unit,
    UnitState,
    unit_name,
)
from picochat.data.imports.parts import PartBuilder
from picochat.data.imports.unit_checks import require_readable, require_rows_layout
from picochat.data.imports.unit_tally import Row, Tally, at_most, read_state
from picochat.data.row_files import iter_records, kind_of
from picochat.data.text_files import read_text_file

LOOK_EVERY_ROWS = 4096
KEPT = "finished parts are kept, and the same command goes on with the next one"
Report = Callable[[Unit, float, int, str], None]
"""Told a unit, the share of it that is done, the rows read of it, and what is being done."""


@dataclass(frozen=True)
class UnitJob:
    """A unit and how many rows of it may be read."""

    unit: Unit
    limit: int | None = None


class UnitWorker:
    """Works on units, one after another, in one process. `stop_reason` is asked between parts and while it fetches."""

    def __init__(
        self,
        folder: Path,
        config: ImportConfig,
        origin: Origin,
        hub: Hub,
        stop_reason: Callable[[], str],
        report: Report | None = None,
    ) -> None:
        self._folder, self._config, self._origin, self._hub = folder, config, origin, hub
        self._stop_reason = stop_reason
        self._report = report or (lambda *_: None)

    def __call__(self, job: UnitJob) -> UnitState:
        """Finishes a unit and returns its state. Raises `source.*`, `hub.*`, `import.*`, `disk.*` or `run.stopped`."""
        state = read_state(self._folder, job.unit.number)
        if state.done:
            return state
        self._require_no_stop()
        try:
            return self._work(job, state)
        except FileNotFoundError as err:
            refuse("source.vanished", f"{err.filename} was there when the import began and is gone now", fix=ANEW)
        except OSError as err:
            raise_disk_error(err, Path(err.filename or self._folder))

    def _work(self, job: UnitJob, state: UnitState) -> UnitState:
        if job.unit.kind == "text":
            state = self._take(job, state, self._iter_texts(job.unit, state.rows_read))
            self._save(state)
            return state
        file = job.unit.files[0]
        path, sha256 = self._obtain(job.unit, file)
        if state.files and state.files[0].sha256 != sha256:
            before = state.files[0].sha256[:12]
            what = f"{path} has sha256 {sha256[:12]}..., its first parts were made of {before}..."
            refuse("source.changed", what, fix=ANEW)
        state = self._take(job, state, self._iter_rows(job.unit, path, state.rows_read), path, sha256)
        if self._origin.kind == "local":
            require_same(path, file)
        self._save(state)
        if self._origin.kind != "local":
            remove_download(path)
        return state

    def _obtain(self, unit: Unit, file: PlannedFile) -> tuple[Path, str]:
        """The path of a source file on this machine, and its digest."""
        if self._origin.kind == "local":
            path = local_path(self._origin, file)
            return path, hash_local(path, file)
        make_dir(self._folder / DOWNLOADS)
        target = self._folder / DOWNLOADS / f"{unit.number:05d}-{file.name.rpartition('/')[2][-100:]}"

        def watch(have: int) -> None:
            self._require_no_stop()
            self._report(unit, 0.0, 0, f"fetching {file.name}: {have / max(1, file.bytes):.0%}")

        return target, self._hub.fetch(self._origin.name, self._origin.revision, file, target, watch)

    def _iter_rows(self, unit: Unit, path: Path, before: int) -> Iterator[Row]:
        """The rows of a file of rows after the first `before`."""
        file, column = unit.files[0], str(self._config.text)
        require_rows_layout(path, file.name)
        seen = 0

        def report(done: float) -> None:
            self._report(unit, min(done, 1.0), seen, f"reading {file.name}")

        others = tuple(wanted.column for wanted in self._config.filters if wanted.column != column)
        for seen, (number, record, reason) in enumerate(
            iter_records(path, unit.kind, column, others, seen=report), start=1
        ):
            if seen <= before:
                continue
            if record is not None:
                reason = next((wanted.reason for wanted in self._config.filters if not wanted.passes(record)), None)
            text = record[column] if record is not None and reason is None else None
            yield Row(f"{file.name}:{number}", text, reason)

    def _iter_texts(self, unit: Unit, before: int) -> Iterator[Row]:
        """The files of a unit of texts after the first `before`, a document each."""
        for number, file in enumerate(unit.files[before:], before):
            if number % 64 == 0:
                self._report(unit, number / len(unit.files), number, f"reading {file.name}")
            yield self._read_text(file)

    def _read_text(self, file: PlannedFile) -> Row:
        text, reason, metadata, sha256 = None, file.problem or None, "", ""
        if reason is None:
            path = local_path(self._origin, file)
            try:
                sha256 = hash_local(path, file)
                text, reason, metadata = read_text_file(path, kind_of(file.name) == "markdown")
            except PermissionError as err:
                reason = f"unreadable: {err.strerror}"
            except OSError as err:
                raise_disk_error(err, path)
            require_same(path, file)
        kept = int(text is not None)
        record = SourceFile(name=file.name, bytes=file.bytes, sha256=sha256, rows=1, documents=kept)
        return Row(file.name, text, reason, bool(metadata), record)

    def _take(
        self, job: UnitJob, state: UnitState, rows: Iterator[Row], path: Path | None = None, sha256: str = ""
    ) -> UnitState:
        """All rows that are left, into parts, and the state of the unit that is done with it. It is not stored yet."""
        tally = Tally(job.unit, state, sha256)
        builder = PartBuilder()
        for row in rows if job.limit is None else at_most(rows, job.limit - state.rows_read, tally):
            tally.count(row)
            if row.text is not None:
                builder.add(row.name, row.text)
            if builder.text_bytes >= self._config.part_bytes:
                self._publish(builder, tally)
                builder = PartBuilder()
            if tally.rows_read % LOOK_EVERY_ROWS == 0:
                self._require_no_stop()
        if path is not None:
            require_readable(path, job.unit.files[0].name, self._config.text, tally.rows_read, tally.dropped)
        if builder.rows:
            tally.parts.append(builder.publish(self._folder, job.unit.number, len(tally.parts)))
        return tally.state(done=True)

    def _publish(self, builder: PartBuilder, tally: Tally) -> None:
        tally.parts.append(builder.publish(self._folder, tally.unit.number, len(tally.parts)))
        self._save(tally.state(done=False))
        self._require_no_stop()

    def _save(self, state: UnitState) -> None:
        write_json(self._folder / unit_name(state.unit), state.to_json())

    def _require_no_stop(self) -> None:
        if reason := self._stop_reason():
            refuse("run.stopped", f"stopped between two parts: {reason}", why=KEPT, fix=self._hub.again)
