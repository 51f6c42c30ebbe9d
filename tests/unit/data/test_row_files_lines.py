"""Lines and ranges of lines: nothing lost, nothing twice, and no line is ever held that is over the limit."""

import io
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.data.lines import iter_lines, iter_range
from picochat.data.row_files import iter_records, iter_rows, plan_ranges, row_name

BYTES = st.lists(st.sampled_from([b"a", b"bb", b"\n", b"\r\n", b"ccccccc"]), max_size=30).map(b"".join)


@given(BYTES, st.integers(1, 8))
def test_lines_are_those_of_the_stream_and_long_ones_are_said_to_be_missing(data, limit):
    expected, offset = [], 0
    for line in data.splitlines(keepends=True) if b"\r" not in data else io.BytesIO(data):
        expected.append((offset, line if len(line.removesuffix(b"\n")) <= limit else None))
        offset += len(line)
    assert list(iter_lines(io.BytesIO(data), limit)) == expected


@given(BYTES, st.lists(st.integers(0, 60), max_size=5), st.integers(1, 8))
def test_ranges_that_tile_a_stream_share_its_lines(data, cuts, limit):
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [
        list(iter_range(io.BytesIO(data), begin, end, limit)) for begin, end in zip(edges, edges[1:], strict=False)
    ]
    assert [line for piece in pieces for line in piece] == list(iter_lines(io.BytesIO(data), limit))


@given(st.lists(st.text("ab\n é", max_size=9), min_size=1, max_size=20), st.integers(1, 40))
def test_every_plan_of_a_json_lines_file_gives_its_rows_once(tmp_path_factory, texts, piece_bytes):
    path = tmp_path_factory.mktemp("rows") / "r.jsonl"
    path.write_text("\n".join(json.dumps({"t": text}) for text in texts))
    ranges = plan_ranges(path, "jsonl", piece_bytes)
    rows = [row for begin, end in ranges for row in iter_rows(path, "jsonl", "t", begin, end)]
    assert [text for _, text, _ in rows] == texts
    assert (len(ranges) == 1) == (path.stat().st_size <= piece_bytes)
    if len(ranges) > 1:
        data = path.read_bytes()
        assert [json.loads(data[at:].split(b"\n")[0])["t"] for at, _, _ in rows] == texts


def test_the_name_of_a_row_says_how_its_number_is_meant(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"t": "one"}\n\n{"t": "two"}\n')
    assert [number for number, _, _ in iter_rows(path, "jsonl", "t")] == [1, 3]
    assert [number for number, _, _ in iter_rows(path, "jsonl", "t", 0, 100)] == [0, 14]
    assert [number for number, _, _ in iter_rows(path, "jsonl", "t", 1)] == [14]
    assert [row_name("r", 14, "jsonl", *place) for place in ((0, None), (1, None), (0, 9))] == ["r:14", "r@14", "r@14"]
    assert row_name("r", 3, "parquet", 1, 2) == "r:3"


def test_what_can_only_be_read_whole_is_never_read_in_part(tmp_path):
    for name, kind in (("r.csv", "csv"), ("r.jsonl.gz", "jsonl")):
        (tmp_path / name).write_bytes(b"x" * 100)
        assert plan_ranges(tmp_path / name, kind, 10) == [(0, None)]
        with pytest.raises(ValueError, match="whole"):
            list(iter_rows(tmp_path / name, kind, "t", 0, 50))
    with pytest.raises(ValueError, match="'xml'"):
        list(iter_rows(tmp_path / "r.xml", "xml", "t"))


def test_a_line_over_the_limit_is_one_dropped_row_and_is_never_held(tmp_path, monkeypatch):
    monkeypatch.setattr("picochat.data.row_files.MAX_ROW_BYTES", 100_000)
    path = tmp_path / "r.jsonl"
    with path.open("wb") as stream:
        stream.write(b'{"t": "before"}\n{"t": "')
        for _ in range(40):
            stream.write(b"x" * 500_000)
        stream.write(b'"}\n{"t": "after"}\n')
    tracemalloc.start()
    rows = list(iter_rows(path, "jsonl", "t"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == [(1, "before", None), (2, None, "row_too_long"), (3, "after", None)]
    assert peak < 6_000_000


def test_the_reader_says_how_far_it_is(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"t": "one"}\n' * 5000)
    seen = []
    assert sum(1 for _ in iter_records(path, "jsonl", "t", seen=seen.append)) == 5000
    assert len(seen) == 4 and seen == sorted(seen) and seen[0] > 0 and seen[-1] <= 1
