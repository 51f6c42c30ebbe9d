import re

import pytest

from picochat.core.errors import PicochatError, refuse
from picochat.core.reasons import REASONS

EXIT_CODES = {2, 3, 4, 5, 6, 75}


def test_a_refusal_has_three_lines_and_the_registered_exit_code():
    with pytest.raises(PicochatError) as caught:
        refuse("disk.full", "3 bytes are needed and 1 is free")
    err = caught.value
    assert err.lines() == [
        "error: 3 bytes are needed and 1 is free",
        f"why:   {REASONS['disk.full'].why}",
        f"fix:   {REASONS['disk.full'].fix}",
    ]
    assert (err.exit_code, err.code) == (5, "disk.full")
    assert str(err) == "[disk.full] 3 bytes are needed and 1 is free"


def test_the_place_that_raises_may_know_better():
    err = PicochatError("disk.full", "a", why="b", fix="c")
    assert err.lines() == ["error: a", "why:   b", "fix:   c"]
    assert PicochatError("disk.full", "a", why="", fix="c").lines() == ["error: a", "fix:   c"]


def test_a_detail_of_several_lines_is_printed_on_one():
    lines = PicochatError("usage.path", "a\nerror: forged\r\nb", fix="c\nd").lines()
    assert len(lines) == 3
    assert all("\n" not in line and "\r" not in line for line in lines)
    assert lines[0] == r"error: a\nerror: forged\r\nb"


def test_an_unregistered_code_is_a_bug():
    with pytest.raises(KeyError):
        refuse("no.such_code", "x")


def test_every_reason_has_a_known_exit_code_and_says_something():
    for code, reason in REASONS.items():
        assert reason.exit_code in EXIT_CODES, code
        assert re.fullmatch(r"[a-z]+\.[a-z_0-9]+", code), code
        assert len(reason.why) > 10 and len(reason.fix) > 5, code
