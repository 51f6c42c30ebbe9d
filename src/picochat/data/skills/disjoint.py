"""Proof on the finished text that SFT rows hold no wording and no entity of the held-out and eval sides.

Nothing here trusts how the rows were made: of an SFT row only prompt and answer are read.

    wordings   every core, prefix and suffix as a run of words, its slots open to any word
    entities   words, names and models as whole words; operand pairs in either order, in prompt or steps;
               numbers among the options; verb and object of a request anywhere in one row
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

from picochat.data.skills.pools import split_of
from picochat.data.skills.rows import SkillRow, SkillRows

QUOTED = re.compile(r'"[a-z]+"')
TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+|[-+*=_§]")
WORD = re.compile(r"[a-z]+")
NUMBER = re.compile(r"\d+")
STEP = re.compile(r"(\d+)\s*[-+*]\s*(\d+)")
OPTION_NUMBER = re.compile(r"^- (\d+)=", re.MULTILINE)
SLOT = re.compile(r"\{\w+\}")
WORD_TYPES = ("word", "name", "model")


@dataclass(frozen=True, slots=True)
class Violation:
    """What of which side stands where: `kind` is core, prefix, suffix or the type of an entity."""

    kind: str
    what: str
    text: str


def check_disjoint(rows: SkillRows) -> list[Violation]:
    """All violations: held-out or eval material in SFT text, and anything that held-out and eval rows share."""
    sft = [(row.user, row.assistant) for row in rows.sft]
    held = [*rows.heldout, *rows.eval]
    return [*check_wordings(sft, held), *check_entities(sft, held), *check_sides(rows.heldout, rows.eval)]


def check_wordings(sft: Sequence[tuple[str, str]], held: Iterable[SkillRow]) -> list[Violation]:
    """Wordings of `held` that stand in a prompt of `sft`, one violation a wording."""
    texts = list(dict.fromkeys(_plain_prompt(user) for user, _ in sft))
    wordings = {
        (kind, wording)
        for row in held
        for kind, wording in (("core", row.core), ("prefix", row.prefix), ("suffix", row.suffix))
        if wording
    }
    needed = {wording: _wording_tokens(wording) for _, wording in wordings}
    index = _index(texts, {token for tokens in needed.values() for token in tokens})
    found = []
    for kind, wording in sorted(wordings):
        tokens = [token for token in needed[wording] if token != "§"]
        if not tokens:
            continue
        candidates = set.intersection(*sorted((index[token] for token in tokens), key=len))
        pattern = _wording_pattern(needed[wording])
        hit = next((texts[place] for place in sorted(candidates) if pattern.search(texts[place])), None)
        if hit is not None:
            found.append(Violation(kind, wording, hit.strip()))
    return found


class HasEntities(Protocol):
    """A row that names what it was made from."""

    @property
    def entities(self) -> Sequence[str]: ...


def check_entities(sft: Iterable[tuple[str, str]], held: Iterable[HasEntities]) -> list[Violation]:
    """Entities of `held` that stand in a row of `sft`, one violation an occurrence."""
    values: dict[str, set[str]] = defaultdict(set)
    for row in held:
        for entity in row.entities:
            kind, value = entity.split(":", 1)
            values[kind].add(value.casefold())
    words = {value: kind for kind in WORD_TYPES for value in values[kind]}
    acts = {tuple(value.split("+")) for value in values["act"]}
    verbs, nouns = {verb for verb, _ in acts}, {noun for _, noun in acts}
    found = []
    for user, assistant in sft:
        text = f"{user}\n{assistant}".casefold()
        tokens = set(WORD.findall(text))
        hits = [(words[word], word) for word in tokens & words.keys()]
        hits += [("act", f"{v}+{n}") for v in tokens & verbs for n in tokens & nouns if (v, n) in acts]
        if NUMBER.search(text):
            hits += [("pair", pair) for pair in _pairs_in(user, assistant) & values["pair"]]
            hits += [("number", number) for number in set(OPTION_NUMBER.findall(user)) & values["number"]]
        found += [Violation(kind, what, text) for kind, what in sorted(hits)]
    return found


def check_sides(heldout: Iterable[SkillRow], evaluation: Iterable[SkillRow]) -> list[Violation]:
    """Wordings and entities that held-out and eval rows share, and entities on the wrong side of their hash."""
    sides = [list(heldout), list(evaluation)]
    found = []
    for kind in ("core", "prefix", "suffix"):
        first, second = ({getattr(row, kind) for row in side} for side in sides)
        found += [Violation(kind, wording, "held-out and eval") for wording in sorted(first & second - {""})]
    first, second = ({entity for row in side for entity in row.entities} for side in sides)
    for entity in sorted(first | second):
        kind, value = entity.split(":", 1)
        if entity in first & second:
            found.append(Violation(kind, value, "held-out and eval"))
        if kind not in ("name", "model") and split_of(entity) == "train":
            found.append(Violation(kind, value, "its hash is on the train side"))
    return found


def _pairs_in(user: str, assistant: str) -> set[str]:
    """Unordered pairs of numbers of the question (options aside) and of each step, as `low,high`."""
    question = map(int, NUMBER.findall(user.split("\n- ", 1)[0]))
    pairs = list(combinations(question, 2))
    pairs += [(int(a), int(b)) for a, b in STEP.findall(assistant)]
    return {f"{min(pair)},{max(pair)}" for pair in pairs}


def _plain_prompt(user: str) -> str:
    """The question as words between spaces: options dropped, numbers and quoted words masked, case and stops folded."""
    question = QUOTED.sub("_", user.split("\n- ", 1)[0].casefold())
    return f" {' '.join('0' if token.isdecimal() else token for token in TOKEN.findall(question))} "


def _wording_tokens(wording: str) -> list[str]:
    """Words of a wording with its slots as §."""
    return TOKEN.findall(SLOT.sub("§", wording.casefold()))


def _wording_pattern(tokens: list[str]) -> re.Pattern[str]:
    words = ("[a-z0-9_']+" if token == "§" else re.escape(token) for token in tokens)
    return re.compile(f" {' '.join(words)} ")


def _index(texts: list[str], wanted: set[str]) -> dict[str, set[int]]:
    """Places of the texts that hold each wanted word."""
    index: dict[str, set[int]] = defaultdict(set)
    for place, text in enumerate(texts):
        for token in wanted.intersection(text.split()):
            index[token].add(place)
    return index
