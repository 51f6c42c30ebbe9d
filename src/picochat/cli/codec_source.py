"""Which codec belongs to a model: ours, or that of a model that others trained and that was imported."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.import_record import is_imported, load_import
from picochat.cli import options
from picochat.tokenizer.codec import Codec, PicochatCodec
from picochat.tokenizer.tokenizer import Tokenizer


class ImportedModel(NamedTuple):
    """Where an imported model lies: its checkpoint, the digest that this belongs to, and its tokenizer."""

    root: Path
    checkpoint: Path
    run_digest: str
    tokenizer: Path


def find_imported(name: str | None) -> ImportedModel | None:
    """The imported model of a folder, or of a name below the runs folder; None where it is none.

    Raises `artifact.*` for a record that was changed.
    """
    if name is None or name == options.LAST:
        return None
    for root in (Path(name), options.runs_dir() / name):
        if is_imported(root):
            checkpoint = root / layout.checkpoint_dir(layout.IMPORTED)
            return ImportedModel(root, checkpoint, load_import(root).source_digest, root / layout.TOKENIZER)
    return None


def open_codec(tokenizer: Path) -> Codec:
    """The codec of a tokenizer.json: of others where an import stands beside it, else ours.

    Raises `artifact.*`, `tokenizer.file`, `foreign.*`.
    """
    if tokenizer.name == layout.TOKENIZER and is_imported(tokenizer.parent):
        from picochat.tokenizer.foreign.codec import ForeignCodec

        return ForeignCodec.load(tokenizer.parent)
    return PicochatCodec(Tokenizer.load(tokenizer))
