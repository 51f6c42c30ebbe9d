"""CSV: the records are those of the standard reader, and one over the limit is dropped whole."""

import csv
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.data.csv_records import iter_csv_records, scan
from picochat.data.row_files import iter_records, iter_rows

TEXT = st.text('ab,"\n\r ', max_size=40)


def buffered(data: bytes, size: int = 4) -> io.BufferedReader:
    """A reader whose buffer ends in awkward places."""
    return io.BufferedReader(io.BytesIO(data), size)  # pyright: ignore[reportArgumentType]


@given(TEXT)
def test_records_are_those_of_the_standard_reader(text):
    """Any text at all, well-formed or not. What the standard reader stops at is one broken record."""
    text = text.replace("\r\n", "\n").replace("\r", "")
    expected = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    found = list(iter_csv_records(buffered(text.encode())))
    left_open = list(csv.reader(io.StringIO(text + "\nmark", newline="")))[-1] != ["mark"]
    if left_open:
        expected[-1] = "row_broken"
    assert found == expected


@given(st.lists(st.lists(st.text('xy,"\n', max_size=6), min_size=2, max_size=3), max_size=6), st.booleans())
def test_what_was_written_is_read(rows, with_cr):
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\r\n" if with_cr else "\n").writerows(rows)
    assert list(iter_csv_records(buffered(stream.getvalue().encode()))) == rows


@given(st.text('a,"', max_size=12), st.integers(0, 12))
def test_the_state_does_not_depend_on_how_a_record_is_cut(text, cut):
    data = text.encode()
    assert scan(data[cut:], scan(data[:cut], 0)) == scan(data, 0)


@given(st.lists(st.text('x,"\n', max_size=20), min_size=1, max_size=6), st.integers(8, 20))
def test_records_over_the_limit_are_dropped_whole_and_the_others_stay(fields, limit):
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([field, "z"] for field in fields)
    data = stream.getvalue().encode()
    expected = []
    for field in fields:
        row = io.StringIO()
        csv.writer(row, lineterminator="\n").writerow([field, "z"])
        long = len(row.getvalue()) > limit + 1
        expected.append("row_too_long" if long else [field, "z"])
    found = list(iter_csv_records(buffered(data), limit))
    # a record of exactly one byte over the limit may be either; no other record is touched
    assert len(found) == len(expected)
    for one, wanted, field in zip(found, expected, fields, strict=True):
        assert one == wanted or one == "row_too_long", field


def test_a_field_without_end_is_never_held(tmp_path, monkeypatch):
    monkeypatch.setattr("picochat.data.row_files.MAX_ROW_BYTES", 100_000)
    path = tmp_path / "r.csv"
    with path.open("wb") as stream:
        stream.write(b't,u\nbefore,1\n"')
        for _ in range(40):
            stream.write(b'x, ""said"" ' * 20_000 + b"\n" * 2_000)
        stream.write(b'",2\nafter,3\n')
    tracemalloc.start()
    rows = list(iter_rows(path, "csv", "t"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == [(1, "before", None), (2, None, "row_too_long"), (3, "after", None)]
    assert peak < 6_000_000


def test_a_quote_that_is_never_closed_is_one_broken_row(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text('t,u\none,1\n"two,2\nthree,3\n')
    assert list(iter_rows(path, "csv", "t")) == [(1, "one", None), (2, None, "row_broken")]


@pytest.mark.parametrize("head", ["t,u", "\ufefft,u", '\ufeff"t","u"', '"t" ,u'])
def test_a_byte_order_mark_quotes_and_crlf_belong_to_no_name(tmp_path, head):
    path = tmp_path / "r.csv"
    path.write_bytes(f"{head}\r\none,1\r\n\r\ntwo,2\r\n".encode())
    assert list(iter_rows(path, "csv", "t")) == [(1, "one", None), (2, "two", None)]


def test_other_columns_come_with_the_text_and_must_be_there(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("t,u,v\none,1,x\n")
    assert list(iter_records(path, "csv", "t", ("v",))) == [(1, {"t": "one", "u": "1", "v": "x"}, None)]
    with pytest.raises(PicochatError, match="no column 'w'; its columns are 't', 'u', 'v'") as caught:
        list(iter_records(path, "csv", "t", ("w",)))
    assert caught.value.code == "source.column"


def test_a_header_that_cannot_be_meant_is_refused(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("t,t\none,1\n")
    with pytest.raises(PicochatError, match="two columns 't'"):
        list(iter_rows(path, "csv", "t"))
    path.write_bytes(b"t,u\rone,1\rtwo,2\r")
    with pytest.raises(PicochatError, match="no header line") as caught:
        list(iter_rows(path, "csv", "t"))
    assert caught.value.code == "source.layout"


@pytest.mark.parametrize(("content", "rows"), [("", []), ("\n", []), ("t,u\n", []), ("t\nx", [(1, "x", None)])])
def test_files_of_nothing(tmp_path, content, rows):
    path = tmp_path / "r.csv"
    path.write_text(content)
    assert list(iter_rows(path, "csv", "t")) == rows
