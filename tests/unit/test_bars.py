"""The table of bars: NOT RUN is never a pass, and one bad part spoils a bar."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.bars import FAILED, NOT_RUN, PASSED, Part, verdict

ROOT = Path(__file__).parents[2]
DONE, BAD, LEFT_OUT = Part(PASSED, "", ["3 of 3"]), Part(FAILED, ""), Part(NOT_RUN, "NOT RUN: strace is missing")
# Test files as text: the one that is expected to fail is there to be counted as failed.
TESTS = """
import pytest

@pytest.mark.bar("A1")
def test_passes(size, measured):
    measured(f"{size(12, 200)} kills")

@pytest.mark.bar("A1")
def test_is_left_out():
    pytest.skip("NOT RUN: strace is missing")

@pytest.mark.bar("A2")
def test_passes_too():
    pass

@pytest.mark.bar("A3")
@pytest.mark.xfail(strict=False)
def test_is_expected_to_fail():
    assert 0

@pytest.fixture
def bad_end():
    yield
    raise OSError("it did not end well")

@pytest.mark.bar("A4")
def test_ends_badly(bad_end):
    pass

@pytest.mark.bar("A5")
def test_is_chosen():
    pass

@pytest.mark.bar("A5")
def test_is_not_asked_for():
    pass
"""


@pytest.mark.parametrize(
    ("parts", "state", "words"),
    [
        ([DONE, Part(PASSED, "")], PASSED, "3 of 3"),
        ([DONE, BAD], FAILED, "1 of 2 tests failed; 3 of 3"),
        ([DONE, LEFT_OUT], NOT_RUN, "3 of 3; not run, 1 of 2 tests: strace is missing"),
        ([BAD, LEFT_OUT], FAILED, "1 of 2 tests failed; not run, 1 of 2 tests: strace is missing"),
        ([DONE, Part()], NOT_RUN, "3 of 3; not run, 1 of 2 tests: the test run ended before it"),
    ],
)
def test_the_worst_part_decides(parts, state, words):
    assert verdict(parts) == (state, words)


def run_tests(folder: Path, text: str, *options: str) -> tuple[int, dict[str, str]]:
    """Exit status and the line of each bar, of a test run of its own."""
    (folder / "test_it.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n  bar(name): a bar\n")
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.bars", "-p", "no:cacheprovider", *options]
    environment = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line[:1] in "ABC" and line[1:2].isdigit()]
    return done.returncode, dict(lines)


def test_the_summary_of_a_test_run(tmp_path):
    code, lines = run_tests(tmp_path, TESTS, "-k", "not asked_for", "--full")
    assert lines.keys() == {"A1", "A2", "A3", "A4", "A5"}
    assert lines["A1"].startswith("NOT RUN  kill -9 around saves: 200 kills; not run, 1 of 2 tests: strace is missing")
    assert lines["A2"].startswith("passed ")
    assert lines["A3"].startswith("failed "), "an expected failure proves nothing"
    assert lines["A4"].startswith("failed "), "so does a test that ends badly"
    assert lines["A5"].startswith("NOT RUN ") and lines["A5"].endswith("deselected")
    assert code == 1


def test_what_was_not_run_fails_only_where_all_is_required(tmp_path):
    assert run_tests(tmp_path, TESTS, "-k", "passes")[0] == 0
    code, lines = run_tests(tmp_path, TESTS, "-k", "passes", "--require-all")
    assert code == 1
    assert lines["A2"].startswith("passed ")
    assert lines["B1"].startswith("NOT RUN ") and lines["B1"].endswith("no test of it in this test run")


def test_a_bar_that_does_not_exist_is_an_error(tmp_path):
    assert run_tests(tmp_path, "import pytest\n@pytest.mark.bar('Z9')\ndef test_it(): pass\n")[0] == 4
