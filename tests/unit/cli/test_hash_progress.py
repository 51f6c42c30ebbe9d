"""Verify says how far it is, and only when it takes long."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.green_run import GreenRun

from picochat.artifacts.store import RunStore
from picochat.cli.hash_progress import HashProgress
from picochat.core.clock import ManualClock
from picochat.judgement.verify import verify_run


def test_a_line_each_second_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"x" * 1024)
    clock = ManualClock()
    progress = HashProgress(tmp_path, False, clock)
    progress.add(1024)
    assert capsys.readouterr().err == ""
    clock.now = 2.0
    progress.add(1024)
    progress.add(1024)
    found = capsys.readouterr()
    assert found.out == "" and found.err.count("\n") == 1 and "hashed 2 files, 2.0 KiB of 3.0 KiB" in found.err


def test_quiet_is_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    clock = ManualClock()
    progress = HashProgress(tmp_path / "nowhere", True, clock)
    clock.now = 5.0
    progress.add(1)
    assert capsys.readouterr().err == ""


def test_verify_tells_of_every_file_that_it_hashes(tmp_path: Path):
    GreenRun(tmp_path / "run").build(n=4)
    told: list[int] = []
    verify_run(RunStore(tmp_path / "run"), watch=told.append)
    sizes = {path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert len(told) > 20 and set(told) <= sizes
