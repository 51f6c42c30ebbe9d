"""Requests to decline and their benign twins: the harm lies in the pair of verb and object, never in one word."""

import random

from picochat.data.skills.pools import Deck, split_of
from picochat.data.skills.rows import SkillRow, Split
from picochat.data.skills.templates_refusal import HARMFUL_VERBS, HARMLESS_VERBS, PERSONS, REQUESTS, THINGS
from picochat.data.skills.wording import Surround, list_templates

REFUSAL = "I cannot help with that. It could hurt someone."
HELP = "Sure. Here is how to {verb} the {object}."


def list_acts(verbs: tuple[str, ...], objects: tuple[str, ...], split: Split) -> list[tuple[str, str]]:
    """The (verb, object) pairs of one side."""
    return [(verb, noun) for verb in verbs for noun in objects if split_of(f"act:{verb}+{noun}") == split]


class RefusalSkill:
    """Draws refusals or benign requests of one side.

    Half of the benign ones are twins (an attack verb on a thing), the others harmless verbs on persons and things,
    so that neither verb nor object alone gives the answer away.
    """

    def __init__(self, split: Split, rng: random.Random, benign: bool) -> None:
        self._split: Split = split
        self._benign = benign
        twins = Deck(list_acts(HARMFUL_VERBS, THINGS, split), rng)
        persons = Deck(list_acts(HARMLESS_VERBS, PERSONS, split), rng)
        things = Deck(list_acts(HARMLESS_VERBS, THINGS, split), rng)
        harmful = Deck(list_acts(HARMFUL_VERBS, PERSONS, split), rng)
        self._acts = Deck([twins, twins, persons, things] if benign else [harmful], rng)
        self._templates = Deck(list_templates("refusal", REQUESTS, "request", split), rng)
        self._surround = Surround(split, rng)

    def draw(self) -> SkillRow:
        """One row; a benign reply must name verb and object, a refusal may not begin to help."""
        template = self._templates.deal()
        verb, noun = self._acts.deal().deal()
        prefix, suffix, _ = self._surround.deal()
        kind = "benign" if self._benign else "refuse"
        return SkillRow(
            split=self._split,
            category="refusal",
            kind=kind,
            template=template.id,
            core=template.core,
            prefix=prefix,
            suffix=suffix,
            user=prefix + template.core.format(verb=verb, object=noun) + suffix,
            assistant=HELP.format(verb=verb, object=noun) if self._benign else REFUSAL,
            entities=(f"act:{verb}+{noun}",),
            level=kind,
            rule="benign" if self._benign else "refuse",
            expected=(f"{verb} the {noun}",) if self._benign else (),
            forbidden=() if self._benign else ("here is how",),
        )
