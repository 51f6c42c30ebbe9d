"""Children that answer in the playground: started once, at most two, ended when idle and with the server."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from picochat.artifacts.store import RunStore
from picochat.core.clock import ManualClock
from picochat.views.runs.run_state import process_start
from picochat.workbench.commands.speakers import IDLE_S, Speaker, Speakers
from picochat.workbench.problems import Problem

FAKE = Path(__file__).parents[2] / "support" / "fake_serve.py"
TEXT = "/v1/completions"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def speakers(clock: ManualClock) -> Iterator[Speakers]:
    made = Speakers(clock, (sys.executable, str(FAKE)))
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "run")


def frames(lines: Iterator[bytes]) -> list[Any]:
    """The documents of a stream, without the mark of its end."""
    data = b"".join(lines).decode()
    return [json.loads(part[6:]) for part in data.split("\n\n") if part.startswith("data: {")]


def child(speakers: Speakers, checkpoint: str) -> Speaker:
    return next(s for s in speakers._speakers.values() if s.key[1] == checkpoint)


def test_a_model_is_loaded_once_and_answers_with_its_own_name(speakers: Speakers, store: RunStore):
    first = frames(speakers.ask(store, "sft/checkpoint", TEXT, {"prompt": "x"}))
    pid = child(speakers, "sft/checkpoint").popen.pid
    second = frames(speakers.ask(store, "sft/checkpoint", TEXT, {"prompt": "y"}))
    assert {"state": "answering", "model": "fake-model"} in first
    assert second[-1]["asked"] == {"prompt": "y", "model": "fake-model"} and second[-1]["path"] == TEXT
    assert second[-1]["checkpoint"] == str(store.root.absolute() / "sft/checkpoint")
    assert child(speakers, "sft/checkpoint").popen.pid == pid
    found = {"run": "run", "checkpoint": "sft/checkpoint", "state": "ready", "busy": 0}
    assert speakers.describe() == [found]


def test_a_third_model_takes_the_place_of_the_one_that_was_idle_for_longest(
    speakers: Speakers, store: RunStore, clock: ManualClock
):
    for checkpoint in ("base/checkpoint", "sft/checkpoint"):
        clock.now += 1
        frames(speakers.ask(store, checkpoint, TEXT, {}))
    oldest = child(speakers, "base/checkpoint").popen
    frames(speakers.ask(store, "base/kept/step-00000010", TEXT, {}))
    assert oldest.poll() is not None
    assert {s["checkpoint"] for s in speakers.describe()} == {"sft/checkpoint", "base/kept/step-00000010"}


def test_two_models_that_answer_are_not_disturbed_by_a_third(speakers: Speakers, store: RunStore):
    running = [speakers.ask(store, name, TEXT, {"prompt": "wait"}) for name in ("base/checkpoint", "sft/checkpoint")]
    for stream in running:
        while b"choices" not in next(stream):
            pass
    with pytest.raises(Problem) as caught:
        frames(speakers.ask(store, "base/kept/step-00000010", TEXT, {}))
    assert caught.value.status == 429
    for stream in running:
        stream.close()  # type: ignore[attr-defined]
    assert [s["busy"] for s in speakers.describe()] == [0, 0]


def test_a_model_that_cannot_start_says_why_and_is_tried_again(speakers: Speakers, store: RunStore):
    for _ in range(2):
        with pytest.raises(Problem, match="the weights are not there"):
            frames(speakers.ask(store, "sft/best", TEXT, {}))


def test_a_refusal_and_a_death_end_the_stream_with_words(speakers: Speakers, store: RunStore):
    assert frames(speakers.ask(store, "sft/checkpoint", TEXT, {"prompt": "refuse"}))[-1] == {
        "error": "prompt is refused"
    }
    died = frames(speakers.ask(store, "sft/checkpoint", TEXT, {"prompt": "die"}))
    assert "asked" not in died[-1]
    child(speakers, "sft/checkpoint").popen.wait(10)
    again = frames(speakers.ask(store, "sft/checkpoint", TEXT, {"prompt": "x"}))
    assert again[-1]["asked"]["prompt"] == "x"


def test_who_is_idle_ends_and_all_end_with_the_server(speakers: Speakers, store: RunStore, clock: ManualClock):
    frames(speakers.ask(store, "sft/checkpoint", TEXT, {}))
    idle = child(speakers, "sft/checkpoint").popen
    clock.now += IDLE_S + 1
    speakers.end_idle()
    assert idle.poll() is not None and speakers.describe() == []
    frames(speakers.ask(store, "base/checkpoint", TEXT, {}))
    last = child(speakers, "base/checkpoint").popen
    speakers.close()
    assert process_start(last.pid) is None
    with pytest.raises(Problem):
        frames(speakers.ask(store, "base/checkpoint", TEXT, {}))


def test_the_key_lies_on_no_disk_once_the_model_is_ready(speakers: Speakers, store: RunStore):
    frames(speakers.ask(store, "sft/checkpoint", TEXT, {}))
    argv = Path(f"/proc/{child(speakers, 'sft/checkpoint').popen.pid}/cmdline").read_bytes().split(b"\0")
    file = Path(argv[argv.index(b"--api-key-file") + 1].decode())
    assert child(speakers, "sft/checkpoint").secret.encode() not in b" ".join(argv)
    until = time.monotonic() + 5
    while file.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert not file.exists() and not file.parent.exists()
