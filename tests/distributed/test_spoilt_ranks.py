"""C4 and C5 on two ranks: what is wrong on one rank is wrong for both, and costs one step or ends the run by name."""

import itertools
from pathlib import Path

import pytest
from tests.support.base_run import Prepared, base_settings, command, differences, saved_step
from tests.support.launched import TWO_MICRO_BATCHES, exit_code, run_launched, run_module

from picochat.artifacts.store import RunStore

VALUES = ("loss", "inf", "gradient", "element", "norm")
PROGRAM = "tests.support.rank_cases"


def poison_cases(full: bool) -> list[dict]:
    """Every value on every rank, in the first and last micro-batch, with and without accumulation, early and later."""
    rows = [
        {"kind": "poison", "value": value, "rank": rank, "micro_batch": place, "accumulation": count, "step": step}
        for value, rank, (place, count), step in itertools.product(
            VALUES, (0, 1), (("first", 1), ("first", 4), ("last", 4)), (1, 2, 5)
        )
    ]
    late = [
        {"kind": "poison", "value": "spike", "rank": rank, "micro_batch": "last", "accumulation": 2, "step": 40}
        for rank in (0, 1)
    ]
    return (rows if full else rows[::4]) + late


VETOES = [{"kind": "veto", "rank": rank, "step": 3} for rank in (0, 1)]
FLIPS = [{"kind": "flip", "rank": seed % 2, "seed": seed} for seed in range(20)]
Found = dict[str, list[tuple[dict, dict]]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Found:
    """{kind: [(case, what both ranks saw)]}, all in one launch."""
    cases = [*poison_cases(pytestconfig.getoption("--full")), *VETOES, *FLIPS]
    results = run_module(tmp_path_factory.mktemp("cases"), PROGRAM, cases)
    rows: Found = {}
    for case, result in zip(cases, results, strict=True):
        rows.setdefault(case["kind"], []).append((case, result))
    return rows


@pytest.mark.bar("C4")
def test_one_bad_number_on_one_rank_costs_both_one_step_and_no_bit(found: Found, measured):
    for case, result in found["poison"]:
        first, second = result["ranks"]
        assert first == second, case
        step = case["step"]
        assert first["skipped"] == [step] and first["guard"] == 1, (case, first["skipped"])
        digests = first["digests"]
        assert digests[step] == digests[step - 1], case
        assert len(set(digests)) == len(digests) - 1, case
        assert result["finite"] and result["verdicts"].count("skipped") == 1, case
    measured(f"two ranks: {len(found['poison'])} cases, both ranks skip the same step and keep every bit")


@pytest.mark.bar("C4")
def test_one_rank_s_no_is_everybody_s_no(found: Found, measured):
    assert len(found["veto"]) == len(VETOES)
    for _, result in found["veto"]:
        first, second = result["ranks"]
        assert first == second and first["skipped"] == [3] and first["digests"][2] == first["digests"][1]
    measured("a step that one rank rejects is skipped by both")


@pytest.mark.bar("C5")
def test_every_flipped_bit_is_found_and_its_rank_named(found: Found, measured):
    for case, result in found["flip"]:
        before, damaged, after = result["answers"]
        assert (before, after) == ("equal", "equal")
        assert damaged.startswith("launch.replicas") and "rank 1" in damaged and result["tensor"] in damaged, case
    assert len(found["flip"]) == len(FLIPS)
    measured(f"{len(FLIPS)} of {len(FLIPS)} single flipped bits found")


@pytest.mark.bar("C5")
@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.full_size), 1])
def test_a_flipped_bit_saves_nothing_and_a_resume_is_exact(
    prepared: Prepared, undisturbed: RunStore, tmp_path: Path, rank: int, measured
):
    root, words = tmp_path / "run", command(prepared, tmp_path / "run", base_settings(**TWO_MICRO_BATCHES))
    done = run_launched(tmp_path, *words, failpoint=f"replica.weights:flip_bit@2#{rank}")
    assert done.returncode == 1 and {exit_code(root, r) for r in (0, 1)} == {5}
    assert "step 40: rank 1 holds other bits than rank 0" in done.output
    assert saved_step(root) == 20
    assert run_launched(tmp_path, *words, "--resume").returncode == 0
    assert differences(RunStore(root), undisturbed) == []
    measured(f"a bit of rank {rank} before the save of step 40: exit 5, step 20 kept, resume exact")
