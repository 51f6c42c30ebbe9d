"""Lines of a log: what a terminal obeys is gone, what nobody sees is visible, secrets are masked across lines."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from picochat.core.redact import MASK
from picochat.views.files.log_lines import LINE_BYTES, SHOWN_CHARS, show_lines
from picochat.views.files.log_window import RawLine, read_window

TOKEN = "hf_" + "A1b2" * 8
BODY = ["QUJD" * 16, "REVG" * 16]
KEY = "\n".join(["-----BEGIN PRIVATE KEY-----", *BODY, "-----END PRIVATE KEY-----"])


def show(text: str, before: str = "", *, begun: bool = False) -> list[str]:
    raw, at = [], 0
    for line in text.encode("utf-8", "surrogatepass").split(b"\n"):
        raw.append(RawLine(at, line, len(line), begun and at == 0))
        at += len(line) + 1
    return [line.text for line in show_lines(raw, before.encode())]


def test_colours_titles_and_links_are_gone_and_controls_are_seen():
    assert show("\x1b[1;31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://evil\x1b\\text") == ["red text"]
    assert show("bell\x07 nul\x00 turn\u202e bom\ufeff") == [r"bell\x07 nul\x00 turn\u202e bom\ufeff"]
    assert show("10 %\r20 %\r") == [r"10 %\r20 %"]
    assert show("\x1b]0;a title without an end") == ["0;a title without an end"]
    assert show("tab\tstays") == ["tab\tstays"]


def test_bytes_that_are_no_text_are_shown_as_such():
    assert show_lines([RawLine(0, b"\xff\xfe ok", 5)])[0].text == r"\xff\xfe ok"


def test_secrets_are_masked_within_a_line_and_across_lines():
    assert show(f"token {TOKEN} used") == [f"token {MASK} used"]
    lines = show(f"before\n{KEY}\nafter")
    assert lines[0] == "before" and lines[-1] == "after" and lines[1:-1] == [MASK] * 4


def test_a_secret_that_begins_ahead_of_the_window_is_masked_too():
    ahead = "-----BEGIN PRIVATE KEY-----\n" + BODY[0] + "\n"
    assert show(f"{BODY[1]}\n-----END PRIVATE KEY-----\nafter", ahead) == [MASK, MASK, "after"]
    assert show(f"{TOKEN[10:]} tail", f"token {TOKEN[:10]}", begun=True) == [f"{MASK} tail"]


def test_a_secret_at_the_fold_is_masked_whole():
    line = "x" * (SHOWN_CHARS - 10) + " " + TOKEN
    shown = show_lines([RawLine(0, line.encode(), len(line))])[0]
    assert shown.text.endswith(" [redacted") and len(shown.text) == SHOWN_CHARS


def test_a_long_line_is_folded_and_says_so():
    long, huge = b"y" * (SHOWN_CHARS + 1), b"z" * (LINE_BYTES + 1)
    first, second, third = show_lines(
        [RawLine(0, long, len(long)), RawLine(9, huge, len(huge)), RawLine(20, b"z", 900)]
    )
    assert (len(first.text), first.cut, first.bytes) == (SHOWN_CHARS, True, SHOWN_CHARS + 1)
    assert second.cut and third.cut and third.bytes == 900


@given(st.text(max_size=80), st.text(max_size=80))
def test_every_line_stays_a_line(first: str, second: str):
    text = f"{first}\n{second}"
    assert len(show(text)) == text.count("\n") + 1
    assert not any(char in line for line in show(text) for char in "\x1b\x00\x07\x9b\u202e\n\r")


def test_no_lines_are_no_lines(tmp_path: Path):
    (tmp_path / "log").write_bytes(b"")
    with (tmp_path / "log").open("rb", buffering=0) as stream:
        window = read_window(stream)
    assert show_lines(window.lines, window.before) == []
