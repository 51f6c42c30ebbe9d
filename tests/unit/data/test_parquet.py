import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.data import parquet
from picochat.data.row_files import iter_records, iter_rows, plan_ranges


def put(folder, columns, name="r.parquet", **options):
    path = folder / name
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path, **options)
    return path


def refusal(path, column="t", others=()):
    with pytest.raises(PicochatError) as caught:
        list(iter_records(path, "parquet", column, others))
    assert caught.value.exit_code == (2 if caught.value.code == "usage.extra" else 4)
    assert str(path) in caught.value.detail
    return caught.value


TEXTS = ["one", "", None, "drei\nzwei", "five" * 1000]
WANTED = [(n, text, None if text is not None else "row_not_text") for n, text in enumerate(TEXTS, 1)]


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())],
    ids=["string", "large", "view", "dictionary"],
)
@pytest.mark.parametrize("group", [1, 2, 100])
def test_every_row_of_every_row_group_comes_once(tmp_path, kind, group):
    column = pa.array(TEXTS).dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else pa.array(TEXTS, kind)
    path = put(tmp_path, {"t": column, "u": list(range(5))}, row_group_size=group)
    assert list(iter_rows(path, "parquet", "t")) == WANTED


@given(st.lists(st.text(max_size=30), max_size=20), st.integers(1, 7), st.integers(1, 2000))
@settings(max_examples=40)
def test_ranges_of_row_groups_tile_a_file(tmp_path_factory, texts, group, piece_bytes):
    path = put(tmp_path_factory.mktemp("p"), {"t": pa.array(texts, pa.string())}, row_group_size=group)
    ranges = plan_ranges(path, "parquet", piece_bytes)
    rows = [row for begin, end in ranges for row in iter_rows(path, "parquet", "t", begin, end)]
    assert rows == [(n, text, None) for n, text in enumerate(texts, 1)]


def test_a_file_without_row_groups_has_no_rows(tmp_path):
    path = tmp_path / "r.parquet"
    pq.ParquetWriter(path, pa.schema([("t", pa.string())])).close()
    assert pq.ParquetFile(path).num_row_groups == 0
    assert list(iter_rows(path, "parquet", "t")) == []
    assert plan_ranges(path, "parquet", 10) == [(0, None)]


def test_a_column_of_nothing_but_null_is_no_text(tmp_path):
    path = put(tmp_path, {"t": pa.nulls(2)})
    assert list(iter_rows(path, "parquet", "t")) == [(1, None, "row_not_text"), (2, None, "row_not_text")]


def test_only_the_needed_columns_are_read_and_others_come_with_their_types(tmp_path):
    columns = {"t": ["a", "b"], "n": [1, None], "x": [0.5, 1.5], "ok": [True, False], "big": ["z" * 100] * 2}
    path = put(tmp_path, columns)
    rows = [row for _, row, _ in iter_records(path, "parquet", "t", ("n", "x", "ok"))]
    assert rows == [{"t": "a", "n": 1, "x": 0.5, "ok": True}, {"t": "b", "n": None, "x": 1.5, "ok": False}]


def test_bytes_that_are_not_utf8_cost_their_row_alone(tmp_path):
    broken = pa.array([b"fine", b"caf\xe9", b"too"]).cast(pa.binary()).view(pa.string())
    rows = list(iter_rows(put(tmp_path, {"t": broken}), "parquet", "t"))
    assert rows == [(1, "fine", None), (2, None, "not_utf8"), (3, "too", None)]


def test_a_text_over_the_limit_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "MAX_ROW_BYTES", 10)
    path = put(tmp_path, {"t": ["x" * 10, "x" * 11, "é" * 6]})
    assert [reason for _, _, reason in iter_rows(path, "parquet", "t")] == [None, "row_too_long", "row_too_long"]


def test_batches_are_small_where_texts_are_long_or_may_repeat(tmp_path, monkeypatch):
    path = put(tmp_path, {"t": ["x" * 1000] * 500 + ["y"] * 500, "u": [str(n) for n in range(1000)]})
    with parquet._open(path) as file:
        assert parquet._batch_rows(path, file.metadata.row_group(0), "t") == parquet.BATCH_ROWS
        monkeypatch.setattr(parquet, "BATCH_BYTES", 5000)
        assert parquet._batch_rows(path, file.metadata.row_group(0), "t") == 4 * 5000 // (4 + 1000 + 4 + 1)
    plain = put(tmp_path, {"t": ["x" * 1000] * 500}, "plain.parquet", use_dictionary=False)
    with parquet._open(plain) as file:
        assert parquet._batch_rows(plain, file.metadata.row_group(0), "t") == 4
    assert len(list(iter_rows(path, "parquet", "t"))) == 1000


