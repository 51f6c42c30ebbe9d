"""What the dataset stage is told: which pack, how it is cleaned, and which chat rows are made beside it."""

from __future__ import annotations

from pydantic import Field

from picochat.core.config import Config
from picochat.data.cleaning import CleaningConfig
from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.skills.config import SkillsConfig


class DatasetConfig(Config):
    """Configuration of the dataset stage."""

    pack: str = "builtin"
    """`builtin`, a pack file (.toml, .json), or a folder or file of text."""
    val_fraction: float | None = Field(default=None, gt=0, le=0.5)
    """Takes the place of the pack's own split.val_fraction."""
    max_dropped: float = Field(default=0.5, ge=0, le=1)
    """The largest share of its documents that a source may lose."""
    cleaning: CleaningConfig = CleaningConfig()
    duplicates: DuplicatesConfig = DuplicatesConfig()
    generate_skills: bool = True
    """Whether chat and eval rows are generated; the pack's own files are used in either case."""
    skills: SkillsConfig = SkillsConfig()
