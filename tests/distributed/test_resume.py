"""B1 on two ranks: whichever rank dies wherever, a resume on two ranks ends as the run that nothing interrupted.

On another number of ranks a resume is asked for by name, trains on the same documents, and is never called exact.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.support.base_run import STEPS, Prepared, base_settings, command, differences, saved_step, train
from tests.support.launched import TWO_MICRO_BATCHES as SETTINGS
from tests.support.launched import run_launched

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.events import iter_events
from picochat.training.ledger import spliced


class Case(NamedTuple):
    """The failpoint that ends the first attempt, the step that is saved then, and settings of the loop."""

    name: str
    failpoint: str
    saved: int
    loop: dict[str, Any]
    short: bool = False


CASES = [
    Case("rank 1, mid accumulation", "step.mid_accumulation:sigkill@33#1", 20, {}, short=True),
    Case("rank 0, mid accumulation", "step.mid_accumulation:sigkill@33#0", 20, {}),
    Case("both at once", "step.after_backward:sigkill@33", 20, {}),
    Case("rank 1, just after a save", "step.mid_accumulation:sigkill@21#1", 20, {}),
    Case("rank 0, one step before a save", "step.after_backward:sigkill@40#0", 20, {}),
    Case("rank 1, step 1", "step.after_backward:sigkill@1#1", 0, {}),
    Case("rank 0, between backward and optimizer", "step.before_optimizer:sigkill@33#0", 30, {"save_every": 10}),
    Case("rank 1, after the optimizer", "step.after_optimizer:sigkill@38#1", 20, {}),
    Case("rank 1, last step of an epoch", "step.after_optimizer:sigkill@51#1", 50, {"save_every": 50}),
    Case("rank 0, first step of the next epoch", "step.after_optimizer:sigkill@52#0", 51, {"save_every": 51}),
    Case("rank 1, a step that spans two epochs", "step.mid_accumulation:sigkill@26#1", 25, {"save_every": 25}),
    Case("rank 0, end of the warm-up", "step.after_optimizer:sigkill@8#0", 7, {"save_every": 7}),
    Case("rank 0, in a save, before the manifest", "ckpt.before_manifest:sigkill@2#0", 20, {}),
    Case("rank 1, while rank 0 saves", "ckpt.between_ranks:sigkill@2#1", 40, {}, short=True),
    Case("rank 0, a save whose disk is full", "ckpt.before_manifest:enospc@2#0", 20, {}),
    Case("rank 0, between the exchanges", "ckpt.after_exchange_1:sigkill@3#0", 60, {}),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        chosen = [case for case in CASES if case.short or metafunc.config.getoption("--full")]
        metafunc.parametrize("case", chosen, ids=lambda case: case.name)


def resumed_events(root: Path) -> list[dict[str, Any]]:
    return [event for event in iter_events(root / layout.EVENTS) if event["kind"] == "resumed"]


Die = Callable[[Case, Path], None]


@pytest.fixture(scope="module")
def die(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Die:
    """die(case, root): the first attempt of a case in `root`, really run once and copied to whoever asks again."""
    kept: dict[str, Path] = {}

    def attempt(case: Case) -> Path:
        folder = tmp_path_factory.mktemp("died")
        words = command(prepared, folder / "run", base_settings(**SETTINGS, **case.loop))
        first = run_launched(folder, *words, failpoint=case.failpoint)
        assert first.returncode == 1 and saved_step(folder / "run") == case.saved, first.output[-3000:]
        return folder / "run"

    def copy(case: Case, root: Path) -> None:
        if case.name not in kept:
            kept[case.name] = attempt(case)
        shutil.copytree(kept[case.name], root)

    return copy


@pytest.mark.bar("B1")
def test_a_resume_on_two_ranks_equals_no_resume(
    case: Case, prepared: Prepared, undisturbed: RunStore, die: Die, tmp_path: Path, measured: Callable[[str], None]
):
    root, words = tmp_path / "run", command(prepared, tmp_path / "run", base_settings(**SETTINGS, **case.loop))
    die(case, root)
    second = run_launched(tmp_path, *words, "--resume")
    assert second.returncode == 0, second.output[-3000:]
    assert differences(RunStore(root), undisturbed) == []
    assert all(event["exact"] is True and not event["differences"] for event in resumed_events(root))
    assert len(resumed_events(root)) == (1 if case.saved else 0)
    measured(f"two ranks: {case.name}")


@pytest.mark.bar("B3")
def test_a_resume_on_one_rank_is_refused_then_data_exact(
    prepared: Prepared, undisturbed: RunStore, die: Die, tmp_path: Path, measured: Callable[[str], None]
):
    root, settings = tmp_path / "run", base_settings(**SETTINGS)
    die(CASES[0], root)
    assert saved_step(root) == 20
    refused = train(prepared, root, settings, resume=True)
    assert refused.returncode == 4 and "(world_size, saved 2, now 1)" in refused.stderr
    assert "resume.elastic=true" in refused.stderr
    done = train(prepared, root, settings | {"resume.elastic": True}, resume=True)
    assert done.returncode == 0, done.stderr
    mine, theirs = (spliced(store.path(f"{layout.BASE}/{layout.LEDGER}")) for store in (RunStore(root), undisturbed))
    assert len(mine) == STEPS and [row["documents"] for row in mine] == [row["documents"] for row in theirs]
    worst = max(abs(loss(a) / loss(b) - 1) for a, b in zip(mine, theirs, strict=True))
    assert worst < 1e-3
    [event] = resumed_events(root)
    assert event["exact"] is False
    assert {"field": "world_size", "saved": 2, "now": 1, "verdict": "elastic"} in event["differences"]
    measured(f"2 ranks to 1: the same documents in {STEPS} of {STEPS} steps, loss within {worst:.0e}, not called exact")


def test_what_differs_is_said_to_whoever_resumes(prepared: Prepared, undisturbed: RunStore, tmp_path: Path):
    """A run on one rank that goes on with two."""
    root, settings = tmp_path / "run", base_settings(**SETTINGS)
    words = [word for word in command(prepared, root, settings | {"resume.elastic": True}) if word != "--quiet"]
    assert train(prepared, root, settings, failpoint="step.after_backward:sigkill@33").returncode == -9
    done = run_launched(tmp_path, *words, "--resume")
    assert done.returncode == 0, done.output[-3000:]
    assert "base: world_size was 1, is now 2: data-exact and loss-close, not bit-exact" in done.output
    mine, theirs = (spliced(store.path(f"{layout.BASE}/{layout.LEDGER}")) for store in (RunStore(root), undisturbed))
    assert [row["documents"] for row in mine] == [row["documents"] for row in theirs]


def loss(row: dict[str, Any]) -> float:
    return float.fromhex(row["loss"])
