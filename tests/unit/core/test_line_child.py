"""A child that answers lines: asked again and again, ended when it misbehaves, gone when nobody holds it."""

import gc
import os
import sys

import pytest

from picochat.core.subprocesses import LineChild

ECHO = "import sys\nfor line in sys.stdin:\n    sys.stdout.write(line.upper()); sys.stdout.flush()\n"


def build(code: str = ECHO) -> LineChild:
    return LineChild([sys.executable, "-I", "-c", code], {})


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_is_asked_again_and_sent_its_first_lines_once():
    child = build("import sys\nfirst = input()\nfor line in sys.stdin:\n    print(first + line, end='', flush=True)\n")
    assert child.ask([b"a\n", b"b\n"], 10, 100) == b"ab\n"
    assert child.ask([b"x\n", b"c\n"], 10, 100) == b"ac\n"
    child.close()
    assert child.ask([b"x\n", b"c\n"], 10, 100) == b"xc\n"


def test_a_long_line_passes():
    line = b"a" * 3_000_000 + b"\n"
    assert build().ask([line], 20, 1 << 22) == line.upper()


@pytest.mark.parametrize(
    "code",
    ["import time; time.sleep(60)", "", "raise SystemExit(3)", "print('x' * 1000)", "print('no line', end='')"],
    ids=["slow", "silent", "dead", "talkative", "torn"],
)
def test_one_that_misbehaves_is_ended(code):
    child = build(code)
    assert child.ask([b"a\n"], 0.5, 100) is None
    assert child._child is None


def test_it_ends_with_whoever_holds_it():
    child = build()
    assert child.ask([b"a\n"], 10, 100) == b"A\n"
    assert child._child is not None
    pid = child._child.pid
    assert is_alive(pid)
    del child
    gc.collect()
    assert not is_alive(pid)
