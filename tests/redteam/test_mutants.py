"""F1: whatever is changed in a release after it was judged, verify turns red and says where."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.redteam.mutants import Mutant, make_mutants
from tests.support.bars import Measured, Size

from picochat.artifacts.store import RunStore
from picochat.judgement.profile import PROFILES
from picochat.judgement.verify import verify_run

LEAST = 100


def find_fault(mutant: Mutant, released: Path, scratch: Path) -> str:
    """Why a mutant counts as a survivor; "" for one that was found."""
    root, profiles = scratch / "run", scratch / "profiles"
    shutil.copytree(released, root)
    shutil.copytree(PROFILES, profiles)
    try:
        mutant.apply(root, profiles)
        red = [result for result in verify_run(RunStore(root), profiles=profiles) if result.verdict == "block"]
    finally:
        shutil.rmtree(scratch)
    said = {place.artifact for result in red for place in result.evidence}
    if mutant.named in said:
        return ""
    return f"{mutant.name}: {mutant.named} is not among {sorted(said) or 'no findings at all'}"


@pytest.mark.bar("F1")
@pytest.mark.timeout(1200)
def test_every_mutant_turns_verify_red(
    released: Path, other: Path, tmp_path: Path, size: Size, measured: Measured
) -> None:
    assert not [result for result in verify_run(RunStore(released)) if result.verdict != "pass"]
    mutants = make_mutants(released, other)
    assert len(mutants) >= LEAST and len({mutant.name for mutant in mutants}) == len(mutants)
    chosen = mutants[:: size(short=3, full=1)]
    survivors = [fault for mutant in chosen if (fault := find_fault(mutant, released, tmp_path / "mutant"))]
    measured(f"F1 {len(chosen) - len(survivors)} of {len(chosen)} red")
    assert not survivors
