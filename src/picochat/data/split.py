"""The hold-out: which side a text stands on, decided by the text alone and never by what stands around it.

The key of a document is the first 8 bytes of sha256(salt + comparison form) as a fraction; a key below `val_fraction`
is val. Exact duplicates share the form, so a cluster, removed members included, stands on one side by construction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from picochat.core.hashing import unit_fraction

Side = Literal["train", "val"]
TRAIN = 0
VAL = 1
SIDES: dict[Side, int] = {"train": TRAIN, "val": VAL}


def document_key(salt: str, form: str) -> float:
    """The key of a comparison form, in [0, 1)."""
    return unit_fraction(salt + form)


def split_of(key: float, val_fraction: float) -> int:
    """VAL when the key lies below the fraction, else TRAIN."""
    return VAL if key < val_fraction else TRAIN


def chat_side(prompt_form: str, template: str | None, entities: Iterable[str], salt: str, fraction: float) -> str:
    """The set of a chat row: `train`, `heldout`, or `mixed` for a row that belongs to neither.

    A template or an entity is held out as a whole by its hash. A row is held out when its template and all its entities
    are, and trained on when none of them is. A row that has neither is placed by its prompt.
    """
    parts = ([f"template:{template}"] if template else []) + [f"entity:{entity}" for entity in entities]
    keys = [unit_fraction(salt + part) for part in parts or [f"prompt:{prompt_form}"]]
    held = [key < fraction for key in keys]
    if all(held):
        return "heldout"
    return "mixed" if any(held) else "train"