def test_one_long_text_that_stands_in_every_row_is_never_there_many_times(tmp_path):
    """A file of some hundred bytes with 64 rows of 8 MB: what is decoded together stays small."""
    path = put(tmp_path, {"t": ["x" * 8_000_000] * 64}, compression="zstd")
    assert path.stat().st_size < 10_000
    with parquet._open(path) as file:
        assert parquet.dictionary_bytes(path, file.metadata.row_group(0).column(0)) == 8_000_004
        assert parquet._batch_rows(path, file.metadata.row_group(0), "t") == 8
    assert sum(1 for _ in iter_rows(path, "parquet", "t")) == 64


def test_a_dictionary_that_no_memory_would_hold_is_refused(tmp_path, monkeypatch):
    path = put(tmp_path, {"t": ["x" * 5000] * 64})
    monkeypatch.setattr(parquet, "MAX_DICTIONARY_BYTES", 4000)
    with pytest.raises(PicochatError) as caught:
        list(iter_rows(path, "parquet", "t"))
    assert caught.value.code == "source.layout" and "5,004 bytes" in caught.value.detail


@pytest.mark.parametrize("value", [[["a"]], [7], [1.5], [True], [b"x"], [{"en": "x"}]], ids=str)
def test_a_column_that_is_no_text_is_refused_by_its_type(tmp_path, value):
    error = refusal(put(tmp_path, {"t": value}))
    assert error.code == "source.column_type"
    assert "'t' is" in error.detail


def test_a_filter_on_a_list_is_refused(tmp_path):
    error = refusal(put(tmp_path, {"t": ["a"], "tags": [["x"]]}), others=("tags",))
    assert (error.code, "numbers or booleans" in error.detail) == ("source.column_type", True)


def test_a_missing_column_lists_those_that_are_there(tmp_path):
    path = put(tmp_path, {"body": ["a"], "meta": [{"text": "x"}]})
    error = refusal(path)
    assert (error.code, "'body', 'meta'" in error.detail) == ("source.column", True)
    error = refusal(path, "meta.text")
    assert (error.code, "inside of another one" in error.detail) == ("source.column", True)
    assert refusal(path, "body", ("score",)).code == "source.column"
    twice = put(tmp_path, pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["t", "t"]))
    assert "two columns" in refusal(twice).detail


def test_a_column_with_a_dot_in_its_name_is_a_column(tmp_path):
    path = put(tmp_path, {"a.b": ["x"], "a": [{"b": "no"}]})
    assert list(iter_rows(path, "parquet", "a.b")) == [(1, "x", None)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE html>", "a page of a web site"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs has not fetched"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"plain words", "b'plain wo' at its start"),
    ],
)
def test_what_is_no_parquet_file_is_named(tmp_path, data, words):
    path = tmp_path / "r.parquet"
    path.write_bytes(data)
    error = refusal(path)
    assert (error.code, words in error.detail) == ("source.layout", True)


def test_a_packed_parquet_file_is_refused(tmp_path):
    path = put(tmp_path, {"t": ["a"]}).rename(tmp_path / "r.parquet.gz")
    assert refusal(path).code == "source.layout"


def test_a_file_cut_anywhere_is_refused(tmp_path):
    data = put(tmp_path, {"t": TEXTS}).read_bytes()
    for cut in range(0, len(data), max(1, len(data) // 60)):
        path = tmp_path / "cut.parquet"
        path.write_bytes(data[:cut])
        assert refusal(path).code == "source.truncated" if cut >= 4 else "source.layout"


def test_a_damaged_page_or_footer_is_refused_and_not_a_shorter_file(tmp_path):
    texts = ["some words " * 200 + str(n) for n in range(200)]
    data = put(tmp_path, {"t": texts}, compression="none", write_page_checksum=True).read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for place in (len(data) // 3, footer):
        path = tmp_path / "bad.parquet"
        path.write_bytes(data[:place] + b"\xff" * 20 + data[place + 20 :])
        assert refusal(path).code == "source.corrupt"


def test_a_row_group_that_gives_fewer_rows_than_its_footer_says_is_refused(tmp_path, monkeypatch):
    path = put(tmp_path, {"t": ["a", "b", "c"]})
    whole = parquet._iter_batches
    monkeypatch.setattr(parquet, "_iter_batches", lambda *args: [batch.slice(0, 2) for batch in whole(*args)])
    error = refusal(path)
    assert (error.code, "ends at row 2, its footer says 3" in error.detail) == ("source.corrupt", True)


def test_a_disk_that_fails_is_no_damaged_file(tmp_path, monkeypatch):
    path = put(tmp_path, {"t": ["a"]})
    with pytest.raises(OSError, match="Input/output"):
        parquet._refuse_broken(path, "row group 0", OSError(5, "Input/output error"))
    with pytest.raises(FileNotFoundError):
        list(iter_rows(tmp_path / "gone.parquet", "parquet", "t"))


def test_without_the_package_the_refusal_names_what_to_install(tmp_path, monkeypatch):
    path = put(tmp_path, {"t": ["a"]})
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    error = refusal(path)
    assert (error.code, error.fix) == ("usage.extra", "pip install 'picochat[data]'")
