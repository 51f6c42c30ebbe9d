"""Names that a person lists for a server: exact ones, never patterns."""

from __future__ import annotations

import re
from collections.abc import Iterable

from picochat.core.errors import refuse

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:.]+\](:\d{1,5})?")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]")


def require_exact_hosts(key: str, hosts: Iterable[str]) -> None:
    """A host is a name in lower case without scheme and port. Raises `config.value`, naming the key."""
    for host in hosts:
        if not _HOST.fullmatch(host):
            refuse(
                "config.value",
                f"{key}: {host!r} is no exact name in lower case",
                fix=f'give names without scheme and port: --set {key}=["pico.lan"]',
            )


def require_exact_origins(key: str, origins: Iterable[str], example: str) -> None:
    """An origin is a scheme, a host and perhaps a port. Raises `config.value`, naming the key."""
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            refuse(
                "config.value",
                f"{key}: {origin!r} is no exact origin in lower case",
                fix=f'give scheme, host and port: --set {key}=["{example}"]',
            )
