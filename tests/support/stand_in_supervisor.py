"""The supervisor of the workbench around another program than picochat, so that a test says what the command does.

python -m tests.support.stand_in_supervisor FOLDER        runs `python -c` with the text in STAND_IN
"""

from __future__ import annotations

import os
import sys

from picochat.workbench.commands import supervise

if __name__ == "__main__":
    supervise.PROGRAM = ("-c", os.environ["STAND_IN"])  # type: ignore[assignment]
    sys.exit(supervise.main(sys.argv[1:]))
