"""The counts of a unit of work while it is read, and how far it had come when an earlier attempt ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from picochat.core.jsonio import read_json
from picochat.data.imports.manifest import PartFile, SourceFile, Unit, UnitState, unit_name


class Row(NamedTuple):
    """What was read: a document or a reason; for a file that is one document also the record of that file."""

    name: str
    text: str | None
    reason: str | None
    front_matter: bool = False
    file: SourceFile | None = None


class Tally:
    """The counts of a unit up to the row that was read last."""

    def __init__(self, unit: Unit, state: UnitState, sha256: str) -> None:
        self.unit, self._sha256 = unit, sha256
        self.rows_read, self.front_matter = state.rows_read, state.front_matter
        self.dropped, self.parts = Counter(state.dropped), list[PartFile](state.parts)
        self._files = list(state.files) if not sha256 else []
        self.whole = True

    def count(self, row: Row) -> None:
        self.rows_read += 1
        self.front_matter += row.front_matter
        if row.text is None:
            self.dropped[str(row.reason).partition(": ")[0]] += 1
        if row.file is not None:
            self._files.append(row.file)

    def state(self, done: bool) -> UnitState:
        return UnitState(
            unit=self.unit.number,
            rows_read=self.rows_read,
            dropped=dict(self.dropped),
            front_matter=self.front_matter,
            files=tuple(self._files) if not self._sha256 else (self._row_file(),),
            parts=tuple(self.parts),
            done=done,
        )

    def _row_file(self) -> SourceFile:
        file = self.unit.files[0]
        return SourceFile(
            name=file.name,
            bytes=file.bytes,
            sha256=self._sha256,
            rows=self.rows_read,
            documents=self.rows_read - sum(self.dropped.values()),
            whole=self.whole,
        )


def at_most(rows: Iterator[Row], limit: int, tally: Tally) -> Iterator[Row]:
    """The first rows; whether there are more is noted."""
    for number, row in enumerate(rows):
        if number >= limit:
            tally.whole = False
            return
        yield row


def read_state(folder: Path, unit: int) -> UnitState:
    """How far a unit has come; nothing of it when one of its parts is not there as it was written."""
    path = folder / unit_name(unit)
    if not path.is_file():
        return UnitState(unit=unit)
    state = UnitState.from_json(read_json(path), str(path))
    whole = all(_has_size(folder / part.name, part.bytes) for part in state.parts)
    return state if whole else UnitState(unit=unit)


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
