"""The dataset pack: what a model is made from, as one TOML or JSON file, a bare folder or file, or the built-in text.

`load_pack` reads any of them into the same `Pack`. Paths in a pack are relative to the folder that holds it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from picochat.core.config import Config, read_toml
from picochat.core.errors import refuse
from picochat.core.jsonio import read_json
from picochat.data import builtin
from picochat.data.skills.config import Identity

SCHEMA = "pack/1"
BUILTIN = "builtin"
SourceFormat = Literal["auto", "text", "markdown", "jsonl", "csv", "guessed"]
_LATER_PARTS = ("preferences", "canaries", "contamination")
_LATER_FORMATS = ("parquet", "hf", "climbmix")


class Split(Config):
    """The hold-out: fixed numbers, never derived from the size of the data."""

    val_fraction: float = Field(default=0.02, gt=0, le=0.5)
    salt: str = "picochat-1"


class Source(Config):
    """One origin of documents. In a text or Markdown source a file is a document, in JSONL and CSV a row."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    path: str = Field(min_length=1)
    include: list[str] = []
    """Globs below a folder; empty takes the files of the format. Hidden files and folders are never read."""
    exclude: list[str] = []
    format: SourceFormat = "auto"
    """`auto` goes by extension; `guessed` cuts one file at its empty lines."""
    text: str | None = None
    """The column of a row source that holds the text."""
    revision: str = "unknown"
    licence: str = "unknown"
    weight: float = Field(default=1.0, gt=0)


class ChatFile(Config):
    """A JSON Lines file of chat or eval rows."""

    path: str = Field(min_length=1)


class Benchmark(Config):
    """A published test set that lies on disk."""

    name: str
    path: str
    shots: int = Field(default=0, ge=0)


class Pack(Config):
    """The content of a pack file, without its schema line."""

    name: str = Field(min_length=1)
    description: str = ""
    languages: list[str] = []
    split: Split = Split()
    sources: list[Source] = Field(min_length=1)
    chat: list[ChatFile] = []
    eval: list[ChatFile] = []
    benchmarks: list[Benchmark] = []
    identity: Identity = Identity()

    @field_validator("sources")
    @classmethod
    def _distinct(cls, sources: list[Source]) -> list[Source]:
        ids = [source.id for source in sources]
        if len(set(ids)) != len(ids):
            raise ValueError(f"the id {next(i for i in ids if ids.count(i) > 1)!r} stands twice")
        return sources


@dataclass(frozen=True)
class LoadedPack:
    """A pack, the folder that its paths start from, and the file it was read from, if there is one."""

    pack: Pack
    root: Path
    file: Path | None = None

    def resolve(self, path: str) -> Path:
        return self.root / path


def load_pack(path: str | Path) -> LoadedPack:
    """Reads `builtin`, a pack file (.toml, .json), a bare folder or a bare text file.

    Raises `usage.path` when the path does not exist, `config.*` for a wrong pack, `usage.unavailable` for a kind of
    source that this version does not read.
    """
    if str(path) == BUILTIN:
        return LoadedPack(builtin_pack(), Path())
    path = Path(path)
    if not os.path.exists(path):
        refuse("usage.path", f"pack {path} does not exist", fix=f"give a folder of text, a pack file, or {BUILTIN!r}")
    if path.is_dir():
        return LoadedPack(_bare_pack(path, Source(id=_source_id(path), path=".")), path)
    if path.suffix.lower() in (".toml", ".json"):
        values = read_toml(path) if path.suffix.lower() == ".toml" else read_json(path)
        return LoadedPack(parse_pack(values, str(path)), path.parent, path)
    rows = path.suffix.lower() in (".jsonl", ".csv")
    source = Source(id=_source_id(path), path=path.name, format="auto" if rows else "guessed")
    return LoadedPack(_bare_pack(path, source), path.parent)


def parse_pack(values: Any, what: str) -> Pack:
    """Checks the parsed content of a pack file. Raises `config.*` or `usage.unavailable`, naming `what`."""
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        found = values.get("schema") if isinstance(values, dict) else type(values).__name__
        refuse(
            "config.value",
            f"{what}: schema is {found!r}, expected {SCHEMA!r}",
            fix=f'begin the pack with schema = "{SCHEMA}"',
        )
    _refuse_later(values, what)
    pack = Pack.from_dict({key: value for key, value in values.items() if key != "schema"}, what)
    for source in pack.sources:
        if source.weight != 1.0:
            refuse(
                "usage.unavailable",
                f"{what}: source {source.id!r} has weight {source.weight:g}; this version reads every source once",
            )
        if source.format in ("jsonl", "csv") and source.text is None:
            refuse(
                "config.value",
                f'{what}: source {source.id!r} has rows; text = "COLUMN" must name the column of the text',
            )
    return pack


def builtin_pack() -> Pack:
    """The reference topics and docstrings of the running interpreter: real English text that needs no download."""
    revision = builtin.library_revision()
    return Pack(
        name="builtin",
        description="The documentation inside Python: reference topics and docstrings of the standard library.",
        languages=["en"],
        split=Split(val_fraction=0.05, salt="builtin-1"),
        sources=[
            Source(id="topics", path=builtin.TOPICS, revision=revision, licence=builtin.LICENCE),
            Source(id="docstrings", path=builtin.DOCSTRINGS, revision=revision, licence=builtin.LICENCE),
        ],
    )


def _bare_pack(path: Path, source: Source) -> Pack:
    return Pack(name=source.id, description=f"bare text from {path.name}", sources=[source])


def _source_id(path: Path) -> str:
    """A source id from a file or folder name."""
    stem = path.resolve().name if path.is_dir() else path.stem
    cleaned = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "-" for char in stem)
    return cleaned.lstrip("._-") or "text"


def _refuse_later(values: dict[str, Any], what: str) -> None:
    """Parts of the schema that later versions read are refused by name, not as a spelling mistake."""
    for key in _LATER_PARTS:
        if key in values:
            refuse(
                "usage.unavailable", f"{what}: {key!r} is not read by this version", fix=f"remove {key} from the pack"
            )
    sources = values.get("sources")
    for source in sources if isinstance(sources, list) else []:
        kind = source.get("import") or source.get("format") if isinstance(source, dict) else None
        if kind in _LATER_FORMATS or (isinstance(source, dict) and "import" in source):
            refuse(
                "usage.unavailable",
                f"{what}: source {source.get('id')!r} is of kind {kind!r}, which this version does not read",
                fix="give the text as a folder, JSONL or CSV",
            )
