"""Reason codes of reading what may have been put there by anybody. Part of the registry."""

from __future__ import annotations

from picochat.core.reason import Reason

READING_REASONS: dict[str, Reason] = {
    "artifact.special": Reason(
        4,
        "a run holds regular files: a link, a pipe or a device under their names could lead anywhere or never end",
        "put the file itself under its name, readable",
    ),
}
