"""Commands of the workbench: recorded before they begin, known after a restart, ended only if they are the same."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.views.runs.run_state import process_start
from picochat.workbench.commands import processes as module
from picochat.workbench.commands import supervise
from picochat.workbench.commands.processes import (
    LONGEST_LINE_BYTES,
    MOST_AT_ONCE,
    MOST_OUTPUT_BYTES,
    Process,
    Processes,
    plain_value,
)

ROOT = Path(__file__).parents[3]
SECRET = "hf_" + "a1" * 15
KEY = "-----BEGIN PRIVATE KEY-----\n" + "QUJD" * 16 + "\n" + "REVG" * 16 + "\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes every started command a piece of Python."""

    def set_program(code: str) -> None:
        monkeypatch.setattr(module, "SUPERVISOR", "tests.support.stand_in_supervisor")
        monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}{os.pathsep}{ROOT}")
        monkeypatch.setenv("STAND_IN", code)

    return set_program


def wait_for(processes: Processes, name: str, done: Callable[[Process], bool]) -> Process:
    deadline = time.monotonic() + 20
    while not done(found := processes.read(name)):
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found


def said(processes: Processes, name: str, text: str) -> None:
    wait_for(processes, name, lambda _: text in processes.output(name).text)


def record(runs: Path, name: str = "20260101000000000-aa", **fields: object) -> Path:
    """A command as an earlier server left it."""
    folder = runs / layout.DESK / layout.DESK_PROCESSES / name
    folder.mkdir(parents=True)
    body = {"title": "Gate", "run": "demo-1", "argv": ["gate", "demo-1"], "started_at": "2026-01-01T00:00:00.000Z"}
    (folder / layout.PROCESS).write_text(json.dumps(body | fields))
    return folder


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(PicochatError) as caught:
        act()
    return caught.value.code


def test_a_command_of_picochat_runs_on_the_same_runs_and_leaves_its_exit_code(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("PICOCHAT_RUNS", str(tmp_path / "elsewhere"))
    processes = Processes(tmp_path)
    started = processes.start(["gate", "no-such-run"], run="no-such-run", title="Judge")
    ended = wait_for(Processes(tmp_path), started.id, lambda p: p.state != "running")
    assert (ended.state, ended.exit_code, ended.signal, ended.title) == ("finished", 2, None, "Judge")
    assert "no-such-run is no run" in processes.output(started.id).text
    assert ended.duration_s is not None and ended.ended_at is not None
    assert ended.to_json()["command"] == "picochat gate no-such-run"


def test_it_survives_its_server_and_is_asked_to_end(tmp_path: Path, stand_in):
    stand_in("import time,sys; print('begun', flush=True); time.sleep(60)")
    started = Processes(tmp_path).start(["run", "tiny"], run=None, title="Run")
    again = Processes(tmp_path)
    said(again, started.id, "begun")
    assert started.pid is not None and os.getsid(started.pid) == started.pid != os.getsid(0)
    assert again.cancel(started.id).state == "running"
    ended = wait_for(again, started.id, lambda p: p.state != "running")
    assert (ended.state, ended.exit_code, ended.signal) == ("finished", None, int(signal.SIGTERM))
    assert refused(lambda: again.cancel(started.id)) == "process.ended"


def test_a_cancel_in_the_first_instant_keeps_the_command_from_beginning(tmp_path: Path, stand_in):
    stand_in("import time; time.sleep(60)")
    processes = Processes(tmp_path)
    started = processes.start(["run"], run=None, title="")
    processes.cancel(started.id)
    ended = wait_for(processes, started.id, lambda p: p.state != "running")
    assert (ended.state, ended.signal) == ("finished", int(signal.SIGTERM))


def test_one_cancel_is_one_signal_to_the_command_and_to_what_it_started(tmp_path: Path, stand_in):
    """Two would end a run at once, without its checkpoint."""
    child = "import signal,sys; signal.signal(15, lambda *_: sys.exit(0)); print('child', flush=True); signal.pause()"
    stand_in(
        "import signal,subprocess,sys,time; got = []; signal.signal(15, lambda *_: got.append(1));"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}]);"
        "code = child.wait(); time.sleep(0.1); print('got', len(got), code, flush=True); sys.exit(75)"
    )
    processes = Processes(tmp_path)
    started = processes.start(["run"], run=None, title="")
    said(processes, started.id, "child")
    processes.cancel(started.id)
    ended = wait_for(processes, started.id, lambda p: p.state != "running")
    assert ended.exit_code == 75 and "got 1 0" in processes.output(started.id).text


