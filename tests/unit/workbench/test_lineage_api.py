"""Lineage, verification and checkpoints as the workbench answers for them, damaged runs included."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.bench_client import ask, bench_client
from tests.support.green_run import judged_run

from picochat.artifacts.store import RunStore
from picochat.judgement.verify import verify_run
from picochat.workbench.bench import Workbench
from picochat.workbench.commands import processes as processes_module
from picochat.workbench.reading import looking

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged_run(tmp_path_factory.mktemp("made") / "green")


@pytest.fixture
def bench(made: Path, tmp_path: Path) -> Workbench:
    shutil.copytree(made, tmp_path / "runs" / "green")
    return Workbench(tmp_path / "runs")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes every started command a piece of Python."""

    def set_program(code: str) -> None:
        monkeypatch.setattr(processes_module, "SUPERVISOR", "tests.support.stand_in_supervisor")
        monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}{os.pathsep}{ROOT}")
        monkeypatch.setenv("STAND_IN", code)

    return set_program


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def state(found: dict[str, Any], path: str) -> str:
    return next(file["state"] for file in found["files"] if file["path"] == path)


def wait(bench: Workbench) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while (found := ask(bench, "green/lineage"))["verification"]["process"]["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def test_a_flipped_byte_is_named_at_the_next_look(bench: Workbench):
    assert ask(bench, "green/lineage")["totals"]["mismatch"] == 0
    flip(bench.runs / "green/tokenizer.json")
    found = ask(bench, "green/lineage")
    assert state(found, "tokenizer.json") == "mismatch"
    stale = {record["label"] for record in found["records"] if record["stale"]}
    assert {"base", "sft", "eval", "gate", "summary"} <= stale
    blocked = {
        p.artifact for r in verify_run(RunStore(bench.runs / "green")) if r.verdict == "block" for p in r.evidence
    }
    assert "tokenizer.json" in blocked


def test_a_digest_is_taken_once_and_again_when_the_file_changed(bench: Workbench, monkeypatch: pytest.MonkeyPatch):
    hashed: list[str] = []
    original = looking._hash
    monkeypatch.setattr(looking, "_hash", lambda root, path: hashed.append(path) or original(root, path))
    first = ask(bench, "green/lineage")
    assert len(hashed) == len(set(hashed)) > 30 and all(file["checked_at"] for file in first["files"])
    hashed.clear()
    ask(bench, "green/lineage")
    assert hashed == []
    flip(bench.runs / "green/corpus.txt")
    ask(bench, "green/lineage")
    assert hashed == ["corpus.txt"]


def test_large_files_wait_for_verify(bench: Workbench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(looking, "CHEAP_BYTES", 10)
    found = ask(bench, "green/lineage")
    assert state(found, "corpus.txt") == "unverified" and state(found, "base/report.json") == "verified"


def test_verify_covers_files_until_they_change(bench: Workbench, monkeypatch: pytest.MonkeyPatch, stand_in):
    monkeypatch.setattr(looking, "CHEAP_BYTES", 10)
    stand_in(
        'print("hashed 3 files");import json;'
        'print(json.dumps({"run":"r","verdict":"blocked","checks":[{"id":"verify.chain","verdict":"block",'
        '"measured":"sha256 1","threshold":"sha256 2",'
        '"evidence":[{"artifact":"eval/rows.jsonl","pointer":""}]}]},indent=1))'
    )
    answer = bench_client(bench).post("/api/runs/green/verify", json={})
    assert answer.status_code == 202
    found = wait(bench)
    assert found["verification"]["process"]["id"] == answer.json()["process"]
    assert found["verification"]["verdict"] == "blocked" and found["verification"]["covers_files"]
    assert state(found, "corpus.txt") == "verified" and state(found, "eval/rows.jsonl") == "mismatch"
    file = next(file for file in found["files"] if file["path"] == "eval/rows.jsonl")
    assert file["why"] == "sha256 1, sha256 2 expected"
    assert next(f for f in found["files"] if f["path"] == "corpus.txt")["checked_at"]
    flip(bench.runs / "green/corpus.txt")
    assert state(ask(bench, "green/lineage"), "corpus.txt") == "unverified"
    # Another server has the findings, and does not know of which bytes they spoke.
    again = ask(Workbench(bench.runs), "green/lineage")
    assert again["verification"]["verdict"] == "blocked" and not again["verification"]["covers_files"]
    assert state(again, "tokenizer.json") == "unverified"


def test_a_second_verify_is_the_first_one_and_one_that_says_nothing_has_no_verdict(bench: Workbench, stand_in):
    stand_in("import time; time.sleep(0.5); print('{broken')")
    client = bench_client(bench)
    first, second = (client.post("/api/runs/green/verify", json={}).json() for _ in range(2))
    assert first == second
    found = wait(bench)
    assert found["verification"]["verdict"] is None and "JSON" in found["verification"]["problem"]
    stand_in("raise SystemExit(2)")
    client.post("/api/runs/green/verify", json={})
    assert "exit code 2" in wait(bench)["verification"]["problem"]


def test_damaged_runs_answer_with_states(bench: Workbench):
    root = bench.runs / "green"
    (root / "corpus_manifest.json").write_bytes(b'{"torn')
    (root / "summary.json").unlink()
    os.mkfifo(root / "summary.json")
    shutil.rmtree(root / "base")
    (root / "base").symlink_to("/")
    found = ask(bench, "green/lineage")
    assert found["state"] == "present" and state(found, "corpus_manifest.json") == "mismatch"
    assert state(found, "summary.json") == "mismatch" and state(found, "base/report.json") == "missing"
    shutil.rmtree(root / "sft")
    assert ask(bench, "green/checkpoints")["checkpoints"] == []


def test_a_run_that_has_only_begun_is_empty(tmp_path: Path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new/run.json").write_bytes(b"{}")
    found = ask(tmp_path, "new/lineage")
    assert found["state"] == "empty" and found["records"] == [] and found["verification"] is None
    found = ask(tmp_path, "new/checkpoints")
    assert found["checkpoints"] == [] and found["ignored"] == [] and found["resume"] is None


def test_checkpoints_have_their_numbers_and_torn_ones_their_reason(bench: Workbench):
    root = bench.runs / "green"
    (root / "base/.tmp-1").mkdir()
    shutil.copytree(root / "sft/checkpoint", root / "sft/best")
    (root / "sft/best/MANIFEST.json").unlink()
    with open(root / "events.jsonl", "ab") as stream:
        stream.write(b'{"kind":"eval","stage":"base","step":20,"bpb":1.5}\n')
        stream.write(b'{"kind":"eval","stage":"sft","step":20,"bpb":null}\n{"kind":"eval"\n')
    found = ask(bench, "green/checkpoints")
    base, sft, best = found["checkpoints"]
    assert (base["step"], base["bpb"], base["role"], base["complete"], base["ships"]) == (20, 1.5, "last", True, True)
    assert sft["bpb"] is None and base["ema"] is False and base["tokens_seen"] == 20 * 512
    report = RunStore(root).read("base/report.json")
    assert base["weights_digest"] == report["weights_digest"] and base["bytes"] == sum(
        f["bytes"] for f in base["files"]
    )
    assert not best["complete"] and best["problem"].startswith("checkpoint.incomplete: sft/best/MANIFEST.json")
    assert best["step"] is None and best["bytes"] is None
    assert [left["folder"] for left in found["ignored"]] == ["base/.tmp-1"]
    assert found["resume"] == f"picochat run tiny --out-dir {root} --resume"
