"""Packages of the extras: imported where they are used, refused by name where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from picochat.core.errors import refuse


def require_extra(module: str, need: str, extra: str = "data") -> Any:
    """The module, imported now. Raises `usage.extra`; `need` says what it is needed for, `extra` what installs it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as err:
        if err.name is None or err.name.partition(".")[0] != module.partition(".")[0]:
            raise
        refuse(
            "usage.extra",
            f"{need}, and the package {module.partition('.')[0]} is not installed",
            fix=f"pip install 'picochat[{extra}]'",
        )