def test_a_command_whose_supervisor_was_killed_is_lost(tmp_path: Path, stand_in):
    stand_in("import time; print('begun', flush=True); time.sleep(60)")
    processes = Processes(tmp_path)
    started = processes.start(["run"], run=None, title="")
    said(processes, started.id, "begun")
    assert started.pid is not None
    child = int(Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text())
    for pid in (started.pid, child):
        os.kill(pid, signal.SIGKILL)
    ended = wait_for(processes, started.id, lambda p: p.state != "running")
    assert (ended.state, ended.exit_code) == ("lost", None)


def test_nothing_begins_without_a_record(tmp_path: Path, stand_in, monkeypatch):
    proof = tmp_path / "begun"
    stand_in(f"open({str(proof)!r}, 'w').close()")

    def full(path: Path, obj: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(module.fs, "write_json", full)
    before = set(os.listdir("/proc"))
    with pytest.raises(OSError, match="no space"):
        Processes(tmp_path).start(["run"], run=None, title="")
    new = [int(pid) for pid in set(os.listdir("/proc")) - before if pid.isdigit()]
    deadline = time.monotonic() + 10
    while any(process_start(pid) is not None and os.path.exists(f"/proc/{pid}") and _is_ours(pid) for pid in new):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not proof.exists()


def _is_ours(pid: int) -> bool:
    try:
        return b"stand_in_supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_only_so_many_run_at_once(tmp_path: Path):
    here = process_start(os.getpid())
    for number in range(MOST_AT_ONCE):
        record(tmp_path, f"2026010100000000{number}-aa", pid=os.getpid(), process_started=here)
    assert refused(lambda: Processes(tmp_path).start(["gate"], run=None, title="")) == "process.busy"


def test_a_number_that_belongs_to_another_process_now_is_neither_alive_nor_signalled(tmp_path: Path):
    record(tmp_path, pid=os.getpid(), process_started=(process_start(os.getpid()) or 0) + 1)
    processes = Processes(tmp_path)
    found = processes.list()[0]
    assert found.state == "lost"
    assert refused(lambda: processes.cancel(found.id)) == "process.ended"


@pytest.mark.parametrize("words", [[], ["--help"], ["/bin/sh"], ["gate", "a\0b"], ["Gate"], ["gate;id"]])
def test_words_that_are_no_command_start_nothing(tmp_path: Path, words: list[str]):
    assert refused(lambda: Processes(tmp_path).start(words, run=None, title="")) == "process.value"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["", "-x", "--force", "a\nb", "a\0b", "a\u202eb"])
def test_a_value_that_could_be_an_option_is_refused(value: str):
    assert refused(lambda: plain_value(value, "run")) == "process.value"


def test_a_plain_value_stays_as_it_is():
    assert plain_value("demo-1 $(id)", "run") == "demo-1 $(id)"


def test_what_is_torn_or_hostile_is_a_state(tmp_path: Path):
    folder = record(tmp_path, "20260101000000001-aa")
    (folder / layout.PROCESS).write_text('{"argv": ["ga')
    record(tmp_path, "20260101000000002-aa", argv="gate")
    record(tmp_path, "20260101000000003-aa", pid="x")
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder.parent / "20260101000000004-aa").symlink_to(outside)
    processes = Processes(tmp_path)
    assert [(p.id[:17], p.state) for p in processes.list()] == [
        ("20260101000000003", "lost"),
        ("20260101000000002", "unreadable"),
        ("20260101000000001", "unreadable"),
    ]
    for name in ("20260101000000004-aa", "nothing", "../x", ".", ".."):
        assert refused(lambda name=name: processes.read(name)) == "artifact.missing"
    os.mkfifo(folder / layout.PROCESS_OUTPUT)
    assert processes.output(folder.name).text == ""


