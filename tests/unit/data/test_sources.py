import gzip
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.data import pieces, sources, text_files
from picochat.data.pack import LoadedPack, Pack, Source, load_pack
from picochat.data.pieces import iter_pieces
from picochat.data.row_files import iter_csv, iter_jsonl_rows, looks_like_jsonl
from picochat.data.sources import iter_documents, iter_piece
from picochat.data.text_files import decode_text, split_front_matter


def read(root, **source):
    pack = Pack(name="p", sources=[Source(id="s", **{"path": ".", **source})])
    return {
        raw.name: raw.text if raw.text is not None else f"!{raw.drop_reason}"
        for raw in iter_documents(LoadedPack(pack, root))
    }


def fill(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def test_a_bare_folder_offers_every_file(tmp_path):
    fill(
        tmp_path,
        {
            "a.txt": "plain",
            "b.md": "---\ntitle: T\n---\nbody",
            "c.bin": b"\x00\x01\x02",
            "d.txt": b"caf\xe9 and more",
            "e.txt": '{"text": "row one"}\n{"text": "row two"}\n',
            "f.jsonl": '{"text": "x"}\n',
            "g.csv": "text\nx\n",
            "h.png": b"\x89PNG\xff",
            "i.py": "code = 1",
        },
    )
    assert read(tmp_path) == {
        "a.txt": "plain",
        "b.md": "body",
        "c.bin": "!binary",
        "d.txt": "!not_utf8",
        "e.txt": "!jsonl",
        "f.jsonl": "!column_not_named",
        "g.csv": "!column_not_named",
        "h.png": "!not_utf8",
        "i.py": "code = 1",
    }


def test_the_format_chooses_the_files(tmp_path):
    fill(tmp_path, {"a.txt": "t", "b.md": "m", "x/c.md": "n"})
    assert read(tmp_path, format="text") == {"a.txt": "t"}
    assert read(tmp_path, format="markdown") == {"b.md": "m", "x/c.md": "n"}
    assert read(tmp_path, format="markdown", exclude=["x/**"]) == {"b.md": "m"}
    assert read(tmp_path, path="x/c.md") == {"c.md": "n"}


def test_jsonl_rows_are_documents_or_reasons(tmp_path):
    rows = [
        b'{"body": "one"}',
        b"",
        b"{broken",
        b"[1]",
        b'{"other": 1}',
        b'{"body": 7}',
        b'{"body": "\xff"}',
        b'{"body": "two"}',
    ]
    fill(tmp_path, {"r.jsonl": b"\n".join(rows)})
    assert read(tmp_path, format="jsonl", text="body") == {
        "r.jsonl:1": "one",
        "r.jsonl:3": "!row_not_json",
        "r.jsonl:4": "!row_not_object",
        "r.jsonl:5": "!row_without_column",
        "r.jsonl:6": "!row_not_text",
        "r.jsonl:7": "!not_utf8",
        "r.jsonl:8": "two",
    }


def test_csv_rows_are_documents_or_reasons(tmp_path):
    fill(tmp_path, {"r.csv": b'\xef\xbb\xbfbody,id\n"one, with\nnewline",1\n\nonly\ntwo,2,3\n\xff\xfe,4\nthree,5\n'})
    assert read(tmp_path, format="csv", text="body") == {
        "r.csv:1": "one, with\nnewline",
        "r.csv:2": "!row_broken",
        "r.csv:3": "!row_broken",
        "r.csv:4": "!not_utf8",
        "r.csv:5": "three",
    }


def test_a_missing_csv_column_lists_the_columns(tmp_path):
    fill(tmp_path, {"r.csv": "body,id\nx,1\n"})
    with pytest.raises(PicochatError, match="'body', 'id'") as caught:
        read(tmp_path, format="csv", text="text")
    assert (caught.value.code, caught.value.exit_code) == ("source.column", 4)


JSON = st.one_of(
    st.none(), st.integers(), st.text(max_size=5), st.dictionaries(st.sampled_from(["t", "u"]), st.text(max_size=5))
)


@given(
    st.lists(
        st.one_of(
            JSON.map(json.dumps),
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=8),
        )
    )
)
def test_documents_plus_dropped_equals_rows(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("rows") / "r.jsonl"
    path.write_bytes("\n".join(lines).encode())
    rows = list(iter_jsonl_rows(path, "t"))
    assert len(rows) == sum(bool(line.encode().strip()) for line in lines)
    assert all((text is None) != (reason is None) for _, text, reason in rows)


@given(
    st.lists(st.tuples(st.text('ab,"\n ', min_size=1, max_size=6), st.text("xy", min_size=1, max_size=3)), max_size=6)
)
def test_csv_gives_every_field_back(tmp_path_factory, rows):
    import csv

    path = tmp_path_factory.mktemp("rows") / "r.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([("t", "u"), *rows])
    assert [text for _, text, _ in iter_csv(path, "t")] == [text for text, _ in rows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}\n{"b": 2}\n', True),
        ('\ufeff\n{"a": 1}', True),
        ("{\n 1: 2\n}", False),
        ("{curly} prose\nmore", False),
        ('{"a": 1}\nprose in between\nand after', False),
        ('{"a": 1}\n' * 30 + "{cut", True),
        ("", False),
    ],
)
def test_rows_in_the_clothes_of_a_text(text, expected):
    assert looks_like_jsonl(text) is expected


