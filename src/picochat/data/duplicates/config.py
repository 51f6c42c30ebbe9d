"""What counts as a near duplicate, and how it is searched for."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from picochat.core.config import Config

PERMUTATIONS = 128
"""Values of a MinHash; bands x rows uses all of them."""
Engine = Literal["auto", "numpy", "rensa"]


class DuplicatesConfig(Config):
    """The search for near duplicates. Exact duplicates are removed in any case."""

    near: bool = True
    """Whether near duplicates are searched for and removed."""
    engine: Engine = "auto"
    """Makes the MinHash values. auto: rensa where it is installed, else the package's own numpy code."""
    threshold: float = Field(default=0.60, ge=0.5, le=1)
    """The Jaccard similarity of the shingle sets from which on two documents are near duplicates."""
    ngram_words: int = Field(default=5, ge=1, le=50)
    """Words of a shingle; in text without word spaces twice as many characters."""
    min_words: int = Field(default=13, ge=1)
    """Shorter documents take no part: for them only exact duplicates are removed."""
    bands: int = Field(default=32, ge=1, le=PERMUTATIONS)
    """Chances that a pair has to be found. bands x rows is 128."""
    rows: int = Field(default=4, ge=1, le=PERMUTATIONS)
    """MinHash values that must be equal for one chance: fewer find more pairs and cost more comparisons."""
    max_bucket: int = Field(default=1000, ge=2, le=100_000)
    """Documents of one bucket that are all compared with each other; a larger bucket is thinned, and counted."""

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        if self.bands * self.rows != PERMUTATIONS:
            raise ValueError(f"bands x rows is {self.bands} x {self.rows}, and must be {PERMUTATIONS}: set both")
        if self.min_words < self.ngram_words:
            raise ValueError(
                f"min_words is {self.min_words} and ngram_words {self.ngram_words}: a document of min_words words "
                "must hold a shingle; set min_words to at least ngram_words"
            )
        return self


def found_frac(similarity: float, bands: int, rows: int) -> float:
    """The chance that banding finds a pair of this Jaccard similarity: 1 - (1 - s^r)^b (Leskovec, Rajaraman and Ullman,
    Mining of Massive Datasets, section 3.4)."""
    return 1 - (1 - similarity**rows) ** bands


def s_curve(bands: int, rows: int) -> dict[str, float]:
    """`found_frac` at .3, .4 ... .9, rounded to three places."""
    return {f"{tenth / 10:.1f}": round(found_frac(tenth / 10, bands, rows), 3) for tenth in range(3, 10)}
