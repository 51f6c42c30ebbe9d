"""A `picochat serve` that ends when the workbench does.

python -m picochat.workbench.commands.speaking PARENT WORD...
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

LOOK_EVERY_S = 1.0


def watch_parent(parent: int) -> None:
    """Ends this process in good order once its parent is gone: a server that was killed leaves no model behind."""
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Starts the watch and becomes the command."""
    import runpy

    parent = int(sys.argv[1])
    sys.argv[1:] = sys.argv[2:]
    threading.Thread(target=watch_parent, args=(parent,), daemon=True).start()
    runpy.run_module("picochat.cli", run_name="__main__")


if __name__ == "__main__":
    main()
