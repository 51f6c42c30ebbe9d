"""The cards that a plan can be made for: facts of `cards.toml`, and what `8xH100` means."""

from __future__ import annotations

import difflib
import functools
import os
import re
import tomllib
from importlib import resources

from picochat.artifacts.schema import Record
from picochat.core.errors import refuse

CPU = "cpu"
MAX_COUNT = 65_536


class Card(Record):
    """What a maker prints of one card; None where the machine has to be asked."""

    name: str
    title: str
    bf16_tflops: float | None = None
    """Dense peak of bf16 products with float32 sums, 10^12 operations a second."""
    memory_gb: float | None = None
    """10^9 bytes."""
    bandwidth_gb_per_s: float | None = None
    source: str
    aliases: tuple[str, ...] = ()

    @property
    def memory_bytes(self) -> int:
        """What the ranks on this card have; for `cpu` the memory of this machine."""
        return this_machine_bytes() if self.memory_gb is None else round(self.memory_gb * 1e9)

    @property
    def device(self) -> str:
        """The kind of device in the words of `machine.device`."""
        return CPU if self.name == CPU else "cuda"


class Fleet(Record):
    """So many of one card, a rank on each."""

    count: int
    card: Card

    @property
    def rank_bytes(self) -> int:
        """Memory of one rank: ranks on processors share the machine's."""
        return self.card.memory_bytes // (self.count if self.card.name == CPU else 1)

    @property
    def peak_flops(self) -> float | None:
        """Of all cards together, operations a second."""
        return None if self.card.bf16_tflops is None else self.count * self.card.bf16_tflops * 1e12

    def __str__(self) -> str:
        return f"{self.count} x {self.card.title}"


@functools.cache
def cards() -> dict[str, Card]:
    """All cards by name."""
    text = resources.files("picochat.pipeline.plan").joinpath("cards.toml").read_text(encoding="utf-8")
    return {name: Card.from_json({"name": name, **facts}, name) for name, facts in tomllib.loads(text).items()}


def find_card(name: str) -> Card:
    """A card by name or alias, in any case. Raises `plan.card` with the nearest ones."""
    names = {alias: card for card in cards().values() for alias in (card.name, *card.aliases)}
    wanted = re.sub(r"[\s_]+", "-", name.strip().lower()).removeprefix("nvidia-")
    if wanted not in names:
        near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        refuse("plan.card", f"there is no card {name!r} in the table{hint}", fix=f"choose one of {', '.join(cards())}")
    return names[wanted]


def parse_gpus(text: str) -> Fleet:
    """`8xH100`, `H100` or `2xcpu`. Raises `plan.gpus` or `plan.card`."""
    found = re.fullmatch(r"\s*(?:([0-9]{1,9})\s*[xX*]\s*)?([A-Za-z0-9][\w .-]{0,40})\s*", text, re.ASCII)
    count = int(found[1] or 1) if found else 0
    if found is None or not 1 <= count <= MAX_COUNT:
        refuse("plan.gpus", f"--gpus {text[:60]!r} is not COUNTxCARD with a count of 1 to {MAX_COUNT:,}")
    return Fleet(count=count, card=find_card(found[2]))


def this_machine_bytes() -> int:
    """Physical memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
