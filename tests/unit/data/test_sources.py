import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.data.pack import LoadedPack, Pack, Source, load_pack
from picochat.data.row_files import iter_csv, iter_jsonl_rows, looks_like_jsonl
from picochat.data.sources import decode_text, iter_documents, split_front_matter


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
    original = Path.read_bytes

    def deny(self):
        if self.name == "b.txt":
            raise PermissionError(13, "Permission denied")
        return original(self)

    monkeypatch.setattr(Path, "read_bytes", deny)
    assert read(tmp_path) == {"a.txt": "fine", "b.txt": "!unreadable: Permission denied"}


def test_a_very_large_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("picochat.data.sources.MAX_FILE_BYTES", 10)
    fill(tmp_path, {"a.txt": "x" * 11, "b.txt": "x" * 10})
    assert read(tmp_path) == {"a.txt": "!file_too_large", "b.txt": "x" * 10}
