"""What was written for a terminal, as text that can be shown anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.core.terminal import plain_text


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil.example\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;title\x1b\\text", "text"),
        ("\x1b]0;never ended", "0;never ended"),
        ("\x1bPdevice\x1b\\x", "x"),
        ("\x1b(Btext\x1b=\x1b7", "text"),
        ("\x9b31mred", "red"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("a\x00b\x08c\td\n", "abc\td\n"),
        ("gnp\u202e.exe\u2066\u200f", "gnp.exe"),
        ("Grüße, 日本語 ✓", "Grüße, 日本語 ✓"),
        ("lone \x1b", "lone "),
    ],
)
def test_a_sequence_leaves_no_trace(raw: str, plain: str):
    assert plain_text(raw) == plain


@given(st.text())
def test_nothing_that_controls_a_terminal_is_left(text: str):
    shown = plain_text(text)
    assert not any(ord(letter) < 32 and letter not in "\n\t" for letter in shown)
    assert not any(0x7F <= ord(letter) <= 0x9F for letter in shown)
    assert plain_text(shown) == shown


def test_many_openings_without_an_end_take_no_time():
    assert plain_text("\x1b]" * 200_000) == ""