def test_the_list_of_one_run_has_its_commands_alone(tmp_path: Path):
    record(tmp_path, "20260101000000001-aa")
    record(tmp_path, "20260101000000002-aa", run="other")
    assert [p.run for p in Processes(tmp_path).list("demo-1")] == ["demo-1"]
    assert Processes(tmp_path / "nowhere").list() == []


def finished(runs: Path, data: bytes, code: int | None = 0) -> tuple[Processes, str]:
    here = {"pid": os.getpid(), "process_started": process_start(os.getpid())} if code is None else {}
    folder = record(runs, **here)
    (folder / layout.PROCESS_OUTPUT).write_bytes(data)
    if code is not None:
        (folder / layout.PROCESS_EXIT).write_text(json.dumps({"code": code, "ended_at": "t", "duration_s": 1.0}))
    return Processes(runs), folder.name


def test_output_is_plain_text_without_secrets(tmp_path: Path):
    data = f"\x1b[31mred\x1b[0m \x1b]0;title\x07{SECRET}\r\nright\u202eleft\x9b1m\nlast".encode()
    processes, name = finished(tmp_path, data, 3)
    output = processes.output(name)
    assert output.text == "red [redacted]\nrightleft\nlast"
    assert (output.next_offset, output.total_bytes, output.state, output.exit_code) == (
        len(data),
        len(data),
        "finished",
        3,
    )


def test_output_goes_on_where_it_ended(tmp_path: Path):
    lines = b"".join(b"line %07d\n" % number for number in range(200_000))
    processes, name = finished(tmp_path, lines)
    pieces, offset = [], 0
    while offset < len(lines):
        piece = processes.output(name, offset)
        assert 0 < piece.next_offset - offset <= MOST_OUTPUT_BYTES
        pieces.append(piece.text)
        offset = piece.next_offset
    assert "".join(pieces).encode() == lines and len(pieces) == 3
    assert processes.output(name, len(lines) + 5).text == ""


@pytest.mark.parametrize("cut", range(3, len(KEY) + 20, 7))
def test_a_secret_that_is_still_being_written_is_never_shown_in_part(tmp_path: Path, cut: int):
    whole = f"one\n{KEY}{SECRET} end\n".encode()
    processes, name = finished(tmp_path, whole[:cut], None)
    first = processes.output(name)
    path = tmp_path / layout.DESK / layout.DESK_PROCESSES / name / layout.PROCESS_OUTPUT
    path.write_bytes(whole)
    text = first.text + processes.output(name, first.next_offset).text
    assert text == "one\n[redacted]\n[redacted] end\n"


def test_a_line_without_an_end_is_shown_at_last(tmp_path: Path):
    processes, name = finished(tmp_path, b"x" * LONGEST_LINE_BYTES, None)
    assert processes.output(name).text == "x" * LONGEST_LINE_BYTES


def test_the_supervisor_says_when_the_program_cannot_be_started(tmp_path: Path, monkeypatch):
    folder = record(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    before = [signal.getsignal(number) for number in supervise.PASSED_ON]
    with (tmp_path / "go").open("w+") as go:
        monkeypatch.setattr(sys, "stdin", go)
        assert supervise.main([str(folder)]) == 1
        assert not (folder / layout.PROCESS_EXIT).exists()
        go.write("\n")
        go.seek(0)
        try:
            assert supervise.main([str(folder)]) == 0
        finally:
            for number, handler in zip(supervise.PASSED_ON, before, strict=True):
                signal.signal(number, handler)
    found = Processes(tmp_path).output(folder.name)
    assert found.exit_code == 127 and "could not be started" in found.text
