"""Settings of the skills curriculum and the facts a model states about itself."""

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from picochat.core.config import Config

SKILLS = ("choice", "arithmetic", "spelling", "identity", "refusal")


class Identity(Config):
    """The facts behind every identity answer. Phrases stand inside a sentence: no capital, no full stop."""

    name: str = "Pico"
    """What the model calls itself; one word."""
    maker: str = "the Picochat project"
    """Who made it, as in 'I was made by ...'."""
    purpose: str = "answer short questions"
    """What it is for, as in 'My job is to ...'."""
    cannot: str = "browse the web"
    """One thing it cannot do, as in 'I am not able to ...'."""

    @field_validator("name")
    @classmethod
    def _name_is_a_word(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{1,23}", name):
            raise ValueError("identity.name must be one word of 2 to 24 letters or digits")
        return name

    @field_validator("maker", "purpose", "cannot")
    @classmethod
    def _fact_is_short(cls, fact: str) -> str:
        if not fact.strip() or len(fact) > 60 or fact != fact.strip() or "\n" in fact:
            raise ValueError("an identity fact is one trimmed phrase of 1 to 60 characters")
        return fact

    @model_validator(mode="after")
    def _facts_differ(self) -> "Identity":
        facts = [fact.casefold() for fact in (self.name, self.maker, self.purpose, self.cannot)]
        if len(set(facts)) < len(facts):
            raise ValueError("name, maker, purpose and cannot must be four different facts")
        if re.search(rf"\b{re.escape(facts[1])}\b", facts[0]) or facts[0] == facts[1]:
            raise ValueError("identity.name may not contain the maker")
        return self


class SkillShares(Config):
    """Share of the SFT rows that each skill receives; they sum to 1."""

    choice: float = Field(default=0.22, ge=0, le=1)
    arithmetic: float = Field(default=0.20, ge=0, le=1)
    spelling: float = Field(default=0.26, ge=0, le=1)
    identity: float = Field(default=0.16, ge=0, le=1)
    refusal: float = Field(default=0.16, ge=0, le=1)

    @model_validator(mode="after")
    def _sum_to_one(self) -> "SkillShares":
        total = sum(getattr(self, skill) for skill in SKILLS)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"skill shares must sum to 1, not {total:.4f}")
        return self


class SkillsConfig(Config):
    """How many rows of each skill are made, and from which seed."""

    seed: int = Field(default=1, ge=0)
    sft_rows: int = Field(default=120_000, ge=0)
    """SFT rows over all skills."""
    shares: SkillShares = SkillShares()
    eval_rows_per_skill: int = Field(default=200, ge=0)
    """Eval rows a skill; refusal has as many benign twins."""
    heldout_rows_per_skill: int = Field(default=200, ge=0)
    """Held-out fit rows a skill, counted likewise."""
    style: Literal["steps", "direct"] = "steps"
    """Arithmetic answers: column steps or the result."""
    reversed_frac: float = Field(default=0.0, ge=0, le=1)
    """Share of arithmetic rows that ask for the digits of the result in reverse order, a level of its own."""
    pseudo_frac: float = Field(default=0.7, ge=0, le=1)
    """Share of spelling rows on made-up words."""
    max_options: int = Field(default=5, ge=2, le=5)
    """Most options of a choice row."""


class SkillsPartConfig(Config):
    """What `picochat data skills` is told: the rows, the facts, and where the words come from."""

    skills: SkillsConfig = SkillsConfig()
    identity: Identity = Identity()
    words: str = "builtin"
    """The pack, file or folder whose documents lend the words: `builtin`, or a path."""
