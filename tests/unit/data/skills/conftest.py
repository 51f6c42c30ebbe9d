"""Made documents with enough words for every side, and one small set of rows."""

from itertools import product

import pytest

from picochat.data.skills.config import Identity, SkillsConfig
from picochat.data.skills.generate import generate_skills
from picochat.data.skills.rows import SkillRows

HEADS = tuple(first + second for first, second in product("bcdfghklmnprst", "aeo"))
TAILS = ("b", "nd", "rk", "st", "mle", "nter", "rgo", "lish", "vent", "t", "cken", "pal")


@pytest.fixture(scope="session")
def documents() -> list[str]:
    words = [head + tail for head, tail in product(HEADS, TAILS)] + [a + b + "n" for a, b in product(HEADS, HEADS)]
    return [" ".join(words), "Some other text: " + ", ".join(words)]


@pytest.fixture(scope="session")
def small_config() -> SkillsConfig:
    return SkillsConfig(seed=3, sft_rows=4000)


@pytest.fixture(scope="session")
def rows(small_config: SkillsConfig, documents: list[str]) -> SkillRows:
    return generate_skills(small_config, Identity(), documents)
