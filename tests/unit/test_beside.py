"""Tests beside each other: who is alone is alone, and what several processes tell is one table."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.support.bars import FAILED, NOT_RUN, PASSED, Part, hear, tell, verdict
from tests.support.beside import room

ROOT = Path(__file__).parents[2]
LIMIT_S = 10.0


class Visitor:
    """Somebody who goes into the room and stays until he is told to leave."""

    def __init__(self, folder: Path, *, alone: bool) -> None:
        self.inside, self._leave = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._visit, args=(folder, alone), daemon=True)
        self._thread.start()

    def _visit(self, folder: Path, alone: bool) -> None:
        with room(folder, alone=alone):
            self.inside.set()
            assert self._leave.wait(LIMIT_S)

    def came_in(self, within_s: float = LIMIT_S) -> bool:
        return self.inside.wait(within_s)

    def leave(self) -> None:
        self._leave.set()
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()


def test_ordinary_tests_run_beside_each_other(tmp_path):
    first, second = Visitor(tmp_path, alone=False), Visitor(tmp_path, alone=False)
    assert first.came_in() and second.came_in()
    first.leave(), second.leave()


def test_who_is_alone_waits_for_all_and_is_overtaken_by_nobody(tmp_path):
    ordinary = Visitor(tmp_path, alone=False)
    assert ordinary.came_in()
    alone = Visitor(tmp_path, alone=True)
    assert not alone.came_in(within_s=0.1)
    late = Visitor(tmp_path, alone=False)
    assert not late.came_in(within_s=0.1), "whoever waits is before those who come later"
    ordinary.leave()
    assert alone.came_in() and not late.came_in(within_s=0.1)
    alone.leave()
    assert late.came_in()
    late.leave()


def test_a_room_is_left_even_by_a_test_that_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), room(tmp_path, alone=True):
        raise ZeroDivisionError
    after = Visitor(tmp_path, alone=True)
    assert after.came_in()
    after.leave()


def test_what_several_processes_tell_is_what_one_would_know():
    """Each knows all tests and has run some; one has died and told nothing."""
    first = {"A1": {"one": Part(PASSED, "", ["3 of 3"]), "two": Part(), "left out": Part(reason="deselected")}}
    second = {
        "A1": {"one": Part(), "two": Part(FAILED, ""), "left out": Part(reason="deselected")},
        "A2": {"x": Part()},
    }
    heard: dict[str, dict[str, Part]] = {}
    for parts in (first, second):
        hear(heard, tell(parts))
    assert list(heard["A1"].values()) == [first["A1"]["one"], second["A1"]["two"], Part(reason="deselected")]
    assert verdict(heard["A1"].values())[0] == FAILED and verdict(heard["A2"].values())[0] == NOT_RUN


ORDINARY = """
import pytest
@pytest.mark.bar("A1")
def test_{name}(measured):
    measured("{name}")
@pytest.mark.bar("A2")
def test_{name}_is_skipped():
    pytest.skip("NOT RUN: no {name}")
"""
LAST = """
import pytest
@pytest.mark.alone
@pytest.mark.bar("A1")
def test_waits(measured):
    measured("alone")
"""


def test_two_processes_print_each_bar_once(tmp_path):
    for name in ("b", "c"):
        (tmp_path / f"test_{name}.py").write_text(ORDINARY.format(name=name))
    (tmp_path / "test_a.py").write_text(LAST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  bar(name): a bar\n  alone: alone\n")
    plugins = [word for name in ("xdist.plugin", "tests.support.bars", "tests.support.beside") for word in ("-p", name)]
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins, "-n", "2", "--dist", "loadfile"]
    environment = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [*argv, "--require-all"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("A1", "A2"))]
    assert len(lines) == 2 and done.returncode == 1, done.stdout
    assert lines[0].startswith("A1  passed ") and sorted(lines[0].partition(": ")[2].split("; ")) == ["alone", "b", "c"]
    assert lines[1].startswith("A2  NOT RUN ") and "no b" in lines[1] and "no c" in lines[1]
    assert not list(tmp_path.glob("picochat-tests-*")), "no lock is left behind"
