"""What went wrong with a question to the hub, sorted: what may pass is asked again, the rest is refused in words."""

from __future__ import annotations

import importlib
from typing import Any
from urllib.parse import urlsplit

from picochat.core.extras import require_extra
from picochat.core.redact import redact

NEED = "datasets of the hub are fetched with huggingface_hub"
_BUSY = (408, 429)


class Unfinished(Exception):
    """A body that ended early, without an error."""


def may_pass(err: Exception) -> bool:
    """Whether the same question may be answered later: a lost connection, a timeout, an overloaded hub."""
    status = status_of(err)
    if status == 403 and getattr(getattr(err, "response", None), "history", []):
        return True  # the signed address of a storage host has run out; the hub gives a new one
    if status is not None:
        return status in _BUSY or status >= 500
    return isinstance(err, Unfinished | _client().TransportError)


def is_of_library(err: Exception) -> bool:
    """Whether an error was made by huggingface_hub or the HTTP client that it works with, and is no bug of ours."""
    return type(err).__module__.partition(".")[0] in ("huggingface_hub", _client().__name__)


def status_of(err: Exception) -> int | None:
    """The status of the answer that an error is about."""
    return getattr(getattr(err, "response", None), "status_code", None)


def header_of(err: Exception, name: str) -> str:
    """A header of the answer that an error is about, or nothing."""
    return str(getattr(getattr(err, "response", None), "headers", {}).get(name, ""))


def retry_after(err: Exception) -> float:
    """The seconds that the hub asks one to wait, or 0."""
    value = header_of(err, "retry-after")
    return float(value) if value.isdecimal() else 0.0


def describe(err: Exception) -> str:
    """What happened in a few words, without addresses: those of downloads are signed."""
    status = status_of(err)
    if status is not None:
        url = str(getattr(getattr(err, "response", None), "url", ""))
        return f"status {status} from {urlsplit(url).hostname or 'the hub'}"
    first = (str(err).splitlines() or [""])[0]
    return redact(f"{type(err).__name__}: {first.partition('?')[0][:200]}" if first else type(err).__name__)


def _client() -> Any:
    """The HTTP client that the library works with: which one depends on its version."""
    session = require_extra("huggingface_hub.utils", NEED).get_session()
    return importlib.import_module(type(session).__module__.partition(".")[0])
