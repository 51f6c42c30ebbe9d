"""The provider over ssh, with another program in its place: what is sent, in which order, what each answer means."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.launch_plans import plan_json, sound_plan

from picochat.core.errors import PicochatError
from picochat.core.subprocesses import Finished
from picochat.pipeline.launch.ssh import SshProvider

SECRET = "hf_" + "b2" * 15


class FakeSide:
    """Answers each call by the first rule whose word stands in it; remembers all calls."""

    def __init__(self, **answers: Finished) -> None:
        self.answers, self.calls = answers, []

    def __call__(self, argv: list[str], data: bytes, *, timeout_s: float) -> Finished:
        assert isinstance(argv, list) and timeout_s > 0
        self.calls.append((argv, data))
        text = " ".join(argv)
        return next((answer for word, answer in self.answers.items() if word in text), Finished(0, b"", ""))


def provider(tmp_path: Path, side: FakeSide) -> SshProvider:
    return SshProvider(tmp_path, side)


def refused(act: Any) -> PicochatError:
    with pytest.raises(PicochatError) as caught:
        act()
    assert caught.value.code == "launch.provider" and caught.value.exit_code == 5
    return caught.value


def test_files_are_copied_and_hashed_there_before_anything_starts(tmp_path: Path):
    side = FakeSide()
    started = provider(tmp_path, side).start(sound_plan())
    kinds = [
        next(word for word in ("mkdir", "rsync", "sha256sum", "setsid") if word in " ".join(argv))
        for argv, _ in side.calls
    ]
    assert kinds == ["mkdir", "rsync", "sha256sum", "setsid"]
    assert side.calls[2][1].decode() == "".join(f"{file['sha256']}  {file['path']}\n" for file in plan_json()["files"])
    assert started.id == "ssh:user@gpu-1:letters-1b"


@pytest.mark.parametrize("word", ["mkdir", "rsync", "sha256sum", "setsid"])
def test_whatever_fails_ends_the_start(tmp_path: Path, word: str):
    side = FakeSide(**{word: Finished(1, b"", f"no {SECRET}")})
    error = refused(lambda: provider(tmp_path, side).start(sound_plan()))
    assert SECRET not in error.detail and word in " ".join(side.calls[-1][0])


def test_a_client_that_hangs_is_an_error(tmp_path: Path):
    side = FakeSide(mkdir=Finished(None, b"", "not done after 60 s"))
    assert "not done" in refused(lambda: provider(tmp_path, side).start(sound_plan())).detail


def test_the_status_there_is_read_as_json(tmp_path: Path):
    side = FakeSide(status=Finished(0, b'{"state": "running", "step": 3}', ""))
    assert provider(tmp_path, side).status(sound_plan()) == {"state": "running", "step": 3}


@pytest.mark.parametrize("answer", [b"", b"not json", b'{"a": NaN}'])
def test_a_status_that_is_no_json_is_refused(tmp_path: Path, answer: bytes):
    refused(lambda: provider(tmp_path, FakeSide(status=Finished(0, answer, ""))).status(sound_plan()))


def test_free_disk_is_the_last_number_that_is_said(tmp_path: Path):
    side = FakeSide(df=Finished(0, b"      Avail\n 123456\n", ""))
    assert provider(tmp_path, side).free_bytes(sound_plan()) == 123456


def test_free_disk_that_is_not_said_is_refused(tmp_path: Path):
    refused(lambda: provider(tmp_path, FakeSide(df=Finished(0, b"-\n", ""))).free_bytes(sound_plan()))


def test_what_came_back_is_verified_before_it_is_shown(tmp_path: Path):
    into = tmp_path / "back" / "run"
    error = refused(lambda: provider(tmp_path, FakeSide()).fetch(sound_plan(), into))
    assert "does not verify" in error.detail and not into.exists()


def test_a_folder_that_exists_is_not_written_over(tmp_path: Path):
    refused(lambda: provider(tmp_path, FakeSide()).fetch(sound_plan(), tmp_path))
