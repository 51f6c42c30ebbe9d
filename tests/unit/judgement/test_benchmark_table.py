"""The table of benchmarks and cross-checks: scores from rows, published results with their set-up, commands."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import made_benchmarks as made
from tests.support.eval_surface import write_json
from tests.support.green_run import GreenRun
from tests.support.made_benchmarks import FakeScorer
from tests.support.scored_benchmarks import write_scored

from picochat.artifacts.store import RunStore
from picochat.evals.tasks.facts import TABLE
from picochat.judgement.benchmark_status import list_statuses
from picochat.judgement.benchmark_table import describe_benchmarks, describe_cross_checks
from picochat.judgement.evidence import RunEvidence

Copy = Callable[[Path], Path]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return GreenRun(tmp_path_factory.mktemp("plain") / "run").build(n=4).root


@pytest.fixture
def run(plain: Path, copy: Copy) -> RunStore:
    return RunStore(copy(plain))


def table(store: RunStore) -> dict[str, dict]:
    return {row["name"]: row for row in describe_benchmarks(RunEvidence(store))}


def test_a_benchmark_that_was_not_run_has_facts_a_command_and_no_numbers(run: RunStore):
    rows = table(run)
    assert list(rows) == list(TABLE) and {row["status"] for row in rows.values()} == {"not run"}
    piqa = rows["piqa"]
    assert (piqa["score"], piqa["files"], piqa["measured_on"]) == (None, None, None)
    assert (piqa["chance"], piqa["shots"]) == (0.5, {"table": 0, "asked": None, "by_task": False})
    assert rows["core"]["shots"]["by_task"] is True
    command = shlex.split(piqa["command"])
    assert command == ["picochat", "eval", "benchmark", "piqa", "--data", "FOLDER", "--run", str(run.root)]


def test_a_score_is_that_of_the_rows_with_its_error_and_its_files(run: RunStore, tmp_path: Path):
    write_scored(run, "piqa", made.write_piqa(tmp_path / "p q", n=60), FakeScorer())
    (status,) = [entry for entry in list_statuses(RunEvidence(run)) if entry.name == "piqa"]
    row = table(run)["piqa"]
    numbers = status.numbers or {}
    assert row["status"] == "partial" and row["score"]["rate"] == numbers["rate"] == 1.0
    assert row["score"]["interval"] == numbers["interval"] and row["score"]["n"] == 60
    assert row["score"]["error"] == pytest.approx((numbers["interval"][1] - numbers["interval"][0]) / 2)
    assert row["files"]["count"] == 2 and row["files"]["registered"] is False and len(row["files"]["digest"]) == 64
    words = shlex.split(row["command"])
    assert words[words.index("--data") + 1] == str(tmp_path / "p q"), "the folder that was read, quoted"


def test_a_published_result_says_whether_it_may_be_compared(run: RunStore, tmp_path: Path):
    before = {entry["model"]: entry for entry in table(run)["core"]["references"]}
    assert before["GPT-2 124M"]["same_setup"] is True and before["GPT-2 124M"]["comparable"] is None
    assert before["GPT-2 124M"]["source"] and before["GPT-2 124M"]["value"] == 0.114
    write_scored(run, "core", made.write_core(tmp_path / "core", n=12), FakeScorer())
    after = {entry["model"]: entry for entry in table(run)["core"]["references"]}
    assert after["GPT-2 124M"]["comparable"] is False, "a part is never comparable"


def test_rows_elsewhere_are_not_read(run: RunStore, tmp_path: Path):
    outside = tmp_path / "outside.jsonl"
    outside.write_text("{}\n")
    write_scored(
        run, "piqa", made.write_piqa(tmp_path / "p", n=60), FakeScorer(), lambda body: body.update(rows=str(outside))
    )
    row = table(run)["piqa"]
    assert row["status"] == "broken" and "said to lie in" in row["why"] and row["score"] is None


def test_a_cross_check_that_cannot_be_read_has_no_verdict(run: RunStore):
    assert describe_cross_checks(RunEvidence(run)) == []
    write_json(run.root, "harness/arc/report.json", {"name": "arc"})
    (row,) = describe_cross_checks(RunEvidence(run))
    assert row["name"] == "arc" and row["agrees"] is None and row["problem"] and row["items"] is None
    assert "--tasks arc" in row["command"]


def test_only_the_checkpoint_that_ships_is_read_for_a_status(run: RunStore, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    prove = RunEvidence._prove
    monkeypatch.setattr(RunEvidence, "_prove", lambda self, path: asked.append(path) or prove(self, path))
    evidence = RunEvidence(run)
    assert evidence.weights.manifest is not None and asked == ["sft/checkpoint"]
    assert set(evidence.checkpoints) >= {"base/checkpoint", "sft/checkpoint"} and asked.count("sft/checkpoint") == 1