def test_decode_names_binary_before_encoding():
    assert decode_text(b"x\0y") == (None, "binary")
    assert decode_text("x".encode("utf-16")) == (None, "binary")
    assert decode_text(b"") == ("", None)


def test_front_matter_is_metadata_only_at_the_top():
    assert split_front_matter("---\na: 1\n---\nbody\n---\n") == ("a: 1\n", "body\n---\n")
    assert split_front_matter("text\n---\na\n---\n") == ("", "text\n---\na\n---\n")
    assert split_front_matter("---\nnever closed") == ("", "---\nnever closed")


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("a\nb\n\n\nc\n\nd\n", ["a\nb\n", "c\n\nd\n"]),
        ("a\n\nb\nc\n\nd", ["a\n", "b\nc\n", "d"]),
        ("\n\n\na\n\nb\n\n\n", ["a\n", "b\n"]),
        ("a\n", ["a\n"]),
        ("", []),
    ],
)
def test_a_bare_file_is_cut_at_empty_lines(tmp_path, text, documents):
    path = tmp_path / "corpus.txt"
    path.write_text(text)
    assert [raw.text for raw in iter_documents(load_pack(path))] == documents


def test_a_bare_file_of_rows_is_dropped(tmp_path):
    fill(tmp_path, {"x.txt": '{"t": "a"}\n{"t": "b"}\n', "y.txt": b"\0\1", "z.jsonl": '{"t": "a"}\n'})
    reasons = [next(iter_documents(load_pack(tmp_path / name))).drop_reason for name in ("x.txt", "y.txt", "z.jsonl")]
    assert reasons == ["jsonl", "binary", "column_not_named"]


def test_a_missing_source_is_exit_2(tmp_path):
    with pytest.raises(PicochatError, match="nowhere") as caught:
        read(tmp_path, path="nowhere")
    assert (caught.value.code, caught.value.exit_code) == ("usage.path", 2)


def test_an_unreadable_file_is_dropped_with_the_reason(tmp_path, monkeypatch):
    fill(tmp_path, {"a.txt": "fine", "b.txt": "locked"})
    original = text_files.open_stream

    def deny(path):
        if path.name == "b.txt":
            raise PermissionError(13, "Permission denied")
        return original(path)

    monkeypatch.setattr(text_files, "open_stream", deny)
    assert read(tmp_path) == {"a.txt": "fine", "b.txt": "!unreadable: Permission denied"}


def test_a_very_large_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "MAX_FILE_BYTES", 10)
    fill(tmp_path, {"a.txt": "x" * 11, "b.txt": "x" * 10})
    assert read(tmp_path) == {"a.txt": "!file_too_large", "b.txt": "x" * 10}


