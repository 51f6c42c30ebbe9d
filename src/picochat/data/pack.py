"""The dataset pack: what a model is made from, as one TOML or JSON file, a bare folder or file, or the built-in text.

`load_pack` reads any of them into the same `Pack`. Paths in a pack are relative to the folder that holds it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from picochat.core.config import Config, read_toml
from picochat.core.errors import refuse
from picochat.core.jsonio import read_json
from picochat.data import builtin
from picochat.data.imports.config import CLIMBMIX, HUB_PREFIX, ImportConfig, RowFilter
from picochat.data.imports.reader import is_import
from picochat.data.memorisation.config import SOURCE as CANARY
from picochat.data.memorisation.config import Canaries
from picochat.data.row_files import ROW_KINDS, kind_of
from picochat.data.skills.config import Identity

SCHEMA = "pack/1"
BUILTIN = "builtin"
SourceFormat = Literal["auto", "text", "markdown", "jsonl", "csv", "parquet", "guessed"]
IMPORTS = "imports"
"""The folder beside a pack file in which its imported sources lie, each under its id."""
_LATER_PARTS = ("preferences",)


class Split(Config):
    """The hold-out: fixed numbers, never derived from the size of the data."""

    val_fraction: float = Field(default=0.02, gt=0, le=0.5)
    salt: str = "picochat-1"


class Source(Config):
    """One origin of documents. In a text or Markdown source a file is a document, in a source of rows a row."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    path: str = ""
    """A file or folder; a folder that `picochat data import` made is read as what it is."""
    import_: Literal["hf", "climbmix"] | None = Field(default=None, alias="import")
    """In place of a path: rows of the hub, which `picochat data import PACK` fetches first."""
    dataset: str | None = None
    """ORG/NAME of a dataset of the hub."""
    config_name: str | None = None
    split: str | None = None
    files: list[str] = []
    """Globs of the dataset's files, in place of a split."""
    filters: list[RowFilter] = []
    """Rows of an import that fail one are dropped and counted."""
    max_rows: int | None = Field(default=None, ge=1)
    shards: str | None = None
    """Shards of ClimbMix: 7, or 0-9."""
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
    """Passes over the source in one epoch: 2 writes each document twice, 0.25 a quarter of them, chosen by hash."""
    token_budget: int | None = Field(default=None, gt=0)
    """In place of a weight: tokens that the source gives an epoch, in whole documents."""

    @model_validator(mode="after")
    def _is_whole(self) -> Source:
        if bool(self.path) == bool(self.import_):
            raise ValueError(f"source {self.id!r} needs either path or import")
        if self.token_budget is not None and self.weight != 1.0:
            raise ValueError(f"source {self.id!r} has a weight and a token_budget; give one of them")
        own = ("dataset", "config_name", "split", "files", "filters", "max_rows", "shards")
        if not self.import_ and (wrong := [key for key in own if getattr(self, key)]):
            raise ValueError(f"source {self.id!r}: {wrong[0]} is a key of an import, and this source has a path")
        if self.import_:
            self.import_config()
        elif self.format in ("jsonl", "csv", "parquet") and self.text is None:
            raise ValueError(f'source {self.id!r} has rows; text = "COLUMN" must name the column of the text')
        return self

    @property
    def place(self) -> str:
        """Where it comes from, in words."""
        return self.path or f"{self.import_}:{self.dataset or self.shards}"

    def import_config(self) -> ImportConfig:
        """The import that the source asks for. Raises ValueError."""
        return ImportConfig(
            source=HUB_PREFIX + (self.dataset or "") if self.import_ == "hf" else CLIMBMIX,
            text=self.text,
            split=self.split,
            revision=None if self.revision == "unknown" else self.revision,
            licence=None if self.licence == "unknown" else self.licence,
            max_rows=self.max_rows,
            shards=self.shards,
            config_name=self.config_name,
            files=self.files,
            filters=self.filters,
        )


class ChatFile(Config):
    """A JSON Lines file of chat or eval rows."""

    path: str = Field(min_length=1)


class ChatPart(ChatFile):
    """A file of chat rows, and how its rows come to their side."""

    side: Literal["by_hash", "train", "heldout"] = "by_hash"
    """`by_hash` divides rows by template and entity. `train` and `heldout` take a file whole: whoever made it has
    divided the rows already. A held-out file holds eval rows, with the rules by which replies are judged."""


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
    chat: list[ChatPart] = []
    eval: list[ChatFile] = []
    benchmarks: list[Benchmark] = []
    identity: Identity = Identity()
    contamination: Literal["report", "drop"] = "report"
    """Documents that hold rows of an eval or a benchmark are reported, or dropped from the train side."""
    canaries: Canaries | None = None
    """Made-up facts that are planted in the train side, to measure what is learned by heart."""

    @field_validator("sources")
    @classmethod
    def _distinct(cls, sources: list[Source]) -> list[Source]:
        ids = [source.id for source in sources]
        if len(set(ids)) != len(ids):
            raise ValueError(f"the id {next(i for i in ids if ids.count(i) > 1)!r} stands twice")
        return sources

    @model_validator(mode="after")
    def _canaries_have_their_names(self) -> Pack:
        taken = [source.id for source in self.sources if source.id.partition("-")[0] == CANARY]
        if self.canaries is not None and taken:
            raise ValueError(f"a source is called {taken[0]!r}, a name of the planted canaries; call it otherwise")
        return self


@dataclass(frozen=True)
class LoadedPack:
    """A pack, the folder that its paths start from, and the file it was read from, if there is one."""

    pack: Pack
    root: Path
    file: Path | None = None

    def resolve(self, path: str) -> Path:
        return self.root / path

    def source_path(self, source: Source) -> Path:
        """Where a source lies. Raises `source.not_imported` when it has not been fetched yet."""
        if not source.import_:
            return self.resolve(source.path)
        folder = self.root / IMPORTS / source.id
        if not is_import(folder):
            refuse(
                "source.not_imported",
                f"source {source.id!r} comes from {source.place}, and there is no import in {folder}",
                fix=f"picochat data import {self.file}",
            )
        return folder


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
    rows = kind_of(path.name) in ROW_KINDS
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
    return Pack.from_dict({key: value for key, value in values.items() if key != "schema"}, what)


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
