"""Log files of a run: one a rank, redacted, opened by the process that runs the stages."""

from __future__ import annotations

import logging
from pathlib import Path

from picochat.core.redact import redact

LOGGER = logging.getLogger("picochat")


class _RedactingFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def open_log(path: Path) -> logging.Handler:
    """Attaches a file handler to the package's logger. The caller closes it with `close_log`."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(_RedactingFormatter("%(asctime)s %(levelname)s %(message)s"))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    return handler


def close_log(handler: logging.Handler) -> None:
    LOGGER.removeHandler(handler)
    handler.close()
