"""The sabotages that are a way of training or evaluating, done for real on a tiny run: the full form."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.redteam.conftest import Print
from tests.redteam.scene import Verdict, judge_scene
from tests.redteam.trained import ROWS, TRAINED, Tiny, evaluate, knows_all
from tests.support.tiny_run import build_run, write_pack

from picochat.artifacts.store import RunStore

pytestmark = [pytest.mark.deep, pytest.mark.full_size, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(tmp_path_factory.mktemp("pack") / "texts")


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, pack: Path) -> RunStore:
    """Trained without a trick, and asked of somebody who knows the answers."""
    store = build_run(tmp_path_factory.mktemp("tiny") / "run", pack, **ROWS)
    evaluate(store, lambda row: None)
    return store


@pytest.fixture(scope="module")
def untouched_tiny(honest: RunStore) -> Verdict:
    return judge_scene(honest.root)


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row[0]}-{row[1]}") for row in TRAINED])
def test_what_is_really_done_is_blocked_by_its_check(
    row: tuple[str, str, str, Callable[[Tiny], Path], str],
    honest: RunStore,
    pack: Path,
    untouched_tiny: Verdict,
    tmp_path: Path,
    table: Print,
) -> None:
    number, what, check, do, form = row
    assert untouched_tiny.checks[check]["verdict"] == "pass", untouched_tiny.checks[check]
    found = judge_scene(do(Tiny(honest, pack, tmp_path)))
    table(number, what, check, found, form)
    shutil.rmtree(tmp_path)
    assert found.verdict == "blocked"
    assert check in found.blocking()


def test_who_knows_all_is_right_everywhere(honest: RunStore, untouched_tiny: Verdict) -> None:
    assert knows_all({"rule": "option", "options": ["a", "b"], "answer": "b"}).option_scores is not None
    rates = honest.read("eval/report.json")["sets"]["eval"]["summary"]["categories"]
    assert {name: numbers["rate"] for name, numbers in rates.items() if numbers["rate"] < 1} == {}
