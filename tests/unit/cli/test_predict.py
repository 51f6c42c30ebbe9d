"""picochat predict: what it refuses before any work, and a stop that is not lost between two rungs."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from picochat.artifacts import layout
from picochat.artifacts.store import RunLock
from picochat.cli.app import cli
from picochat.cli.commands import predict
from picochat.core.errors import PicochatError, refuse


def refusal(*words: object) -> PicochatError:
    with pytest.raises(PicochatError) as caught:
        CliRunner().invoke(cli, ["predict", *map(str, words)], catch_exceptions=False)
    return caught.value


@pytest.fixture
def no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is not looked at, and with it torch is not loaded."""
    monkeypatch.setattr(predict, "require_machine", lambda config: None)


def test_what_cannot_be_laid_is_refused_before_any_work(tmp_path: Path, no_machine: None):
    out = tmp_path / "ladder"
    for words, code in (
        (["--corpus", "a"], "config.conflict"),
        (["--corpus", tmp_path / "no", "--tokenizer", tmp_path / "no"], "usage.path"),
        (["--set", "ladder.size=4"], "config.key"),
        (["--set", "ladder.sizes=3"], "config.value"),
        (["--set", "base.loop.token=4"], "config.key"),
    ):
        assert refusal("ladder", "tiny", "--out-dir", out, *words).code == code
    assert refusal("ladder", "tyni", "--out-dir", out).code == "config.value"
    assert not out.exists()
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    assert refusal("ladder", "tiny", "--out-dir", out).code == "run.not_empty"


def test_two_at_once_are_one_too_many(tmp_path: Path, no_machine: None):
    (tmp_path / "ladder").mkdir()
    with RunLock(tmp_path / "ladder"):
        assert refusal("ladder", "tiny", "--out-dir", tmp_path / "ladder", "--resume").code == "run.busy"


def test_a_stop_that_comes_while_one_part_ends_stops_the_next(
    tmp_path: Path, no_machine: None, monkeypatch: pytest.MonkeyPatch
):
    asked: list[tuple[str, ...]] = []

    def run_stages(store: Any, config: Any, factory: Any, names: tuple[str, ...], resume: bool) -> None:
        if factory.stop.requested:
            refuse("run.stopped", f"stopped: {factory.stop.reason}")
        asked.append(names)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(predict, "run_stages", run_stages)
    stopped = refusal("ladder", "tiny", "--out-dir", tmp_path / "ladder", "--quiet")
    assert (stopped.code, stopped.exit_code) == ("run.stopped", 75) and "SIGTERM" in stopped.detail
    assert asked == [("dataset", "tokenizer")]
    assert not (tmp_path / "ladder" / layout.LADDER).exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--target", "tiny"], "artifact.missing"),
        (["--target", "1e9,22e9"], "artifact.missing"),
        (["--target", "tyni"], "config.value"),
        (["--target", "1e9,"], "prediction.target"),
        (["--target", "1e9,22e9", "--out-dir", "run"], "prediction.target"),
    ],
)
def test_a_prediction_without_a_ladder_or_a_target_is_refused(tmp_path: Path, words: list[str], code: str):
    assert refusal("fit", tmp_path, *words).code == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"3", b'{"schema": 1}', b"\xff\xfe", b"{}" * 9])
def test_a_ladder_file_of_anything_else_is_refused(tmp_path: Path, data: bytes):
    (tmp_path / layout.LADDER).write_bytes(data)
    assert refusal("fit", tmp_path, "--target", "1e6,1e6").exit_code == 4
