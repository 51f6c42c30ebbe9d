"""Honest runs that none of the checks blocks: what is weak warns, and what was done well stays approved."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import NamedTuple

import pytest
from tests.redteam.conftest import Print
from tests.redteam.sabotages import build_long
from tests.redteam.scene import N, Scene
from tests.support.green_run import judge
from tests.support.green_shards import train_on_shards

from picochat.artifacts.store import RunStore
from picochat.evals.tasks.blimp_paradigms import PARADIGMS
from picochat.judgement.verify import verify_run

Do = Callable[[Scene], object]


def nothing(scene: Scene) -> None:
    """As it was built."""


def shards(scene: Scene) -> None:
    train_on_shards(scene.run)
    scene.cover_up()


def long_shards(scene: Scene) -> None:
    build_long(scene, boundary_tokens=True)


def part_of_a_benchmark(scene: Scene) -> None:
    scene.run.write_benchmark(scene.benchmark, paradigms=PARADIGMS[:12])
    scene.cover_up()
    scene.run.write_honesty()
    scene.cover_up()


def unregistered_benchmark(scene: Scene) -> None:
    shutil.rmtree(scene.root / "benchmarks")
    own = scene.scratch / "own.jsonl"
    own.write_bytes(b"{}\n")
    scene.run.write_benchmark(own, paradigms=("sentence_negation_npi_scope",), per_paradigm=80)
    scene.cover_up()
    scene.run.write_honesty()
    scene.cover_up()


def low_rates(scene: Scene) -> None:
    run = scene.run
    run.rates |= {"eval": 0.1, "heldout": 0.1, "fit": 0.2}
    run.write_eval(N)
    scene.cover_up()


def judged_twice(scene: Scene) -> None:
    """Judged, benchmark added, judged again: the second verdict speaks of more evidence."""
    shutil.rmtree(scene.root / "benchmarks")
    scene.run.write_honesty()
    scene.cover_up()
    assert judge(scene.root, "research")["verdict"] != "blocked"
    scene.run.write_benchmark(scene.benchmark)
    scene.run.write_honesty()
    assert judge(scene.root, "skill_release")["verdict"] == "approved"
    assert not [result for result in verify_run(RunStore(scene.root)) if result.verdict == "block"]


def other_seed(scene: Scene) -> None:
    run = scene.build(name="seventh", seed=7, rates={"eval": 0.9, "heldout": 0.8})
    shutil.rmtree(run.store.root)
    run.build(benchmark=scene.benchmark, n=N)


class Honest(NamedTuple):
    number: str
    what: str
    profile: str
    verdict: str
    do: Do


HONEST = [
    Honest("H1", "the green run", "research", "approved", nothing),
    Honest("H2", "the green run", "first_release", "approved", nothing),
    Honest("H3", "the green run", "skill_release", "approved", nothing),
    Honest("H4", "trained on shards", "skill_release", "approved", shards),
    Honest("H5", "5,000 steps on shards with boundaries", "skill_release", "approved", long_shards),
    Honest("H6", "part of a benchmark", "skill_release", "warn", part_of_a_benchmark),
    Honest("H7", "a benchmark from an own file", "first_release", "warn", unregistered_benchmark),
    Honest("H8", "low rates", "research", "warn", low_rates),
    Honest("H9", "judged twice, a benchmark added between", "skill_release", "approved", judged_twice),
    Honest("H10", "another seed, somewhat lower rates", "skill_release", "approved", other_seed),
]


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.number}-{row.what}") for row in HONEST])
def test_an_honest_run_is_not_blocked(row: Honest, scene: Scene, table: Print) -> None:
    row.do(scene)
    found = scene.judge(row.profile)
    table(row.number, row.what, "none", found, f"honest, {row.profile}")
    assert found.blocking() == []
    assert found.verdict == row.verdict
