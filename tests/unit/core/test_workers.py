"""Results come in the order of the jobs, refusals travel, dead workers are named, and nothing outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from picochat.core.errors import PicochatError, refuse
from picochat.core.workers import map_in_order


def add(amount: int, job: int) -> tuple[int, int]:
    """Later jobs are quicker, so that they would overtake."""
    time.sleep(0.002 * (10 - job % 10))
    return job + amount, os.getpid()


def build_add(amount: int) -> Callable[[int], tuple[int, int]]:
    return partial(add, amount)


def build_broken() -> Callable[[int], int]:
    refuse("usage.path", "nothing is there", fix="put something there")


def refuse_seven(job: int) -> int:
    if job == 7:
        refuse("source.empty", "job 7 has nothing", fix="give it something")
    return job


def build_refuse_seven() -> Callable[[int], int]:
    return refuse_seven


def die_at_three(job: int) -> int:
    if job == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return job


def build_die_at_three() -> Callable[[int], int]:
    return die_at_three


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_order_whoever_made_them(processes: int):
    found = list(map_in_order(partial(build_add, 100), range(30), processes=processes))
    assert [value for value, _ in found] == list(range(100, 130))
    makers = {pid for _, pid in found}
    assert (makers == {os.getpid()}) if processes == 1 else (os.getpid() not in makers)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_refusal_of_a_job_is_that_of_the_whole(processes: int):
    found = []
    with pytest.raises(PicochatError) as caught:
        for value in map_in_order(build_refuse_seven, range(20), processes=processes):
            found.append(value)
    assert found == list(range(7))
    assert (caught.value.code, caught.value.detail, caught.value.fix) == (
        "source.empty",
        "job 7 has nothing",
        "give it something",
    )


@pytest.mark.parametrize("processes", [1, 2])
def test_a_worker_that_cannot_begin_says_why(processes: int):
    with pytest.raises(PicochatError) as caught:
        list(map_in_order(build_broken, range(3), processes=processes))
    assert (caught.value.code, caught.value.fix) == ("usage.path", "put something there")


def test_a_worker_that_is_killed_is_named():
    with pytest.raises(PicochatError) as caught:
        list(map_in_order(build_die_at_three, range(20), processes=2))
    assert (caught.value.code, caught.value.exit_code) == ("workers.lost", 5)


def test_jobs_are_read_as_they_are_needed():
    read = []

    def jobs() -> Iterator[int]:
        for number in range(1000):
            read.append(number)
            yield number

    results = map_in_order(partial(build_add, 0), jobs(), processes=2)
    for _ in range(5):
        next(results)
    assert len(read) < 20
    results.close()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_stop_ends_between_two_results(processes: int):
    found: list[int] = []
    with pytest.raises(PicochatError) as caught:
        for value, _ in map_in_order(
            partial(build_add, 0),
            range(1000),
            processes=processes,
            stop_reason=lambda: "asked for" if len(found) == 3 else "",
        ):
            found.append(value)
    assert (caught.value.code, caught.value.exit_code, found) == ("run.stopped", 75, [0, 1, 2])


def sleep_for_ever(job: int) -> int:
    time.sleep(0 if job == 0 else 600)
    return job


def build_sleep() -> Callable[[int], int]:
    return sleep_for_ever


def test_a_stop_does_not_wait_for_pieces_that_are_being_worked_on():
    started = time.monotonic()
    with pytest.raises(PicochatError) as caught:
        list(map_in_order(build_sleep, range(9), processes=2, stop_reason=lambda: "asked for"))
    assert caught.value.code == "run.stopped" and time.monotonic() - started < 20


PROGRAM = """
import os, sys, time
from picochat.core.workers import map_in_order

def work(job):
    os.write(1, b"%d\\n" % os.getpid())  # in one piece: the other worker writes too
    time.sleep(60)

def build():
    return work

if __name__ == "__main__":
    list(map_in_order(build, range(10), processes=2))
"""


def test_workers_end_with_the_process_that_started_them(tmp_path: Path):
    """The parent is killed while both work: neither may live on."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    source = Path(__file__).parents[3] / "src"
    parent = subprocess.Popen(
        [sys.executable, str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the resource tracker of the killed process complains
        text=True,
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    assert parent.stdout
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(is_running(pid) for pid in workers):
        time.sleep(0.05)
    assert not [pid for pid in workers if is_running(pid)]
    parent.stdout.close()


LATE = """
import os
import pathlib
import sys
import time
from picochat.core.workers import map_in_order

if __name__ == "__mp_main__":
    os.write(1, b"begins\\n")
    time.sleep(1)  # as long as large imports take

def work(job):
    pathlib.Path(sys.argv[1], str(job)).touch()
    return job

def build():
    return work

if __name__ == "__main__":
    list(map_in_order(build, range(10), processes=2))
"""


def test_workers_whose_parent_dies_before_they_begin_do_nothing(tmp_path: Path):
    program, done = tmp_path / "program.py", tmp_path / "done"
    program.write_text(LATE)
    done.mkdir()
    source = Path(__file__).parents[3] / "src"
    parent = subprocess.Popen(
        [sys.executable, str(program), str(done)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    assert parent.stdout
    assert parent.stdout.readline() == "begins\n"
    workers = children_of(parent.pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(is_running(pid) for pid in workers):
        time.sleep(0.05)
    assert workers and not [pid for pid in workers if is_running(pid)]
    assert list(done.iterdir()) == []
    parent.stdout.close()


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
