"""Where a training stage reads its text: from its own run, or from files outside of it. Torch-free."""

from __future__ import annotations

from pydantic import model_validator

from picochat.core.config import Config
from picochat.core.errors import refuse


class TextSource(Config):
    """None means the run's own file; both come from the same place."""

    corpus: str | None = None
    """A corpus.txt with its records beside it, or a bare text file whose documents are guessed."""
    tokenizer: str | None = None
    """A tokenizer.json."""

    @model_validator(mode="after")
    def _both_or_none(self) -> TextSource:
        if (self.corpus is None) != (self.tokenizer is None):
            refuse("config.conflict", "text.corpus and text.tokenizer are given together or not at all")
        return self
