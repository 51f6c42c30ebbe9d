"""Benchmarks on two ranks: the rows of one process, for choices, schemas and clozes."""

from pathlib import Path

import pytest
from tests.support.launched import run_launched
from tests.support.made_benchmarks import write_core
from tests.support.tiny_run import build_run, picochat, write_pack

from picochat.artifacts.store import RunStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    folder = tmp_path_factory.mktemp("run")
    return build_run(folder / "run", write_pack(folder / "pack"))


def test_two_ranks_give_the_rows_of_one(store: RunStore, tmp_path: Path):
    words = ["eval", "benchmark", "core", "--data", write_core(tmp_path / "core", n=40), "--run", store.root, "--quiet"]
    done = run_launched(tmp_path, "--", *words, "--ddp")  # torchrun has flags of its own that begin with --run
    assert done.returncode == 0, done.output[-3000:]
    path, report = store.path("benchmarks/core/rows.jsonl"), "benchmarks/core/report.json"
    together = path.read_bytes()
    assert store.read(report)["manifest"]["environment"]["ranks"] == 2
    assert picochat(*words).returncode == 0
    assert path.read_bytes() == together, "the rows do not change, so they are not written again"
    assert store.read(report)["manifest"]["environment"]["ranks"] == 1
