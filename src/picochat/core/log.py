"""Log files of a run, one a rank, and the log of a server: redacted, opened by the process that runs the work."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

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


def open_stream_log(stream: TextIO, also: Mapping[str, int]) -> logging.Handler:
    """Attaches a stream to the package's logger, and to others from a level on. The caller closes it."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_RedactingFormatter("%(asctime)s %(levelname)s %(message)s"))
    for name, level in {LOGGER.name: logging.INFO, **also}.items():
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
    return handler


def close_log(handler: logging.Handler) -> None:
    LOGGER.removeHandler(handler)
    handler.close()
