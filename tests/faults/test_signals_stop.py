"""C3: whoever asks a training to stop gets a checkpoint of the interrupted step, and nothing is lost.

SIGTERM, SIGINT or `picochat stop` at any moment: exit code 75, a checkpoint of the very step that was reached, and a
resume that ends where an undisturbed run ends, to the bit. A second signal ends at once and harms no checkpoint. What
`picochat status` says about a process that was killed or stands still is true.

One process without loader workers. Several processes are not built yet, so not claimed.
"""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.base_run import (
    Prepared,
    base_settings,
    differences,
    prepare,
    saved_step,
    start_training,
    train,
)
from tests.support.tiny_run import picochat

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.checkpoint.reader import load_checkpoint
from picochat.core.events import iter_events
from picochat.training.ledger import spliced
from picochat.views.runs.run_state import STALLED_AFTER_S, read_run_state

pytestmark = pytest.mark.bar("C3")
STEPS, LATEST_S, SEED = 240, 1.2, 20
RESUMABLE, INTERRUPTED = 75, 130
SIGNALS = (signal.SIGTERM, signal.SIGTERM, signal.SIGTERM, signal.SIGINT)
"""In turns: mostly what a scheduler sends, sometimes what Ctrl-C sends."""
SETTINGS = base_settings(STEPS, save_every=50)


PLACES = {
    "in the middle of a save": ("ckpt.after_manifest:sigstop@2", {50, 100}),
    "in the middle of a step": ("step.after_backward:sigstop@83", {50}),
}
"""Where the second signal comes, and the steps of the checkpoints that may stand then."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    full = metafunc.config.getoption("--full")
    if "place" in metafunc.fixturenames:
        metafunc.parametrize("place", list(PLACES) if full else list(PLACES)[:1])
    if "instant_s" in metafunc.fixturenames:
        rng = random.Random(SEED)
        instants = [rng.uniform(0, LATEST_S) for _ in range(20)]
        chosen = instants if full else instants[2:4]
        drawn = [(instant, SIGNALS[instants.index(instant) % len(SIGNALS)]) for instant in chosen]
        metafunc.parametrize(("instant_s", "number"), drawn, ids=lambda value: f"{value:.3f}")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> RunStore:
    root = tmp_path_factory.mktemp("undisturbed") / "run"
    done = train(prepared, root, SETTINGS)
    assert done.returncode == 0, done.stderr
    return RunStore(root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "run"


def last_line(root: Path) -> int:
    return spliced(root / layout.BASE / layout.LEDGER)[-1]["step"]


def wait_for_training(process: subprocess.Popen[str], root: Path) -> None:
    """Until the first step stands in the ledger."""
    ledger = root / layout.BASE / layout.LEDGER
    deadline = time.monotonic() + 60
    while not (ledger.exists() and ledger.stat().st_size):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


def stopped_at(process: subprocess.Popen[str]) -> None:
    """Until the process has stopped itself at its failpoint."""
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


def assert_stopped_orderly(process: subprocess.Popen[str], root: Path) -> int:
    """Exit code 75 and a checkpoint of the last step of the ledger, which is returned."""
    _, errors = process.communicate(timeout=120)
    assert process.returncode == RESUMABLE, errors
    assert "Traceback" not in errors and "--resume" in errors
    store = RunStore(root)
    saved = [event["step"] for event in iter_events(store.path(layout.EVENTS)) if event["kind"] == "checkpoint_saved"]
    assert saved[-1] == saved_step(root) == last_line(root)
    assert store.read(layout.STATUS)["state"] == "stopped"
    return saved[-1]


def assert_goes_on_exactly(prepared: Prepared, root: Path, undisturbed: RunStore) -> None:
    done = train(prepared, root, SETTINGS, resume=True)
    assert done.returncode == 0, done.stderr
    assert differences(RunStore(root), undisturbed) == []
    resumed = [event for event in iter_events(root / layout.EVENTS) if event["kind"] == "resumed"]
    assert [event["exact"] for event in resumed] == [True]
    assert not list(root.rglob(".tmp-*")) and not list(root.rglob(".trash-*"))


def test_a_signal_at_any_moment_saves_the_interrupted_step(
    instant_s: float, number: signal.Signals, prepared: Prepared, root: Path, undisturbed: RunStore, measured: Callable
):
    process = start_training(prepared, root, SETTINGS)
    wait_for_training(process, root)
    time.sleep(instant_s)
    process.send_signal(number)
    step = assert_stopped_orderly(process, root)
    assert 1 <= step < STEPS
    assert_goes_on_exactly(prepared, root, undisturbed)
    measured(f"{number.name} {step}")


def test_a_second_signal_ends_at_once_and_the_last_checkpoint_is_whole(
    place: str, prepared: Prepared, root: Path, undisturbed: RunStore, measured: Callable
):
    failpoint, allowed = PLACES[place]
    process = start_training(prepared, root, SETTINGS, failpoint=failpoint)
    stopped_at(process)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
        process.send_signal(number)
    started = time.monotonic()
    _, errors = process.communicate(timeout=60)
    seconds = time.monotonic() - started
    assert process.returncode == INTERRUPTED, errors
    assert "Traceback" not in errors and "--resume" in errors
    assert seconds < 10
    found = load_checkpoint(root / layout.BASE / layout.CHECKPOINT)
    assert found.manifest.step in allowed
    assert_goes_on_exactly(prepared, root, undisturbed)
    measured(f"second signal {place}: ended in {seconds:.1f} s, checkpoint whole")


def test_picochat_stop_does_the_same_through_a_file(
    prepared: Prepared, root: Path, undisturbed: RunStore, measured: Callable
):
    """The process is paused for longer than a beat, so that the request is read as soon as it goes on."""
    process = start_training(prepared, root, SETTINGS, failpoint="step.after_backward:sigstop@33")
    stopped_at(process)
    asked = picochat("stop", root)
    assert asked.returncode == 0, asked.stderr
    time.sleep(2.5)
    process.send_signal(signal.SIGCONT)
    step = assert_stopped_orderly(process, root)
    assert 33 <= step < STEPS
    acknowledged = [event for event in iter_events(root / layout.EVENTS) if event["kind"] == "control_ack"]
    assert [event["request"] for event in acknowledged] == ["stop"]
    assert_goes_on_exactly(prepared, root, undisturbed)
    measured(f"picochat stop: saved step {step}")


def state_of(root: Path) -> str:
    shown = picochat("status", root, "--json")
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)["state"]


def test_status_tells_running_stalled_and_crashed_apart(
    prepared: Prepared, root: Path, measured: Callable, pytestconfig: pytest.Config
):
    """Short: the reader's clock is moved. Full: the process really stands still for as long as it takes."""
    process = start_training(prepared, root, SETTINGS, failpoint="step.after_backward:sigstop@33")
    stopped_at(process)
    assert state_of(root) == "running", "one late beat is no stall"
    if pytestconfig.getoption("--full"):
        time.sleep(STALLED_AFTER_S + 0.5)
        assert state_of(root) == "stalled"
        assert picochat("stop", root).returncode == 0, "it is obeyed if the process goes on"
    else:
        late = time.monotonic() + STALLED_AFTER_S
        assert read_run_state(root, monotonic=lambda: late).state == "stalled"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert RunStore(root).read(layout.STATUS)["state"] == "running", "what the file still says"
    assert state_of(root) == "crashed"
    refused = picochat("stop", root)
    assert refused.returncode == 2 and "crashed" in refused.stderr
    measured("status: running, stalled, crashed")
