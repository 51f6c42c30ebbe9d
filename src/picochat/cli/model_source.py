"""The model that `generate` and `chat` speak with: a run's, or any checkpoint with its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from picochat.artifacts import layout
from picochat.cli import options
from picochat.cli.codec_source import find_imported, open_codec
from picochat.core.errors import refuse
from picochat.distributed.probe import choose_device, set_threads
from picochat.inference.loader import LoadedModel, load_model
from picochat.judgement.served_verdict import read_served_verdict
from picochat.model.sizing import count_parameters
from picochat.tokenizer.codec import Codec


class ModelSource(NamedTuple):
    """A loaded model, its tokenizer, and one line that says which it is and what the gate said of it."""

    loaded: LoadedModel
    codec: Codec
    label: str


def open_model(
    run: str | None, stage: str, checkpoint: Path | None, tokenizer: Path | None, device: str
) -> ModelSource:
    """Loads `--checkpoint` with `--tokenizer`, the `stage` checkpoint of a run, or an imported model, which has one.

    Raises `checkpoint.*`, `artifact.*`.
    """
    set_threads(None)
    chosen = choose_device(device)
    if checkpoint is not None:
        if tokenizer is None:
            refuse("usage.path", "--checkpoint needs --tokenizer", fix=f"add --tokenizer RUN/{layout.TOKENIZER}")
        loaded = load_model(checkpoint, chosen)
        root = checkpoint.absolute().parent.parent
        return ModelSource(loaded, open_codec(tokenizer), _label(root, loaded))
    if (imported := find_imported(run)) is not None:
        loaded = load_model(imported.checkpoint, chosen, run_digest=imported.run_digest)
        return ModelSource(loaded, open_codec(imported.tokenizer), _label(imported.root, loaded))
    store = options.find_run(run)
    loaded = load_model(store.path(layout.checkpoint_dir(stage)), chosen, run_digest=store.run_digest())
    return ModelSource(loaded, open_codec(store.path(layout.TOKENIZER)), _label(store.root, loaded))


def _label(root: Path, loaded: LoadedModel) -> str:
    """A verdict counts only for the very weights it was given for."""
    config, manifest = loaded.model.config, loaded.manifest
    size = f"{count_parameters(config).total:,} parameters, context {config.max_seq_len:,}"
    weights = f"weights {loaded.weights_digest[:12]}, step {manifest.step:,}"
    return f"{root.name} {manifest.stage}, {size}, {weights}: {read_served_verdict(root, loaded.weights_digest)}"
