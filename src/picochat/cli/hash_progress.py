"""How far the hashing of a run is: a line on standard error each second, for what takes longer than one."""

from __future__ import annotations

from pathlib import Path

from picochat.cli.console import build_console
from picochat.core.clock import Clock, SystemClock
from picochat.core.progress import Pace
from picochat.core.units import format_bytes
from picochat.judgement.summary import iter_files

EVERY_S = 1.0


class HashProgress:
    """Counts the bytes of the files of a run folder as they are hashed."""

    def __init__(self, root: Path, quiet: bool, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        paths = [] if quiet else [root / path for path in iter_files(root)]
        self._pace = Pace(self._clock, sum(path.stat().st_size for path in paths if path.is_file()))
        self._quiet, self._files, self._last_s = quiet, 0, self._clock.monotonic()

    def add(self, size: int) -> None:
        """One file more was hashed."""
        self._files += 1
        self._pace.add(size)
        now = self._clock.monotonic()
        if self._quiet or now - self._last_s < EVERY_S:
            return
        self._last_s = now
        what = f"hashed {self._files:,} files, {format_bytes(self._pace.done)} of {format_bytes(self._pace.total)}"
        build_console(stderr=True).print(self._pace.tell(what), markup=False)
