"""Questions about the model itself; only the facts of the identity are shared between the sides."""

import random

from picochat.data.skills.config import Identity
from picochat.data.skills.pools import Deck
from picochat.data.skills.rows import SkillRow, Split
from picochat.data.skills.templates_identity import MODELS, QUESTIONS
from picochat.data.skills.wording import NAMES, Surround, iter_words, list_templates


def identity_answers(identity: Identity) -> dict[str, str]:
    """One short sentence an intent; no two begin alike, so that a reply is clearly one of them."""
    return {
        "name": f"My name is {identity.name}.",
        "maker": f"I was made by {identity.maker}.",
        "purpose": f"My job is to {identity.purpose}.",
        "cannot": f"I am not able to {identity.cannot}.",
        "are_you": f"No, you are talking to {identity.name}.",
    }


def identity_facts(identity: Identity) -> dict[str, str]:
    """The fact that must stand in the answer of each intent."""
    return {
        "name": identity.name,
        "maker": identity.maker,
        "purpose": identity.purpose,
        "cannot": identity.cannot,
        "are_you": identity.name,
    }


class IdentitySkill:
    """Draws identity rows of one side."""

    def __init__(self, split: Split, rng: random.Random, identity: Identity) -> None:
        self._split: Split = split
        self._answers = identity_answers(identity)
        self._facts = identity_facts(identity)
        own = set(iter_words(" ".join(self._answers.values())))
        self._models = Deck([model for model in MODELS[split] if model.casefold() not in own], rng)
        self._others = sorted(name for names in MODELS.values() for name in names if name.casefold() not in own)
        names = [name for name in NAMES[split] if name.casefold() not in own]
        self._kinds = Deck(list(QUESTIONS), rng)
        self._templates = {kind: Deck(list_templates("identity", QUESTIONS, kind, split), rng) for kind in QUESTIONS}
        self._surround = Surround(split, rng, names)

    def draw(self) -> SkillRow:
        """One row; the distractors are the other facts and every other model's name."""
        template = self._templates[self._kinds.deal()].deal()
        model = self._models.deal() if template.kind == "are_you" else ""
        prefix, suffix, name = self._surround.deal()
        fact = self._facts[template.kind]
        other_facts = sorted(set(self._facts.values()) - {fact})
        return SkillRow(
            split=self._split,
            category="identity",
            kind=template.kind,
            template=template.id,
            core=template.core,
            prefix=prefix,
            suffix=suffix,
            user=prefix.format(name=name) + template.core.format(model=model) + suffix,
            assistant=self._answers[template.kind],
            entities=tuple(f"{key}:{value}" for key, value in (("model", model), ("name", name)) if value),
            level=template.kind,
            rule="word",
            expected=(fact,),
            distractors=(*other_facts, *self._others),
        )
