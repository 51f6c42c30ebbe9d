"""The numbers of the contamination scan: how long a gram is, what half of it means, when an item is too short."""

from __future__ import annotations

from pydantic import Field, model_validator

from picochat.core.config import Config

ENGINE = {"name": "word grams", "version": 1}
"""Another version may find other items in the same texts."""


class ContaminationConfig(Config):
    """Rules of the comparison. A word is a word of the comparison text (see `data.contamination.words`)."""

    gram_words: int = Field(default=13, ge=4, le=64)
    """Words in a row that make a hit by themselves; an item with fewer is compared as a whole."""
    gram_bytes: int = Field(default=24, ge=1)
    """Fewest bytes of letters and digits in a gram or a whole item: a word that is spelt out is one word."""
    small_gram_words: int = Field(default=5, ge=2, le=16)
    """Words of the small grams, of which a share must lie close together."""
    small_gram_bytes: int = Field(default=10, ge=1)
    """Fewest bytes of letters and digits in a small gram."""
    small_gram_frac: float = Field(default=0.5, gt=0, le=1)
    """Share of an item's small grams that make a hit together."""
    small_grams: int = Field(default=5, ge=2)
    """Fewest small grams that make a hit together, whatever the share."""
    window: float = Field(default=2.0, ge=1)
    """How far apart the small grams may lie, in lengths of the item."""
    whole_words: int = Field(default=8, ge=2)
    """Fewest words of a text that is compared as a whole; under it question and answer count only together."""
    pair_question_words: int = Field(default=3, ge=1)
    """Fewest words of a question that is looked for together with its answer."""
    pair_words: int = Field(default=5, ge=2)
    """Fewest words of question and answer together; an item with fewer cannot be checked."""
    pair_window_words: int = Field(default=50, ge=1)
    """An answer within so many words before or after its question stands together with it."""
    boilerplate_frac: float = Field(default=0.05, gt=0, le=1)
    """Grams in this share of a set's different items are its boilerplate and prove nothing."""
    boilerplate_items: int = Field(default=3, ge=2)
    """Fewest items that make a gram boilerplate, whatever the share."""
    wording_words: int = Field(default=3, ge=1)
    """Words of the shortest stretches that are taken for wording of a set when they are as common as boilerplate."""
    fresh_words: int = Field(default=7, ge=1)
    """Fewest words outside of such wording in a gram of `gram_words`."""
    document_frac: float = Field(default=0.5, gt=0, le=1)
    """Share of a held-out document's grams that make it dirty when they stand in the training text."""
    document_words: int = Field(default=2_000_000, ge=1)
    """Words of held-out documents that are compared, in the order of their digests; the rest is counted as left out."""
    span_words: int = Field(default=200_000, ge=1)
    """Words of held-out documents of which the share of repeated spans is measured."""
    hits_per_item: int = Field(default=3, ge=1)
    """Hits of an item, in each text it is compared with, that are stored with both passages. All are counted."""
    hits_stored: int = Field(default=50_000, ge=1)
    """Hits that are stored of one training text, those of the first items; all are counted."""
    passage_chars: int = Field(default=400, ge=40)
    """Longest passage that is stored; the offsets are those of the whole passage."""

    @model_validator(mode="after")
    def _lengths_are_in_order(self) -> ContaminationConfig:
        lengths = (self.pair_question_words, self.whole_words, self.gram_words)
        if not lengths[0] <= lengths[1] <= lengths[2] or self.small_gram_words > self.gram_words:
            raise ValueError(
                f"pair_question_words {lengths[0]} <= whole_words {lengths[1]} <= gram_words {lengths[2]} and "
                f"small_gram_words {self.small_gram_words} <= gram_words must hold"
            )
        if self.fresh_words > self.gram_words:
            raise ValueError(f"fresh_words is {self.fresh_words}, a gram has {self.gram_words}")
        return self
