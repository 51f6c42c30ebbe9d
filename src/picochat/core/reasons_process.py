"""Reason codes of commands that the workbench starts. Part of the registry."""

from __future__ import annotations

from picochat.core.reason import Reason

PROCESS_REASONS: dict[str, Reason] = {
    "process.busy": Reason(
        5,
        "every command takes processors and memory from the runs beside it",
        "wait until one of the running commands has ended, or cancel one",
    ),
    "process.ended": Reason(
        2, "a number that was given to another process is never signalled", "look at its exit code and its output"
    ),
    "process.value": Reason(
        2,
        "a value that a command could take for an option, or that ends a word early, is never handed to one",
        "use a plain word",
    ),
}
