"""import.json: which files of others became this model, in which shape, with which tokenizer. Written last."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from picochat.artifacts import layout
from picochat.artifacts.reports import CodeRecord, FileRef, self_digest
from picochat.artifacts.schema import Record, SchemaTag, require_schema, schema_tag
from picochat.core.errors import refuse
from picochat.core.hashing import sha256_bytes
from picochat.core.jsonio import read_json

SCHEMA = "imported_model"


class SourceFile(Record):
    """A file of the folder that was read, as its bytes were then."""

    name: str
    bytes: int
    sha256: str


class ForeignTokenizer(Record):
    """What a codec needs beside tokenizer.json; all of it was worked out when the model was imported."""

    kind: Literal["byte_level_bpe"]
    vocab_size: int
    """Rows of the model: ids without a token are at its end, or in gaps."""
    unused_ids: int
    bos: int | None
    """Begins a text; None where the tokenizer adds none."""
    end_ids: tuple[int, ...]
    special: tuple[int, ...]
    """Tokens that stand for no text."""
    variables: dict[str, str]
    """bos_token and others, as the chat template is handed them."""
    chat_template: str | None
    """Its file; None where a conversation cannot be put to the model."""


class ImportRecord(Record):
    """The root of an imported model."""

    schema_tag: SchemaTag = Field(alias="schema")
    name: str
    source: str
    """The folder that was read."""
    source_digest: str
    """Over names, sizes and digests of the files; stands in the checkpoint's manifest as its run."""
    files: tuple[SourceFile, ...]
    licence: str
    licence_from: Literal["given", "card", "unknown"]
    architecture: str
    model: dict[str, Any]
    parameters: int
    tensors: int
    saved_dtypes: dict[str, int]
    """How many tensors were saved in which type; here all are F32, which holds each value exactly."""
    trained_context: int
    weights_digest: str
    tokenizer: ForeignTokenizer
    notes: tuple[str, ...]
    """What was left out or not looked at."""
    config: dict[str, Any]
    outputs: tuple[FileRef, ...]
    code: CodeRecord
    environment: dict[str, Any]
    created_at: str
    self_digest: str


def seal_import(body: dict[str, Any]) -> ImportRecord:
    """The record with schema and the digest of everything else in it."""
    unsealed = {"schema": schema_tag(SCHEMA).to_json(), **body, "self_digest": ""}
    document = ImportRecord.from_json(unsealed, layout.IMPORT).to_json()
    return ImportRecord.from_json(document | {"self_digest": self_digest(document)}, layout.IMPORT)


def is_imported(root: Path) -> bool:
    """Whether a folder is an imported model, and not a run."""
    return (root / layout.IMPORT).is_file()


def load_import(root: Path) -> ImportRecord:
    """The record of an imported model. Raises `artifact.*` or `json.invalid`."""
    path = root / layout.IMPORT
    document = require_schema(read_json(path), SCHEMA, str(path))
    record = ImportRecord.from_json(document, str(path))
    if record.self_digest != self_digest(document):
        refuse("artifact.changed", f"{path} was changed after it was written: it has another self_digest")
    return record


def read_output(root: Path, record: ImportRecord, name: str) -> bytes:
    """The bytes of a file that the import wrote, proved before they are used. Raises `artifact.*`."""
    recorded = next((ref.sha256 for ref in record.outputs if ref.path == name), None)
    try:
        data = (root / name).read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        refuse("artifact.missing", f"{root / name} does not exist")
    if recorded is None or sha256_bytes(data) != recorded:
        refuse("artifact.changed", f"{root / name} is not the file that {layout.IMPORT} names")
    return data
