"""What a server is started with: which checkpoint, under which name, and the keys of `serve.*`. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from picochat.artifacts import layout
from picochat.cli import options
from picochat.cli.codec_source import find_imported
from picochat.core.errors import refuse
from picochat.serving.settings import ServeConfig

SECTION = "serve"


@dataclass(frozen=True)
class Source:
    """A checkpoint folder, its tokenizer, and the folder where a verdict would stand. `run` is None for no run."""

    checkpoint: Path
    tokenizer: Path
    root: Path
    run: str | None
    run_digest: str | None = None

    @property
    def name(self) -> str:
        """`<run>-<stage>`, or what the folders are called."""
        parts = (self.root.name if self.run is None else self.run, self.checkpoint.parent.name)
        return "-".join(part for part in parts if part) or "model"


def find_source(run: str | None, checkpoint: Path | None, tokenizer: Path | None) -> Source:
    """The chat model of a run, else its base model; an imported model; or any checkpoint, whose run lies two levels up.

    Raises `usage.path`, `run.missing`.
    """
    if checkpoint is None:
        if tokenizer is not None:
            refuse("usage.path", "--tokenizer needs --checkpoint", fix="give both, or the run alone")
        if (imported := find_imported(run)) is not None:
            root = imported.root.absolute()
            return Source(imported.checkpoint.absolute(), root / layout.TOKENIZER, root, None, imported.run_digest)
        store = options.find_run(run)
        stage = layout.SFT if store.path(layout.checkpoint_dir(layout.SFT)).is_dir() else layout.BASE
        folder = store.path(layout.checkpoint_dir(stage)).absolute()
        root = store.root.absolute()
        return Source(folder, root / layout.TOKENIZER, root, root.name, store.run_digest())
    if run is not None:
        refuse("usage.path", "RUN and --checkpoint name two models", fix="give one of them")
    if tokenizer is None:
        refuse("usage.path", "--checkpoint needs --tokenizer", fix=f"add --tokenizer RUN/{layout.TOKENIZER}")
    for path, there in ((checkpoint, checkpoint.is_dir()), (tokenizer, tokenizer.is_file())):
        if not there:
            refuse("usage.path", f"{path} does not exist or is not of the kind needed")
    folder = checkpoint.absolute()
    root = folder.parent.parent
    return Source(folder, tokenizer.absolute(), root, root.name if (root / layout.RUN).is_file() else None)


def read_config(settings: tuple[str, ...]) -> ServeConfig:
    """The keys of `serve.*`. Raises `config.*`."""
    return ServeConfig.from_dict(options.read_section(settings, SECTION), SECTION)
