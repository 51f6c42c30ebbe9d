"""Packed files give the bytes that were packed, and one that was cut or damaged anywhere is never a shorter file."""

import gzip
import json
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.data.compressed import open_stream, place_in_file, split_suffix
from picochat.data.row_files import iter_records, iter_rows, kind_of

DATA = b"".join(b'{"t": "row %d %s"}\n' % (n, bytes([65 + n % 26]) * (n % 97)) for n in range(4000))
PACK = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor(write_checksum=True).compress}


def read(path: Path) -> bytes:
    with open_stream(path) as stream:
        return stream.read()


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", PACK)
def test_rows_of_a_packed_file_are_those_of_the_plain_one(tmp_path, suffix):
    plain, packed = put(tmp_path, "r.jsonl", DATA), put(tmp_path, "p.jsonl" + suffix, PACK[suffix](DATA))
    assert list(iter_rows(packed, "jsonl", "t")) == list(iter_rows(plain, "jsonl", "t"))
    csv = put(tmp_path, "r.csv" + suffix, PACK[suffix](b't,u\n"a\nb",1\n'))
    assert list(iter_rows(csv, "csv", "t")) == [(1, "a\nb", None)]


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=4), st.sampled_from(sorted(PACK)))
def test_several_packed_pieces_in_a_row_are_one_stream(tmp_path_factory, pieces, suffix):
    path = put(tmp_path_factory.mktemp("p"), "x" + suffix, b"".join(map(PACK[suffix], pieces)))
    assert read(path) == b"".join(pieces)


@pytest.mark.parametrize("level", [1, 12])
@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("sized", [False, True])
def test_every_form_of_zstd_frame_is_walked_to_its_end(tmp_path, level, checksum, sized):
    packer = zstandard.ZstdCompressor(level=level, write_checksum=checksum, write_content_size=sized)
    for data in (b"", b"x", b"z" * 300_000, DATA):
        stream = packer.compressobj(size=len(data) if sized else -1)
        packed = stream.compress(data) + stream.flush()
        skippable = b"\x53\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"notes"
        assert read(put(tmp_path, "x.zst", packed + skippable + packed)) == data * 2


@given(st.sampled_from(sorted(PACK)), st.integers(0, 10_000))
@settings(max_examples=50)
def test_a_file_cut_anywhere_is_refused(tmp_path_factory, suffix, cut):
    whole = PACK[suffix](DATA[:40_000])
    path = put(tmp_path_factory.mktemp("p"), "x.jsonl" + suffix, whole[: cut % len(whole)])
    with pytest.raises(PicochatError) as caught:
        list(iter_rows(path, "jsonl", "t"))
    assert caught.value.code == "source.truncated" or cut % len(whole) < 4
    assert str(path) in caught.value.detail


@pytest.mark.parametrize("suffix", PACK)
def test_a_changed_byte_is_refused_with_its_place(tmp_path, suffix):
    data = bytearray(PACK[suffix](DATA))
    data[len(data) // 2] ^= 0x55
    data[len(data) // 2 + 7] ^= 0x55
    with pytest.raises(PicochatError, match="near byte|type that zstd") as caught:
        read(put(tmp_path, "x" + suffix, bytes(data)))
    assert (caught.value.code, caught.value.exit_code) in {("source.corrupt", 4), ("source.truncated", 4)}


@pytest.mark.parametrize("suffix", PACK)
def test_a_file_that_is_not_packed_is_refused(tmp_path, suffix):
    with pytest.raises(PicochatError, match="is not (gzip|zstd)") as caught:
        read(put(tmp_path, "x" + suffix, DATA))
    assert caught.value.code == "source.layout"
    with pytest.raises(PicochatError, match="never empty") as caught:
        read(put(tmp_path, "x" + suffix, b""))
    assert caught.value.code == "source.truncated"
    with pytest.raises(PicochatError, match="no frame|cannot be unpacked"):
        read(put(tmp_path, "x" + suffix, PACK[suffix](DATA) + b"rest of something"))


def test_without_the_package_the_refusal_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(PicochatError, match="zstandard is not installed") as caught:
        read(put(tmp_path, "x.zst", PACK[".zst"](b"x")))
    assert (caught.value.code, caught.value.fix) == ("usage.extra", "pip install 'picochat[data]'")


@pytest.mark.parametrize("suffix", ["", *PACK])
def test_the_place_is_counted_in_the_file_itself(tmp_path, suffix):
    path = put(tmp_path, "r.jsonl" + suffix, PACK[suffix](DATA) if suffix else DATA)
    with open_stream(path) as stream:
        stream.read()
        assert place_in_file(stream) == path.stat().st_size
    seen = []
    list(iter_records(path, "jsonl", "t", seen=seen.append))
    assert seen == sorted(seen) and 0 < seen[-1] <= 1


def test_names_tell_kind_and_packing():
    assert [split_suffix(name) for name in ("a.csv.GZ", "a.zst", "a.txt")] == [
        ("a.csv", ".gz"),
        ("a", ".zst"),
        ("a.txt", ""),
    ]
    names = ["a.jsonl.zst", "b/c.JSON", "x.ndjson.gz", "d.csv", "e.parquet", "f.md.gz", "g.txt", "h.py", "README"]
    kinds = ["jsonl", "jsonl", "jsonl", "csv", "parquet", "markdown", "text", None, None]
    assert [kind_of(name) for name in names] == kinds


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"", []),
        (b"\n \n", []),
        (b'\xef\xbb\xbf{"t": "one"}\r\n{"t": "two"}\r\n\r\n', [(1, "one", None), (2, "two", None)]),
        (b'{"t": "one"}\n\n', [(1, "one", None)]),
        (b'{"t": "one"}\nnull\n{"t": "two"}', [(1, "one", None), (2, None, "row_not_object"), (3, "two", None)]),
        (b'{"t": null}\n{"t": {"en": "x"}}\n{"u": 1}', [(1, None, "row_not_text"), (2, None, "row_not_text")]),
    ],
)
def test_json_lines_of_all_sorts(tmp_path, content, rows):
    found = list(iter_rows(put(tmp_path, "r.jsonl", content), "jsonl", "t"))
    assert found[: len(rows)] == rows
    assert [reason for _, _, reason in found[len(rows) :]] == ["row_without_column"] * (len(found) - len(rows))


def test_a_row_comes_with_its_other_columns(tmp_path):
    path = put(tmp_path, "r.jsonl", json.dumps({"t": "one", "u": 3, "v": None}).encode())
    assert list(iter_records(path, "jsonl", "t", ("u",))) == [(1, {"t": "one", "u": 3, "v": None}, None)]
