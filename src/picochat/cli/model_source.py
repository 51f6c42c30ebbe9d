"""The model that `generate` and `chat` speak with: a run's, or any checkpoint with its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from picochat.artifacts import layout
from picochat.cli import options
from picochat.core.errors import refuse
from picochat.distributed.probe import choose_device, set_threads
from picochat.inference.loader import LoadedModel, load_model
from picochat.tokenizer.tokenizer import Tokenizer
from picochat.views.run_state import read_run_state


class ModelSource(NamedTuple):
    """A loaded model, its tokenizer, and one line that says which it is and what the gate said of it."""

    loaded: LoadedModel
    tokenizer: Tokenizer
    label: str


def open_model(
    run: str | None, stage: str, checkpoint: Path | None, tokenizer: Path | None, device: str
) -> ModelSource:
    """Loads `--checkpoint` with `--tokenizer`, or the `stage` checkpoint of a run. Raises `checkpoint.*`."""
    set_threads(None)
    chosen = choose_device(device)
    if checkpoint is not None:
        if tokenizer is None:
            refuse("usage.path", "--checkpoint needs --tokenizer", fix=f"add --tokenizer RUN/{layout.TOKENIZER}")
        root = checkpoint.parent.parent
        loaded = load_model(checkpoint, chosen)
        return ModelSource(loaded, Tokenizer.load(tokenizer), _label(root, checkpoint.name, loaded))
    store = options.find_run(run)
    folder = store.path(layout.checkpoint_dir(stage))
    loaded = load_model(folder, chosen, run_digest=store.run_digest())
    return ModelSource(loaded, Tokenizer.load(store.path(layout.TOKENIZER)), _label(store.root, stage, loaded))


def _label(root: Path, stage: str, loaded: LoadedModel) -> str:
    """A verdict counts only for the very weights it was given for."""
    state = read_run_state(root)
    judged = state.verdict if state.weights_digest == loaded.weights_digest else None
    verdict = f"{judged} under {state.profile}" if judged else "not judged"
    return f"{root.name} {stage}, weights {loaded.weights_digest[:12]}, step {loaded.manifest.step:,}: {verdict}"
