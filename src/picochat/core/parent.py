"""A process that ends when its parent does: Linux sends a signal, other systems are left as they are."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def follow_parent(number: signal.Signals, parent: int | None = None) -> bool:
    """Asks the kernel for `number`, perhaps several times, when the parent dies; False where that cannot be done.

    A parent that died before this call is noticed by the new one, which then sends the signal itself. Whoever knows
    the number of its parent says it: a process takes a while to get here, and its parent may be gone by then.
    """
    if sys.platform != "linux":
        return False
    parent = os.getppid() if parent is None else parent
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0):
        return False
    if os.getppid() != parent:
        os.kill(os.getpid(), number)
    return True
