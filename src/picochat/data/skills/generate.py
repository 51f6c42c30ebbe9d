"""All rows of the curriculum from a seed: one random stream a skill and side, so that a share changes nothing else."""

import random
from collections.abc import Callable, Iterable
from typing import Protocol

from picochat.core.errors import refuse
from picochat.data.skills.arithmetic import ArithmeticSkill
from picochat.data.skills.choice import ChoiceSkill
from picochat.data.skills.config import SKILLS, Identity, SkillsConfig
from picochat.data.skills.identity import IdentitySkill, identity_answers
from picochat.data.skills.pools import SPLITS, WordPools, build_word_pools
from picochat.data.skills.refusal import HELP, REFUSAL, RefusalSkill
from picochat.data.skills.rows import SkillRow, SkillRows, Split
from picochat.data.skills.spelling import SpellingSkill
from picochat.data.skills.templates_arithmetic import REVERSED, SUMS
from picochat.data.skills.templates_choice import CHOICES
from picochat.data.skills.templates_identity import MODELS, QUESTIONS
from picochat.data.skills.templates_refusal import HARMFUL_VERBS, HARMLESS_VERBS, PERSONS, REQUESTS, THINGS
from picochat.data.skills.templates_spelling import SPELLINGS
from picochat.data.skills.wording import NAME_PREFIXES, NAMES, PREFIXES, SUFFIXES, iter_words

WORDINGS = {
    "identity": QUESTIONS,
    "refusal": REQUESTS,
    "choice": CHOICES,
    "arithmetic": SUMS,
    "spelling": SPELLINGS,
}
REPEAT_TRIES = 50


class Skill(Protocol):
    """What a generator offers."""

    def draw(self) -> SkillRow:
        """One more row of its side."""
        ...


def generate_skills(config: SkillsConfig, identity: Identity, documents: Iterable[str]) -> SkillRows:
    """SFT, held-out fit and eval rows; the same inputs give the same rows. `documents` lend the words.

    The three sets share no template, greeting or closing, word, number to compare, operand pair,
    (verb, object) pair, person or other model. Refuses with `skills.words` or `skills.rows`.
    """
    # Words of the endings are taken from the pools only where the endings are used: else the rows stay what they were.
    endings = frozenset(word for side in REVERSED.values() for text in side for word in iter_words(text))
    reserved = reserved_words(identity) | (endings if config.reversed_frac > 0 else frozenset())
    pools = build_word_pools(documents, reserved)
    counts: dict[Split, dict[str, int]] = {
        "train": {skill: round(config.sft_rows * getattr(config.shares, skill)) for skill in SKILLS},
        "heldout": dict.fromkeys(SKILLS, config.heldout_rows_per_skill),
        "eval": dict.fromkeys(SKILLS, config.eval_rows_per_skill),
    }
    sides: dict[Split, list[SkillRow]] = {}
    for split in SPLITS:
        sides[split] = [
            row for skill in SKILLS for row in _skill_rows(skill, split, counts[split][skill], config, identity, pools)
        ]
    random.Random(f"{config.seed}:order").shuffle(sides["train"])
    return SkillRows(sft=sides["train"], heldout=sides["heldout"], eval=sides["eval"])


def reserved_words(identity: Identity) -> frozenset[str]:
    """Every word of a wording, an answer or an entity list: ordinary text of the rows, so nobody's spelling word."""
    texts = [
        text for skill in WORDINGS.values() for sides in skill.values() for side in sides.values() for text in side
    ]
    texts += [
        text for pool in (PREFIXES, SUFFIXES, NAME_PREFIXES, NAMES, MODELS) for side in pool.values() for text in side
    ]
    texts += [*HARMFUL_VERBS, *HARMLESS_VERBS, *PERSONS, *THINGS, REFUSAL, HELP, *identity_answers(identity).values()]
    return frozenset(word for text in texts for word in iter_words(text))


def _skill_rows(
    skill: str, split: Split, count: int, config: SkillsConfig, identity: Identity, pools: WordPools
) -> list[SkillRow]:
    """The rows of one skill on one side. Refusal: of SFT rows half are benign, elsewhere `count` of each are made."""
    rng = random.Random(f"{config.seed}:{skill}:{split}")
    builders: dict[str, Callable[[], Skill]] = {
        "choice": lambda: ChoiceSkill(split, rng, pools, config.max_options),
        "arithmetic": lambda: ArithmeticSkill(split, rng, config.style, config.reversed_frac),
        "spelling": lambda: SpellingSkill(split, rng, pools, config.pseudo_frac),
        "identity": lambda: IdentitySkill(split, rng, identity),
    }
    if skill == "identity" and split == "train":
        # Plain questions are few: repeating them keeps them as frequent among the greetings as in real use.
        questions = builders[skill]()
        return [questions.draw() for _ in range(count)]
    share = getattr(config.shares, skill) if split == "train" else 1.0
    if skill != "refusal":
        return draw_unique(builders[skill](), count, share)
    harmful = count // 2 if split == "train" else count
    benign = count - harmful if split == "train" else count
    half = share / 2 if split == "train" else 1.0
    return [
        *draw_unique(RefusalSkill(split, rng, benign=False), harmful, half),
        *draw_unique(RefusalSkill(split, rng, benign=True), benign, half),
    ]


def draw_unique(skill: Skill, count: int, share: float = 1.0) -> list[SkillRow]:
    """`count` rows with different prompts. Refuses with `skills.rows` when the pools do not hold that many.

    The cure names the number of rows that are possible where these rows are a `share` of all.
    """
    rows: dict[str, SkillRow] = {}
    tries = 0
    while len(rows) < count:
        row = skill.draw()
        tries = tries + 1 if row.user in rows else 0
        if tries > REPEAT_TRIES:
            possible = int(len(rows) / share)
            what = "SFT rows in all" if row.split == "train" else f"{row.split} rows a skill"
            refuse(
                "skills.rows",
                f"{row.category} has no more new prompts after {len(rows)} {row.split} rows, {count} are asked for",
                fix=f"ask for at most {possible:,} {what}",
            )
        rows.setdefault(row.user, row)
    return list(rows.values())
