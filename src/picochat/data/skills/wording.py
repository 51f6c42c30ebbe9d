"""Templates by side, and the greetings and closings that surround them; the sides share no wording."""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from picochat.data.skills.pools import Deck
from picochat.data.skills.rows import Split

Wordings = Mapping[str, Mapping[Split, tuple[str, ...]]]


def list_words(text: str) -> tuple[str, ...]:
    """The words of a text, for lists that read better as a line."""
    return tuple(text.split())


PREFIXES: Mapping[Split, tuple[str, ...]] = {
    "train": (
        "Hi. ",
        "Hello. ",
        "Hey. ",
        "Good morning. ",
        "Excuse me. ",
        "Question: ",
        "Please answer. ",
        "One question. ",
        "Hello there. ",
        "Sorry to bother you. ",
        "I have a question. ",
        "Okay. ",
    ),
    "heldout": ("Good evening. ", "Answer me this. ", "Next up: ", "Welcome back. "),
    "eval": ("Quick one: ", "Greetings. ", "Listen. ", "Now this: ", "Good afternoon. "),
}
SUFFIXES: Mapping[Split, tuple[str, ...]] = {
    "train": (
        " Thanks.",
        " Please.",
        " Thank you.",
        " Be brief.",
        " Answer now.",
        " I am waiting.",
        " Keep it short.",
        " Go ahead.",
    ),
    "heldout": (" Hurry up.", " Take your time.", " Many thanks to you."),
    "eval": (" Be quick.", " Cheers.", " No rush.", " Much appreciated."),
}
NAME_PREFIXES: Mapping[Split, tuple[str, ...]] = {
    "train": (
        "Hi, I am {name}. ",
        "{name} here. ",
        "My name is {name}. ",
        "I am {name}. ",
        "Hello from {name}. ",
        "{name} asks: ",
    ),
    "heldout": ("You are talking to {name}. ", "{name} has a question: "),
    "eval": ("This is {name} speaking. ", "{name} wants to know: ", "Regards from {name}. "),
}
NAMES: Mapping[Split, tuple[str, ...]] = {
    "train": list_words(
        "Anna Ben Carla David Elena Frank Grace Henry Iris Jack Karen Leo Maria Nina Oscar Paul Quinn Rosa "
        "Sam Tina Umar Vera Walter Xenia Yusuf Zoe Alice Boris Chloe Dora Emil Fiona George Hanna Ivan Julia "
        "Kevin Laura Mark Nora"
    ),
    "heldout": list_words("Otto Petra Ralph Sonia Tariq Ursula Victor Wendy Amir Bella Cyril Doris"),
    "eval": list_words("Edgar Freya Gustav Helga Igor Jasmin Kofi Lydia Milo Nadia Olaf Priya"),
}


@dataclass(frozen=True, slots=True)
class Template:
    """One core wording with {slots}; the id names skill, kind, side and place."""

    id: str
    kind: str
    core: str


def list_templates(skill: str, wordings: Wordings, kind: str, split: Split) -> list[Template]:
    """The templates of one kind on one side."""
    return [
        Template(f"{skill}.{kind}.{split}.{index:02d}", kind, core) for index, core in enumerate(wordings[kind][split])
    ]


def iter_words(text: str) -> Iterator[str]:
    """Lower-case words of a text; slots in braces are not words."""
    yield from re.findall(r"[a-z]+", re.sub(r"\{\w+\}", " ", text).casefold())


class Surround:
    """Deals prefix and suffix of one side; half of the rows without a name have neither."""

    def __init__(self, split: Split, rng: random.Random, names: Sequence[str] = ()) -> None:
        self._rng = rng
        self._names = Deck(names, rng)
        self._prefixes = Deck(PREFIXES[split], rng)
        self._suffixes = Deck(SUFFIXES[split], rng)
        self._named = Deck(NAME_PREFIXES[split], rng)
        self._named_frac = 0.4 if names else 0.0

    def deal(self) -> tuple[str, str, str]:
        """A prefix wording, a suffix wording and the name that fills the prefix; each may be empty."""
        roll = self._rng.random()
        if roll < self._named_frac:
            return self._named.deal(), self._suffix(0.5), self._names.deal()
        if self._rng.random() < 0.4:
            return "", "", ""
        prefix = self._prefixes.deal() if self._rng.random() < 0.6 else ""
        return prefix, self._suffix(0.6), ""

    def _suffix(self, frac: float) -> str:
        return self._suffixes.deal() if self._rng.random() < frac else ""
