"""Arithmetic in columns: one step a digit, low digit first, with its carry or borrow, then the result."""

import random

from picochat.data.skills.pools import Deck, split_of, weighted_items
from picochat.data.skills.rows import SkillRow, Split
from picochat.data.skills.templates_arithmetic import REVERSED, SUMS
from picochat.data.skills.wording import Surround, list_templates

KIND_WEIGHTS = {"plus": 5, "minus": 7, "times": 8}
# Digits of the two operands, longer first, by operation.
SUM_SIZES = {(1, 1): 1, (2, 1): 3, (2, 2): 8, (3, 1): 1, (3, 2): 3, (3, 3): 4}
TIMES_SIZES = {(1, 1): 1, (2, 1): 7, (3, 1): 3}


class ArithmeticSkill:
    """Draws arithmetic rows of one side; pairs of one-digit numbers are always on the train side."""

    def __init__(self, split: Split, rng: random.Random, style: str, reversed_frac: float = 0.0) -> None:
        self._split: Split = split
        self._rng = rng
        self._style = style
        self._reversed_frac = reversed_frac
        self._endings = Deck(REVERSED[split], rng)
        self._kinds = Deck(weighted_items(KIND_WEIGHTS) if split == "train" else list(KIND_WEIGHTS), rng)
        self._sum_sizes = Deck(_sizes(SUM_SIZES, split), rng)
        self._times_sizes = Deck(_sizes(TIMES_SIZES, split), rng)
        self._templates = {kind: Deck(list_templates("arithmetic", SUMS, kind, split), rng) for kind in SUMS}
        self._surround = Surround(split, rng)

    def draw(self) -> SkillRow:
        """One row; the answer ends `= result`, or is the bare result in the direct style."""
        template = self._templates[self._kinds.deal()].deal()
        a, b = self._operands(template.kind)
        prefix, suffix, _ = self._surround.deal()
        turned = self._reversed_frac > 0 and self._rng.random() < self._reversed_frac
        core = template.core + (self._endings.deal() if turned else "")
        level = "hard" if template.kind == "times" or max(a, b) > 99 else "easy"
        return SkillRow(
            split=self._split,
            category="arithmetic",
            kind=template.kind,
            template=f"{template.id}.reversed" if turned else template.id,
            core=core,
            prefix=prefix,
            suffix=suffix,
            user=prefix + core.format(a=a, b=b) + suffix,
            assistant=solve(template.kind, a, b, self._style, turned=turned),
            entities=(pair_entity(a, b),),
            level="reversed" if turned else level,
            rule="numeric",
            expected=(solve(template.kind, a, b, "direct", turned=turned),),
        )

    def _operands(self, kind: str) -> tuple[int, int]:
        sizes = (self._times_sizes if kind == "times" else self._sum_sizes).deal()
        while True:
            a, b = (_number(digits, self._rng) for digits in sizes)
            if kind != "plus":
                a, b = max(a, b), min(a, b)
            elif self._rng.random() < 0.5:
                a, b = b, a
            if split_of_pair(a, b) == self._split and not (kind == "times" and b < 2):
                return a, b


def pair_entity(a: int, b: int) -> str:
    """The unordered pair as an entity, lower operand first."""
    return f"pair:{min(a, b)},{max(a, b)}"


def split_of_pair(a: int, b: int) -> Split:
    """The side of an unordered operand pair; two one-digit operands are train, since they are the steps' own facts."""
    return "train" if max(a, b) < 10 else split_of(pair_entity(a, b))


def result_of(kind: str, a: int, b: int) -> int:
    """The number that is right."""
    return {"plus": a + b, "minus": a - b, "times": a * b}[kind]


def solve(kind: str, a: int, b: int, style: str = "steps", *, turned: bool = False) -> str:
    """The answer text, such as `7+5+0=12 4+8+1=13 = 132` for 47 + 85; `turned`, its result is `231`.

    A step ends in carry (or borrow) and digit. Minus needs a >= b; times needs a one-digit b.
    """
    result = str(result_of(kind, a, b))
    result = result[::-1] if turned else result
    if style == "direct":
        return result
    steps = {"plus": _plus_steps, "minus": _minus_steps, "times": _times_steps}[kind](a, b)
    return f"{' '.join(steps)} = {result}"


def _plus_steps(a: int, b: int) -> list[str]:
    steps, carry = [], 0
    for x, y in _columns(a, b):
        steps.append(f"{x}+{y}+{carry}={x + y + carry:02d}")
        carry = (x + y + carry) // 10
    return steps


def _minus_steps(a: int, b: int) -> list[str]:
    steps, borrow = [], 0
    for x, y in _columns(a, b):
        rest = x - y - borrow
        steps.append(f"{x}-{y}-{borrow}={int(rest < 0)}{rest % 10}")
        borrow = int(rest < 0)
    return steps


def _times_steps(a: int, b: int) -> list[str]:
    steps, carry = [], 0
    for x in map(int, reversed(str(a))):
        steps.append(f"{x}*{b}+{carry}={x * b + carry:02d}")
        carry = (x * b + carry) // 10
    return steps


def _columns(a: int, b: int) -> list[tuple[int, int]]:
    """Digits of both numbers, low first, the shorter one filled up with zeros."""
    width = max(len(str(a)), len(str(b)))
    return [(int(x), int(y)) for x, y in zip(reversed(f"{a:0{width}d}"), reversed(f"{b:0{width}d}"), strict=True)]


def _number(digits: int, rng: random.Random) -> int:
    return rng.randint(10 ** (digits - 1), 10**digits - 1)


def _sizes(weights: dict[tuple[int, int], int], split: Split) -> list[tuple[int, int]]:
    sizes = [size for size, weight in weights.items() for _ in range(weight)]
    return sizes if split == "train" else [size for size in sizes if size != (1, 1)]
