"""Putting a finished folder under its name: exchanged where the kernel can, renamed step by step where it cannot.

Swap.exchange_in   both names exist at every instant (renameat2, RENAME_EXCHANGE)
Swap.rename_in     the name is missing for an instant; recovery knows each state in between
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path

from picochat.core.failpoints import failpoint
from picochat.core.fs import fsync_dir

Exchange = Callable[[Path, Path], bool]
"""Exchanges two existing names in one step; False, with nothing done, where the file system or kernel cannot."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})


def exchange_names(first: Path, second: Path) -> bool:
    """`renameat2(RENAME_EXCHANGE)`. Returns False where it is not supported; raises OSError on any other failure."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(first))


def rename_durably(source: Path, target: Path) -> None:
    """Renames and makes the new name durable. The caller holds the writer lock and knows that `target` is free."""
    os.rename(source, target)
    fsync_dir(target.parent)


class Swap:
    """One swap, and the way back: `undo` reverses every move that was made."""

    def __init__(self, fresh: Path, current: Path, previous: Path | None, trash: Path, exchange: Exchange) -> None:
        self._fresh = fresh
        self._current = current
        self._previous = previous
        self._trash = trash
        self._exchange = exchange
        self._moves: list[tuple[Path, Path, bool]] = []
        self.displaced: Path | None = None
        """The copy that no name needs any more."""
        self.exchanged = False

    def run(self) -> None:
        """Makes the fresh folder the current one, and the current one the previous one. Raises OSError."""
        if not self._current.exists():
            self._rename(self._fresh, self._current)
            failpoint("ckpt.after_exchange_1")
        elif self._swap(self._fresh, self._current):
            failpoint("ckpt.after_exchange_1")
            self.exchanged = True
            self._keep_exchanged()
        else:
            self._rename_in()

    def undo(self) -> None:
        """Reverses the moves, last first. Raises OSError."""
        while self._moves:
            source, target, exchanged = self._moves.pop()
            if exchanged:
                self._exchange(source, target)
                fsync_dir(source.parent)
            else:
                rename_durably(target, source)
        self.displaced = None

    def _keep_exchanged(self) -> None:
        """The fresh name now holds the old copy: it becomes the previous one."""
        self.displaced = self._fresh
        if self._previous is None:
            return
        if not self._previous.exists():
            self._rename(self._fresh, self._previous)
            self.displaced = None
        elif not self._swap(self._fresh, self._previous):
            raise OSError(errno.EIO, "the file system exchanged two names and then refused to", str(self._previous))
        failpoint("ckpt.after_exchange_2")

    def _rename_in(self) -> None:
        aside = self._trash if self._previous is None else self._previous
        if aside.exists():
            self._rename(aside, self._trash)
            failpoint("ckpt.after_rename_1")
        self._rename(self._current, aside)
        failpoint("ckpt.after_rename_2")
        self._rename(self._fresh, self._current)
        failpoint("ckpt.after_rename_3")
        self.displaced = self._trash if self._trash.exists() else None

    def _swap(self, first: Path, second: Path) -> bool:
        if not self._exchange(first, second):
            return False
        self._moves.append((first, second, True))
        fsync_dir(first.parent)
        return True

    def _rename(self, source: Path, target: Path) -> None:
        os.rename(source, target)
        self._moves.append((source, target, False))
        fsync_dir(target.parent)
