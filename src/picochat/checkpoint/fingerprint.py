"""The conditions of a training, compared on resume: each difference has a name and a verdict (torch-free)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, NamedTuple

from picochat.core.config import flatten
from picochat.core.errors import refuse

SAFE: Final = frozenset({"log_every_steps", "sample_every_steps", "checkpoint_every_steps", "paths", "host"})
"""Differences that cannot change what is trained: listed and allowed."""
ELASTIC: Final = frozenset({"world_size", "micro_batch_size", "grad_accum_steps", "strategy", "threads"})
"""Allowed with `resume.elastic`: the same documents in each global step, losses close, never bit-exact. A number of
threads is among them, because it follows the number of ranks on a host."""
ACCEPTABLE: Final = frozenset(
    {"torch_version", "package_version", "code_digest", "compile_mode", "threads", "device_kind"}
)
"""Allowed when named in `resume.accept`; exactness is not claimed then."""
ABSENT: Final = "<absent>"

Verdict = Literal["safe", "elastic", "accepted", "refused"]


class Difference(NamedTuple):
    """One field whose value now is not the saved one. Nested fields have dotted names."""

    field: str
    saved: Any
    now: Any
    verdict: Verdict

    def describe(self) -> str:
        """One line for a person."""
        means = {"elastic": "data-exact and loss-close, not bit-exact", "accepted": "accepted, not bit-exact"}
        return f"{self.field} was {self.saved!r}, is now {self.now!r}: {means.get(self.verdict, self.verdict)}"


def compare_fingerprints(
    saved: Mapping[str, Any], now: Mapping[str, Any], accept: Collection[str] = (), elastic: bool = False
) -> list[Difference]:
    """All differences, sorted by field. A field that only one side has is a difference."""
    before, after = flatten(dict(saved)), flatten(dict(now))
    differences = []
    for field in sorted(before.keys() | after.keys()):
        old, new = before.get(field, ABSENT), after.get(field, ABSENT)
        if type(old) is not type(new) or old != new:
            differences.append(Difference(field, old, new, _verdict(field, accept, elastic)))
    return differences


def require_fingerprint(
    saved: Mapping[str, Any], now: Mapping[str, Any], accept: Collection[str] = (), elastic: bool = False
) -> list[Difference]:
    """The differences, when none is refused. Raises `resume.fingerprint` with (field, saved, now) of the refused."""
    differences = compare_fingerprints(saved, now, accept, elastic)
    if refused := [d for d in differences if d.verdict == "refused"]:
        rows = "; ".join(f"({d.field}, saved {d.saved!r}, now {d.now!r})" for d in refused)
        refuse("resume.fingerprint", f"{len(refused)} conditions of the training differ: {rows}", fix=_fix(refused))
    return differences


def claims_exact(differences: Collection[Difference]) -> bool:
    """Whether a resume with these differences may still be called exact to the bit."""
    return all(d.verdict == "safe" for d in differences)


def _verdict(field: str, accept: Collection[str], elastic: bool) -> Verdict:
    """A class names a top-level field or the last part of a nested one (`batch.micro_batch_size`)."""
    names = {field.partition(".")[0], field.rpartition(".")[2]}
    if names & SAFE:
        return "safe"
    if names & ELASTIC and elastic:
        return "elastic"
    if names & ACCEPTABLE and (names | {field}) & set(accept):
        return "accepted"
    return "refused"


def _fix(refused: list[Difference]) -> str:
    names = {d.field.rpartition(".")[2] for d in refused}
    if names <= ELASTIC and names != {"threads"}:
        return "restore the saved values, or go on with --set resume.elastic=true (data-exact, loss-close)"
    if names <= ACCEPTABLE:
        return (
            f"restore the saved values, or go on with --set 'resume.accept={json.dumps(sorted(names))}' (not bit-exact)"
        )
    return "restore the saved values, or start a new run with another --out-dir"
