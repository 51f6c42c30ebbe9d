"""parity.json: what was compared with what, how far apart, and what could not run. Numbers and words, no verdict.

The verdict is given by judgement, from these numbers alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from picochat.export.parity.compare import Difference

State = Literal["passed", "failed", "measured", "not_run"]


@dataclass(frozen=True)
class Comparison:
    """One program and precision against ours. `bound` is None where no equality is promised."""

    name: str
    state: State
    unit: str = ""
    bound: float | None = None
    largest: float | None = None
    equal_tokens: int | None = None
    astray: int | None = None
    tokens: int | None = None
    reason: str = ""

    @classmethod
    def of(cls, name: str, unit: str, found: Difference, bound: float | None) -> Comparison:
        """A comparison that ran; without a bound it is measured, and only a number that is not finite fails it."""
        finite = found.largest < float("inf")
        ok = finite if bound is None else found.within(bound)
        state: State = "failed" if not ok else "measured" if bound is None else "passed"
        largest = found.largest if finite else None
        return cls(name, state, unit, bound, largest, found.equal_tokens, found.astray, found.tokens)

    @classmethod
    def of_counts(cls, name: str, unit: str, equal: int, total: int, reason: str = "") -> Comparison:
        """Things that are equal or not: `reason` names the first that is not."""
        return cls(name, "passed" if equal == total else "failed", unit, 0, total - equal, equal, 0, total, reason)

    @classmethod
    def failed(cls, name: str, reason: str) -> Comparison:
        """The other program gave nothing to compare: a file that nobody can read is no export."""
        return cls(name, "failed", reason=reason)

    @classmethod
    def not_run(cls, name: str, reason: str) -> Comparison:
        return cls(name, "not_run", reason=reason)


@dataclass(frozen=True)
class Control:
    """A wrong copy of our model, compared in the same way; `seen` says that the comparison noticed."""

    name: str
    seen: bool
    largest: float | None
    equal_tokens: int
    tokens: int

    @classmethod
    def of(cls, name: str, found: Difference, bound: float) -> Control:
        largest = found.largest if found.largest < float("inf") else None
        return cls(name, not found.within(bound), largest, found.equal_tokens, found.tokens)


@dataclass
class Subject:
    """What was compared: the `weights` themselves, or a random `stand_in` of their shape from the same writer."""

    name: Literal["weights", "stand_in"]
    distinct_tokens: int
    steps: int
    needed: int
    comparisons: list[Comparison] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    digest_equal: bool | None = None
    """Whether the file's tensors, under our names again, give the source's weights digest."""

    @property
    def tells(self) -> bool:
        """Whether agreement on it means something: it does not run in circles, and every mistake was noticed."""
        noticed = bool(self.controls) and all(control.seen for control in self.controls)
        return self.distinct_tokens >= self.needed and noticed


def to_json(subjects: Iterable[Subject], not_run: Iterable[Comparison] = ()) -> dict[str, Any]:
    """The body of parity.json."""
    return {
        "subjects": [asdict(subject) | {"tells": subject.tells} for subject in subjects],
        "not_run": [asdict(comparison) for comparison in not_run],
    }
