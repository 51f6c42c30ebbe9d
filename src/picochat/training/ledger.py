"""The step ledger: one line a step, without time or host, so that two equal trainings write equal bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from picochat.core.errors import refuse
from picochat.core.fs import raise_disk_error, sync_stream
from picochat.core.jsonio import canonical_json, iter_jsonl


def documents_digest(spans: Iterable[NDArray[np.int64]]) -> str:
    """sha256 over the ordered (document, offset, length) of a step."""
    digest = hashlib.sha256()
    for block in spans:
        digest.update(np.ascontiguousarray(block, dtype="<i8").tobytes())
    return digest.hexdigest()


class Ledger:
    """Appends lines; on a resume it compares each repeated step with what stood there before."""

    def __init__(self, path: Path, resumed_step: int | None = None) -> None:
        """`resumed_step` is the step of the checkpoint that training goes on from; None starts a new file.

        The file is opened by the first line: until then an earlier one stays as it is. Raises `training.ledger` when
        a step up to `resumed_step` has no line.
        """
        self._path = path
        self._mode = "wb" if resumed_step is None else "ab"
        self._stream: IO[bytes] | None = None
        self._before: dict[int, dict[str, Any]] = {}
        self.repeated = 0
        self.differing: list[int] = []
        if resumed_step is not None:
            self._read_before(resumed_step)

    @property
    def to_repeat(self) -> int:
        """The last step that an earlier attempt wrote; up to it this attempt is compared."""
        return max(self._before, default=0)

    def _read_before(self, resumed_step: int) -> None:
        if self._path.exists():
            self._before = {line["step"]: line for line in iter_jsonl(self._path, torn_tail=True)}
            self._cut_torn_tail()
        if absent := sorted(set(range(1, resumed_step + 1)) - set(self._before)):
            refuse(
                "training.ledger",
                f"{self._path} lacks {len(absent):,} of the {resumed_step:,} steps before the checkpoint "
                f"(first missing: {absent[0]})",
                fix="start a new run with another --out-dir: what these steps were cannot be proved any more",
            )

    def _cut_torn_tail(self) -> None:
        data = self._path.read_bytes()
        end = data.rfind(b"\n") + 1
        if end != len(data):
            with open(self._path, "r+b") as stream:
                stream.truncate(end)

    def append(self, line: dict[str, Any]) -> None:
        old = self._before.get(line["step"])
        if old is not None:
            self.repeated += 1
            if any(old.get(key) != value for key, value in line.items() if key in old):
                self.differing.append(line["step"])
        try:
            if self._stream is None:
                self._stream = open(self._path, self._mode)
                self._mode = "ab"
            self._stream.write(canonical_json(line) + b"\n")
            self._stream.flush()
        except OSError as err:
            raise_disk_error(err, self._path)

    def sync(self) -> None:
        """Puts the lines on disk: a checkpoint must never outlive the ledger of its steps."""
        if self._stream is None:
            return
        try:
            sync_stream(self._stream)
        except OSError as err:
            raise_disk_error(err, self._path)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class SilentLedger(Ledger):
    """That of a rank other than 0, which writes and compares nothing."""

    def __init__(self) -> None:
        super().__init__(Path())

    def append(self, line: dict[str, Any]) -> None:
        pass


def spliced(path: Path) -> list[dict[str, Any]]:
    """The ledger's lines in the order of their steps, the last line of each step."""
    lines = {line["step"]: line for line in iter_jsonl(path, torn_tail=True)}
    return [lines[step] for step in sorted(lines)]


def require_every_step(path: Path, steps: int) -> list[dict[str, Any]]:
    """The spliced ledger, when it holds the steps 1..`steps` and no other. Raises `training.ledger`."""
    lines = spliced(path)
    found = [line["step"] for line in lines]
    if found != list(range(1, steps + 1)):
        missing = sorted(set(range(1, steps + 1)) - set(found))[:5]
        refuse("training.ledger", f"{path} has {len(found):,} steps, planned were {steps:,} (first missing: {missing})")
    return lines
