"""Reason codes of the engine that answers requests, and of the conversation on the terminal. Part of the registry."""

from __future__ import annotations

from picochat.core.reason import Reason

ENGINE_REASONS: dict[str, Reason] = {
    "chat.command": Reason(2, "a line that begins with / is a command", "/help lists the commands"),
    "engine.closed": Reason(5, "an engine that is being closed takes no more requests", "start it again"),
    "engine.context": Reason(
        2,
        "prompt and answer share the context of the model, and neither is cut in silence",
        "shorten the prompt, or ask for fewer tokens",
    ),
    "engine.queue_full": Reason(
        5, "more waiting requests would only wait longer than their clients do", "ask again in a moment"
    ),
    "engine.request": Reason(2, "a request that cannot be answered as asked is not answered otherwise", "correct it"),
    "engine.token": Reason(
        2, "an id outside of the vocabulary stands for nothing", "give ids from 0 to the vocabulary size less one"
    ),
    "engine.vocabulary": Reason(
        4,
        "ids mean nothing without the very tokenizer that a model was trained with",
        "give the tokenizer.json of the run that the checkpoint came from",
    ),
}
