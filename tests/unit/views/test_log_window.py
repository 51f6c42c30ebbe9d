"""Windows of a file: every line once in both directions, the end of a huge file at once, searches that end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.views.files import log_window
from picochat.views.files.log_window import RawLine, find_line, find_line_back, read_window

texts = st.lists(st.binary(max_size=60).map(lambda data: data.replace(b"\n", b"?")), max_size=30)


@contextmanager
def opened(path: Path, data: bytes) -> Iterator[BinaryIO]:
    path.write_bytes(data)
    with path.open("rb", buffering=0) as stream:
        yield stream


def lines_of(lines: list[RawLine]) -> list[bytes]:
    return [line.data for line in lines]


@settings(max_examples=80, deadline=None)
@given(lines=texts, torn=st.binary(max_size=30), most_bytes=st.integers(64, 400), most_lines=st.integers(1, 9))
def test_both_directions_give_every_line_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], torn: bytes, most_bytes: int, most_lines: int
):
    torn = torn.replace(b"\n", b"?")
    data = b"".join(line + b"\n" for line in lines) + torn
    with opened(tmp_path_factory.getbasetemp() / "window", data) as stream:
        forward, at = [], 0
        while True:
            window = read_window(stream, offset=at, most_bytes=most_bytes, most_lines=most_lines)
            forward += window.lines
            assert window.begin == at and window.size == len(data)
            if window.end == at:
                break
            at = window.end
        assert lines_of(forward) == lines and (window.partial.data if window.partial else b"") == torn
        for line in forward:
            assert data[line.offset : line.offset + line.bytes] == line.data and not line.begun
        window = read_window(stream, most_bytes=most_bytes, most_lines=most_lines)
        assert (window.partial.data if window.partial else b"") == torn and window.end == at
        backward = [window.lines]
        while window.begin > 0:
            window = read_window(stream, before=window.begin, most_bytes=most_bytes, most_lines=most_lines)
            backward.append(window.lines)
        assert [line for piece in reversed(backward) for line in piece] == forward


def test_following_sees_a_line_once_it_has_ended(tmp_path: Path):
    with opened(tmp_path / "log", b"one\ntw") as stream:
        window = read_window(stream)
        assert lines_of(window.lines) == [b"one"] and window.partial == RawLine(4, b"tw", 2)
        with (tmp_path / "log").open("ab") as more:
            more.write(b"o\nthree\n")
        window = read_window(stream, offset=window.end)
        assert lines_of(window.lines) == [b"two", b"three"] and window.partial is None and window.end == 14


def test_an_offset_beyond_the_end_is_the_end(tmp_path: Path):
    with opened(tmp_path / "log", b"one\n") as stream:
        window = read_window(stream, offset=10**15)
        assert (window.begin, window.end, window.size, window.lines) == (4, 4, 4, [])
    with opened(tmp_path / "log", b"") as stream:
        assert read_window(stream)[:5] == (0, 0, 0, [], None)


def test_the_end_of_a_gigabyte_costs_one_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with (tmp_path / "log").open("wb") as stream:
        stream.seek(1 << 30)
        stream.write(b"\nlast but one\nlast\n")
    read, original = [], os.pread
    monkeypatch.setattr(log_window.os, "pread", lambda fd, count, at: read.append(count) or original(fd, count, at))
    with (tmp_path / "log").open("rb", buffering=0) as stream:
        window = read_window(stream)
    assert lines_of(window.lines)[-2:] == [b"last but one", b"last"] and window.end == (1 << 30) + 19
    assert sum(read) <= log_window.WINDOW_BYTES + 2 * log_window.BEFORE_BYTES


def test_a_line_longer_than_a_window_is_passed_over(tmp_path: Path):
    data = b"a\n" + b"x" * 5_000 + b"\nb\n"
    with opened(tmp_path / "log", data) as stream:
        window = read_window(stream, offset=2, most_bytes=100)
        assert window.lines == [RawLine(2, b"x" * 100, 5_000)] and window.end == 2 + 5_001
        assert lines_of(read_window(stream, offset=window.end, most_bytes=100).lines) == [b"b"]
        back = read_window(stream, before=window.end, most_bytes=100)
        assert back.lines[0].begun and back.lines[0].bytes == 99


def test_a_search_that_finds_nothing_says_how_far_it_went(tmp_path: Path):
    data = b"".join(b"line %d\n" % number for number in range(1000)) + b"An ERROR here\nafter\n"
    with opened(tmp_path / "log", data) as stream:
        place = data.index(b"An ERROR")
        assert find_line(stream, [b"error"], 0, fold_case=True)[0] == place
        assert find_line(stream, [b"error"], 0) == (None, len(data))
        assert find_line(stream, [b"ERROR"], 0, most_bytes=500) == (None, 500)
        assert find_line(stream, [b"ERROR"], place + 14) == (None, len(data))
        assert find_line_back(stream, [b"line 3\n"], len(data))[0] == data.index(b"line 3\n")
        assert find_line_back(stream, [b"nowhere"], len(data), most_bytes=100) == (None, len(data) - 100)


def test_a_word_across_two_pieces_of_a_search_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(log_window, "_PIECE", 16)
    data = b"0123456789 12\nabc needle xyz\n" + b"z" * 40 + b"\n"
    with opened(tmp_path / "log", data) as stream:
        assert find_line(stream, [b"needle"], 0)[0] == 14
        assert find_line_back(stream, [b"needle"], len(data))[0] == 14
