"""B1 over the whole factory: killed once in every stage, the demo ends with the same weights and the same verdict.

Three walks with a death in each of the six stages, each followed by a resume. In the short form the integration tests
kill a smaller factory twice.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.conftest import SHORT
from tests.support.killed_demo import (
    STAGES,
    demo_differences,
    durations,
    kill_in_every_stage,
    run_whole,
)

from picochat.artifacts.store import RunStore
from picochat.judgement.verify import verify_run

pytestmark = [pytest.mark.bar("B1"), pytest.mark.full_size, pytest.mark.timeout(900)]
SETTINGS = SHORT | {"base.loop.save_every": 2, "sft.loop.save_every": 2}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    return run_whole(tmp_path_factory.mktemp("demo") / "undisturbed", SETTINGS)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_demo_that_died_in_every_stage_ends_like_one_that_never_did(
    seed: int, undisturbed: RunStore, tmp_path: Path, measured: Callable
):
    root = tmp_path / "killed"
    shots = kill_in_every_stage(root, SETTINGS, durations(undisturbed), seed)
    print(shots)
    assert [shot.stage for shot in shots] == list(STAGES)
    store = RunStore(root)
    assert demo_differences(store, undisturbed) == []
    assert not [result for result in verify_run(store) if result.verdict == "block"]
    assert not list(root.rglob(".tmp-*")) and not list(root.rglob(".trash-*"))
    measured(f"demo killed in all {len(shots)} stages, seed {seed}: equal")
