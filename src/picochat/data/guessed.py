"""A bare text file as documents: the cuts are guessed, and whoever uses them says so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from picochat.core.errors import refuse
from picochat.data.duplicates.forms import comparison_form
from picochat.data.split import VAL, Side, document_key, split_of

VAL_FRACTION = 0.02
SALT = "bare-corpus-1"
_WIDE_GAP = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")
_GAP = re.compile(r"\n[ \t]*\n")


def cut_documents(text: str) -> list[str]:
    """Cuts at runs of two and more empty lines where there are any, else at empty lines; drops what is blank."""
    gap = _WIDE_GAP if _WIDE_GAP.search(text) else _GAP
    return [part.strip("\n") for part in gap.split(text) if part.strip()]


class GuessedCorpus:
    """The documents of a bare file and their sides. Raises `artifact.missing`, `corpus.layout` or `data.no_val`."""

    def __init__(self, path: Path) -> None:
        try:
            text = path.read_bytes().decode().replace("\r\n", "\n")
        except (FileNotFoundError, IsADirectoryError):
            refuse("artifact.missing", f"{path} does not exist")
        except UnicodeDecodeError as err:
            refuse("corpus.layout", f"{path} is not UTF-8: {err}")
        self.texts = cut_documents(text)
        self.sides = [split_of(document_key(SALT, comparison_form(text)), VAL_FRACTION) for text in self.texts]
        held_out = self.sides.count(VAL)
        if held_out in (0, len(self.texts)):
            refuse(
                "data.no_val",
                f"{path} gives {len(self.texts):,} documents and {held_out:,} of them are held out",
                fix="build a corpus with picochat data build --pack, where split.val_fraction can be set",
            )

    def numbers(self, side: Side) -> Sequence[int]:
        """The documents of one side."""
        wanted = side == "val"
        return [number for number, found in enumerate(self.sides) if (found == VAL) == wanted]
