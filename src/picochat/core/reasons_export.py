"""Reason codes of exports: what a runtime cannot load, a proof that failed, an upload. Part of the registry."""

from __future__ import annotations

from picochat.core.reason import Reason

EXPORT_REASONS: dict[str, Reason] = {
    "export.missing": Reason(
        2, "what is uploaded was written and proved before", "picochat export hf RUN, or picochat export gguf RUN"
    ),
    "export.not_approved": Reason(
        3,
        "whoever downloads a model takes it for one that was released",
        "picochat gate RUN says what is missing; --allow-unapproved uploads it with its word",
    ),
    "export.not_confirmed": Reason(
        2, "an upload cannot be taken back from those who have downloaded it", "add --yes, or answer on a terminal"
    ),
    "export.parity": Reason(
        3,
        "a file that loads and answers wrongly is worse than none",
        "nothing was written; report it with the lines above: the numbers say which part of the model differs",
    ),
    "export.target": Reason(
        3,
        "a runtime without this network's graph would load the file and answer wrongly, or not at all",
        "picochat export check RUN shows what each runtime can load",
    ),
    "export.type": Reason(
        2, "a type that is not written here cannot be proved here", "picochat export gguf RUN --type f16"
    ),
    "export.upload": Reason(5, "the hub did not take the files", "check the name, the token and the connection"),
}
