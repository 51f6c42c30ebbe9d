"""Reason codes of serving a model to clients. Part of the registry."""

from __future__ import annotations

from picochat.core.reason import Reason

SERVING_REASONS: dict[str, Reason] = {
    # --- serve: who may talk to the model
    "serve.address": Reason(
        5, "one address and port belong to one process", "choose another one: --port 0 takes any that is free"
    ),
    "serve.key": Reason(
        2,
        "whoever reaches the server may use the model, so other machines need a key",
        "set PICOCHAT_API_KEY, or give a file: --api-key-file FILE",
    ),
    "serve.key_file": Reason(
        2,
        "a key that others can read is none",
        "write one line of 16 characters or more into a file and close it to others: chmod 600 FILE",
    ),
}