def test_a_block_that_is_too_long_is_dropped_and_the_rest_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 50)
    long_line, long_block = "x" * 60, "\n".join(["twelve chars"] * 5)
    fill(tmp_path, {"all.txt": f"first\n\n{long_line}\nand more\n\nsecond\n\n{long_block}\n\nthird\n"})
    assert read(tmp_path, path="all.txt", format="guessed") == {
        "all.txt:1": "first\n",
        "all.txt:2": "!block_too_long",
        "all.txt:3": "second\n",
        "all.txt:4": "!block_too_long",
        "all.txt:5": "third\n",
    }


def test_packed_files_of_text_are_read(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"packed text"))
    fill(tmp_path, {"b.txt": "plain text"})
    assert read(tmp_path) == {"a.txt.gz": "packed text", "b.txt": "plain text"}


@pytest.mark.parametrize("format", ["auto", "jsonl"])
def test_large_row_files_are_shared_and_give_the_same_rows(tmp_path, monkeypatch, format):
    rows = [json.dumps({"t": f"row {i} " + "x" * (i % 40)}) for i in range(300)]
    fill(tmp_path, {"big.jsonl": "\n".join(rows), "small.jsonl": rows[0]})
    whole = list(read(tmp_path, format=format, text="t").values())
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1000)
    shared = read(tmp_path, format=format, text="t")
    assert list(shared.values()) == whole and len(shared) == 301
    assert "small.jsonl:1" in shared and "big.jsonl@0" in shared


def plan(root, **source):
    pack = Pack(name="p", sources=[Source(id="s", **{"path": ".", **source})])
    return list(iter_pieces(LoadedPack(pack, root)))


def test_small_files_share_a_piece_and_the_plan_is_always_the_same(tmp_path, monkeypatch):
    fill(tmp_path, {f"f{i:03d}.txt": "x" * 100 for i in range(50)})
    monkeypatch.setattr(pieces, "PIECE_BYTES", 450)
    found = plan(tmp_path)
    assert [len(piece.files) for piece in found] == [5] * 10 and [piece.number for piece in found] == list(range(10))
    assert sum(piece.bytes for piece in found) == 5000 and found == plan(tmp_path)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1 << 20)
    monkeypatch.setattr(pieces, "MAX_PIECE_FILES", 20)
    assert [len(piece.files) for piece in plan(tmp_path)] == [20, 20, 10]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda path: path.unlink(), "source.vanished"),
        (lambda path: path.write_text("other words"), "source.changed"),
        (lambda path: os.utime(path, (1, 1)), "source.changed"),
    ],
    ids=["gone", "other size", "other time"],
)
def test_a_file_that_is_another_one_when_it_is_read_is_named(tmp_path, change, code):
    fill(tmp_path, {"a.txt": "first text", "b.txt": "second text"})
    pack = Pack(name="p", sources=[Source(id="s", path=".")])
    (piece,) = iter_pieces(LoadedPack(pack, tmp_path))
    change(tmp_path / "b.txt")
    documents = iter_piece(pack.sources[0], piece)
    assert next(documents).text == "first text"
    with pytest.raises(PicochatError) as caught:
        list(documents)
    assert (caught.value.code, caught.value.exit_code) == (code, 4) and "b.txt" in caught.value.detail


def test_a_file_that_changes_while_it_is_read_is_named(tmp_path):
    fill(tmp_path, {"r.jsonl": '{"t": "one"}\n{"t": "two"}\n'})
    pack = Pack(name="p", sources=[Source(id="s", path="r.jsonl", format="jsonl", text="t")])
    (piece,) = iter_pieces(LoadedPack(pack, tmp_path))
    documents = iter_piece(pack.sources[0], piece)
    assert next(documents).text == "one"
    (tmp_path / "r.jsonl").unlink()
    with pytest.raises(PicochatError) as caught:
        list(documents)
    assert caught.value.code == "source.vanished"
