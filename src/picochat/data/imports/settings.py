"""What two imports must share to be the same one."""

from __future__ import annotations

import os
from typing import Any

from picochat.data.imports.config import ImportConfig
from picochat.data.imports.manifest import Origin

DEFAULT_REVISION = "main"
_WITHOUT_EFFECT = ("workers", "endpoint", "revision")
"""Keys that change no byte of an import, and the revision, which is compared on its own."""


def settings_of(config: ImportConfig) -> dict[str, Any]:
    """What must be the same for a restart to go on."""
    values = {key: value for key, value in config.as_dict().items() if key not in _WITHOUT_EFFECT}
    if config.kind == "local":
        values["source"] = os.path.abspath(config.source)
    return values


def setting_differences(config: ImportConfig, settings: dict[str, Any], origin: Origin) -> list[str]:
    """In words, in what an import that was made differs from the one that `config` asks for.

    A branch that was resolved and the commit that it was resolved to are the same revision.
    """
    now = settings_of(config)
    found = [
        f"{key} was {settings.get(key)!r} and is {now.get(key)!r}"
        for key in sorted(settings.keys() | now.keys())
        if settings.get(key) != now.get(key)
    ]
    if origin.kind != "local":
        requested = config.revision or DEFAULT_REVISION
        if requested not in (origin.requested_revision, origin.revision):
            found.append(f"revision was {origin.requested_revision!r} (commit {origin.revision}) and is {requested!r}")
    return found
