"""What is exported: the judged checkpoint of a run, with its tokenizer, as they were recorded."""

from __future__ import annotations

from dataclasses import dataclass

from picochat.artifacts import layout
from picochat.artifacts.reports import FileRef
from picochat.artifacts.store import RunStore
from picochat.checkpoint.reader import load_checkpoint
from picochat.core.errors import refuse
from picochat.inference.loader import load_model
from picochat.model.config import ModelConfig
from picochat.model.transformer import Transformer
from picochat.tokenizer.tokenizer import Tokenizer

STAGE = layout.SFT
"""What is judged is what ships."""


@dataclass(frozen=True)
class ExportSource:
    """A proved checkpoint in float32 on the CPU, and the files that it was read from."""

    name: str
    model: Transformer
    tokenizer: Tokenizer
    tokenizer_data: bytes
    weights_digest: str
    inputs: tuple[FileRef, ...]


def read_model_config(store: RunStore) -> ModelConfig:
    """The shape of the model that would be exported, without its weights. Raises `checkpoint.*`."""
    folder = store.path(layout.checkpoint_dir(STAGE))
    described = load_checkpoint(folder, run_digest=store.run_digest(), parts=())
    return ModelConfig.from_dict(described.model_config, f"model configuration of {folder}")


def open_source(store: RunStore) -> ExportSource:
    """Reads and proves everything. Raises `checkpoint.*`, `artifact.missing` or `tokenizer.file`."""
    folder = store.path(layout.checkpoint_dir(STAGE))
    loaded = load_model(folder, "cpu", run_digest=store.run_digest())
    path = store.path(layout.TOKENIZER)
    tok = Tokenizer.load(path)
    if tok.vocab_size != loaded.model.config.vocab_size:
        refuse(
            "tokenizer.vocab",
            f"{path} has {tok.vocab_size:,} ids, the model of {folder} has {loaded.model.config.vocab_size:,}",
            fix="restore the tokenizer that the model was trained with",
        )
    inputs = [*store.refs_below("checkpoint", layout.checkpoint_dir(STAGE)), store.ref("tokenizer", layout.TOKENIZER)]
    name = str(store.read(layout.RUN).get("name") or store.root.name)
    return ExportSource(name, loaded.model, tok, path.read_bytes(), loaded.weights_digest, tuple(inputs))
