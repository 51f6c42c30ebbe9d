"""The key of a server: from the environment or a file, never from the command line, which every user can read."""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from pathlib import Path

from picochat.core.errors import refuse
from picochat.core.redact import register_secrets

KEY_VARIABLE = "PICOCHAT_API_KEY"
MAX_FILE_BYTES = 4096
_KEY = re.compile(r"[!-~]{16,512}")


def read_api_key(file: Path | None) -> str | None:
    """The key, or None where none is set; a file comes before the environment. The log never shows it.

    Raises `usage.path` or `serve.key_file`: others can read the file, or it holds no key.
    """
    where = str(file) if file is not None else f"${KEY_VARIABLE}"
    key = _read_file(file) if file is not None else os.environ.get(KEY_VARIABLE)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        refuse("serve.key_file", f"{where} holds no key: 16 to 512 visible ASCII characters in one line")
    register_secrets([(KEY_VARIABLE, key)])
    return key


def _read_file(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if stat.S_IMODE(mode) & 0o077:
                refuse("serve.key_file", f"{file} has mode {stat.S_IMODE(mode):04o}: others than its owner may use it")
            return stream.read(MAX_FILE_BYTES).decode("ascii", "replace").rstrip("\r\n")
    except OSError as err:
        refuse("usage.path", f"{file} cannot be read: {err.strerror}")


def require_key_or_loopback(host: str, key: str | None) -> None:
    """Raises `serve.key` for an address that other machines reach, without a key."""
    if key is None and not is_loopback(host):
        refuse("serve.key", f"{host} can be reached from other machines, and no key is set")


def is_loopback(host: str) -> bool:
    """Whether an address is one of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
