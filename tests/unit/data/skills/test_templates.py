"""How many wordings there are, what slots they have, and that no side borrows from another."""

import re
from itertools import combinations

import pytest

from picochat.data.skills.config import Identity
from picochat.data.skills.generate import WORDINGS, reserved_words
from picochat.data.skills.pools import SPLITS
from picochat.data.skills.templates_identity import MODELS
from picochat.data.skills.templates_refusal import HARMFUL_VERBS, HARMLESS_VERBS, PERSONS, THINGS
from picochat.data.skills.wording import NAME_PREFIXES, NAMES, PREFIXES, SUFFIXES

SLOTS = {
    **dict.fromkeys(["name", "maker", "purpose", "cannot", "largest"], set()),
    **dict.fromkeys(["spell", "reverse", "first", "last", "match", "named"], {"w"}),
    **dict.fromkeys(["plus", "minus", "times"], {"a", "b"}),
    "are_you": {"model"},
    "starts": {"x"},
    "count": {"w", "x"},
    "request": {"verb", "object"},
}
KINDS = [(skill, kind) for skill, kinds in WORDINGS.items() for kind in kinds]


def plain(wording: str) -> str:
    """Words between spaces, slots as one mark."""
    return f" {' '.join(re.findall(r'[a-z]+|[-+*=_]', re.sub(r'{.+?}', '_', wording.lower())))} "


@pytest.mark.parametrize(("skill", "kind"), KINDS)
def test_there_are_enough_wordings(skill: str, kind: str) -> None:
    sides = WORDINGS[skill][kind]
    low, high = (25, 40) if skill in ("identity", "refusal") else (12, 21)
    assert low <= len(sides["train"]) <= high
    assert len(sides["heldout"]) >= 6 and len(sides["eval"]) >= 10


@pytest.mark.parametrize(("skill", "kind"), KINDS)
def test_wordings_have_their_slots(skill: str, kind: str) -> None:
    for side in WORDINGS[skill][kind].values():
        for wording in side:
            assert set(re.findall(r"{(\w+)}", wording)) == SLOTS[kind], wording
            if skill == "spelling":
                assert '"{w}"' in wording and '"{x}"' not in wording
            if skill == "choice" and "{" in wording:
                assert re.search(r" \{[wx]\}(?=[ ?.,:])", wording), wording


@pytest.mark.parametrize(("skill", "kind"), KINDS)
def test_no_wording_is_repeated_or_framed_by_another_side(skill: str, kind: str) -> None:
    sides = {split: [plain(wording) for wording in WORDINGS[skill][kind][split]] for split in SPLITS}
    everything = [wording for side in sides.values() for wording in side]
    assert len(set(everything)) == len(everything)
    for train in sides["train"]:
        words = train.split()
        if len(words) >= (4 if "_" in words else 3):
            assert [other for other in sides["heldout"] + sides["eval"] if train in other] == []


def test_surroundings_and_names_differ_between_the_sides() -> None:
    for pool in (PREFIXES, SUFFIXES, NAME_PREFIXES, NAMES, MODELS):
        for first, second in combinations(SPLITS, 2):
            assert not {text.casefold() for text in pool[first]} & {text.casefold() for text in pool[second]}
    people = {name.casefold() for side in NAMES.values() for name in side}
    assert not people & {model.casefold() for side in MODELS.values() for model in side}


def test_verbs_and_objects_stand_in_no_frame() -> None:
    lists = [HARMFUL_VERBS, HARMLESS_VERBS, PERSONS, THINGS]
    assert [len(set(items)) for items in lists] == [20, 20, 40, 40]
    assert len({word for items in lists for word in items}) == 120
    frames = {word for side in WORDINGS["refusal"]["request"].values() for text in side for word in plain(text).split()}
    assert not frames & {word for items in lists for word in items}
    assert all(re.fullmatch(r"[b-df-hj-np-tv-z][a-z]+", noun) for noun in (*PERSONS, *THINGS))


def test_every_word_of_a_wording_is_reserved() -> None:
    reserved = reserved_words(Identity(name="Zorblat"))
    assert {"spell", "backwards", "nurse", "poison", "anna", "claude", "zorblat", "browse", "cheers"} <= reserved
    assert "w" not in {word for word in reserved if len(word) > 1}
