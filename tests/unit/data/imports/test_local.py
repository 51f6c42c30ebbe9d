"""Local sources: one row is one document, every file is accounted for, and what changes meanwhile is refused."""

import gzip
import json
import os

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.data.imports.made import (
    contents,
    fill,
    import_local,
    memory_folder,
    parquet_bytes,
    refused,
    rows_of,
    texts_of,
)

from picochat.core.hashing import digest_of, sha256_bytes
from picochat.core.jsonio import canonical_json
from picochat.data.imports import local, unit_work
from picochat.data.imports.manifest import MANIFEST, WORK
from picochat.data.imports.parts import row_line


def test_a_folder_of_every_kind_gives_its_documents_and_counts(tmp_path):
    source = fill(
        tmp_path / "s",
        {
            "a.jsonl": '\ufeff{"t": "one"}\r\n{"t": 2}\r\n\r\n{"t": "three"}\r\n',
            "b.csv": "\ufefft,u\nfour,1\nbroken\n",
            "c/d.parquet": parquet_bytes("p", 2),
            "e.md": "---\ntitle: x\n---\nbody",
            "f.txt": "plain",
            "g.txt.gz": gzip.compress(b"packed"),
            "h.jsonl.zst": zstandard.compress(b'{"t": "z"}\n'),
            "i.bin": b"\0\1",
            ".hidden.jsonl": '{"t": "no"}',
        },
    )
    manifest = import_local(source, tmp_path / "out", text="t")
    assert texts_of(tmp_path / "out") == {
        "a.jsonl:1": "one",
        "a.jsonl:4": "three",
        "b.csv:1": "four",
        "c/d.parquet:1": f"p 0 {'x' * 30}",
        "c/d.parquet:2": f"p 1 {'x' * 30}",
        "e.md": "body",
        "f.txt": "plain",
        "g.txt.gz": "packed",
        "h.jsonl.zst:1": "z",
    }
    assert (manifest.rows_read, manifest.documents, manifest.front_matter) == (12, 9, 1)
    assert manifest.dropped == {"row_not_text": 1, "row_broken": 1, "binary": 1}
    assert manifest.text_bytes == sum(len(text.encode()) for text in texts_of(tmp_path / "out").values())
    assert [(file.name, file.rows, file.documents) for file in manifest.files] == [
        ("a.jsonl", 3, 2),
        ("b.csv", 2, 1),
        ("c/d.parquet", 2, 2),
        ("e.md", 1, 1),
        ("f.txt", 1, 1),
        ("g.txt.gz", 1, 1),
        ("h.jsonl.zst", 1, 1),
        ("i.bin", 1, 0),
    ]
    assert not (tmp_path / "out" / WORK).exists()


def test_a_file_that_may_not_be_read_costs_itself_alone_and_a_failing_disk_the_import(tmp_path, monkeypatch):
    source = fill(tmp_path / "s", {"a.txt": "fine", "b.txt": "locked"})
    original, fault = unit_work.hash_local, PermissionError(13, "Permission denied")

    def deny(path, file):
        if path.name == "b.txt":
            raise fault
        return original(path, file)

    monkeypatch.setattr(unit_work, "hash_local", deny)
    manifest = import_local(source, tmp_path / "out")
    assert texts_of(tmp_path / "out") == {"a.txt": "fine"} and manifest.dropped == {"unreadable": 1}
    fault = OSError(5, "Input/output error")
    with refused("disk.io", 5, "b.txt", "Input/output error"):
        import_local(source, tmp_path / "again")


def test_more_files_than_a_manifest_can_name_are_refused_before_any_is_read(tmp_path, monkeypatch):
    source = fill(tmp_path / "s", {f"{n}.txt": f"text {n}" for n in range(5)})
    monkeypatch.setattr(local, "MAX_FILES", 4)
    with refused("import.too_many_files", 4, "more than 4 files", "source of a pack"):
        import_local(source, tmp_path / "out")
    monkeypatch.setattr(local, "MAX_FILES", 5)
    assert import_local(source, tmp_path / "out").documents == 5


def test_the_manifest_says_what_was_read(tmp_path):
    data = rows_of("a", 3)
    source = fill(tmp_path / "s", {"a.jsonl": data})
    manifest = import_local(source, tmp_path / "out", text="t", licence="CC0-1.0")
    [file] = manifest.files
    assert (file.bytes, file.sha256, file.whole) == (len(data), sha256_bytes(data), True)
    assert manifest.source.revision == digest_of([["a.jsonl", len(data), sha256_bytes(data)]])
    assert (manifest.source.licence, manifest.source.licence_from) == ("CC0-1.0", "given")
    assert (manifest.source.kind, manifest.source.name) == ("local", str(source))
    assert {"picochat", "python", "zstandard", "pyarrow"} <= manifest.tools.keys()
    [part] = manifest.parts
    packed = (tmp_path / "out" / part.name).read_bytes()
    assert (part.rows, part.bytes, part.sha256) == (3, len(packed), sha256_bytes(packed))
    assert part.name == "part-00000-000.jsonl.zst"


def test_a_part_is_closed_when_its_text_is_long_enough(tmp_path):
    source = fill(tmp_path / "s", {"a.jsonl": rows_of("a", 10), "b.jsonl": rows_of("b", 3)})
    manifest = import_local(source, tmp_path / "out", text="t", part_bytes=100)
    names = [(part.name, part.rows) for part in manifest.parts]
    assert names[:2] == [("part-00000-000.jsonl.zst", 3), ("part-00000-001.jsonl.zst", 3)]
    assert names[-1] == ("part-00001-000.jsonl.zst", 3)
    assert sum(rows for _, rows in names) == manifest.documents == 13


@given(
    st.lists(st.lists(st.sampled_from(['{"t": "a"}', '{"t": "bb"}', "x", "", '{"t": 1}']), max_size=8), min_size=1),
    st.integers(1, 5),
)
@settings(max_examples=25)
def test_documents_and_dropped_are_the_rows_that_were_read(files, part_bytes):
    files = [['{"t": "always"}', *lines] for lines in files]
    with memory_folder() as folder:
        source = fill(folder / "s", {f"{n}.jsonl": "\n".join(lines) for n, lines in enumerate(files)})
        manifest = import_local(source, folder / "out", text="t", part_bytes=part_bytes)
        assert manifest.rows_read == sum(bool(line) for lines in files for line in lines)
        assert manifest.documents + manifest.n_dropped == manifest.rows_read
        assert manifest.documents == len(texts_of(folder / "out")) == sum(part.rows for part in manifest.parts)


def test_half_a_surrogate_pair_and_every_other_text_comes_back_as_it_was(tmp_path):
    texts = ["\ud83d", "é\u2028\0", '"quoted"\n', ""]
    source = fill(tmp_path / "s", {"a.jsonl": "\n".join(json.dumps({"t": text}) for text in texts)})
    import_local(source, tmp_path / "out", text="t")
    assert list(texts_of(tmp_path / "out").values()) == texts


@given(st.text(st.characters(), max_size=20), st.text(st.characters(), max_size=20))
def test_a_row_is_written_as_canonical_json(name, text):
    assert row_line(name, text) == canonical_json({"name": name, "text": text}) + b"\n"


def test_a_single_file_is_a_source(tmp_path):
    source = fill(tmp_path / "s", {"a.jsonl": rows_of("a", 2), "b.txt": "left out"})
    import_local(source / "a.jsonl", tmp_path / "out", text="t")
    assert list(texts_of(tmp_path / "out")) == ["a.jsonl:1", "a.jsonl:2"]


def test_globs_choose_files(tmp_path):
    source = fill(tmp_path / "s", {"a.jsonl": rows_of("a", 1), "x/b.jsonl": rows_of("b", 1), "c.txt": "text"})
    import_local(source, tmp_path / "out", text="t", files=["x/*.jsonl"])
    assert list(texts_of(tmp_path / "out")) == ["x/b.jsonl:1"]


def test_many_small_texts_share_a_part(tmp_path, monkeypatch):
    source = fill(tmp_path / "s", {f"{n:03d}.txt": f"text {n}" for n in range(30)} | {"010.jsonl": rows_of("r", 1)})
    manifest = import_local(source, tmp_path / "out", text="t")
    assert [part.rows for part in manifest.parts] == [10, 1, 20]
    monkeypatch.setattr(local, "TEXTS_FILES", 8)
    again = import_local(source, tmp_path / "two", text="t")
    assert max(part.rows for part in again.parts) == 8
    assert texts_of(tmp_path / "two") == texts_of(tmp_path / "out")


def test_max_rows_counts_what_is_read_in_the_order_of_the_files(tmp_path):
    source = fill(tmp_path / "s", {"a.jsonl": b"bad\n" + rows_of("a", 2), "b.jsonl": rows_of("b", 5), "c.jsonl": b"[]"})
    manifest = import_local(source, tmp_path / "out", text="t", max_rows=5)
    assert list(texts_of(tmp_path / "out")) == ["a.jsonl:2", "a.jsonl:3", "b.jsonl:1", "b.jsonl:2"]
    assert (manifest.rows_read, manifest.dropped, manifest.files_left) == (5, {"row_not_json": 1}, 1)
    assert [(file.name, file.rows, file.whole) for file in manifest.files] == [
        ("a.jsonl", 3, True),
        ("b.jsonl", 2, False),
    ]
    exact = import_local(source, tmp_path / "two", text="t", max_rows=8)
    assert [file.whole for file in exact.files] == [True, True]


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ({"a.jsonl": b""}, "source.empty", "none of 0 rows"),
        ({"a.jsonl": b"\n\n"}, "source.empty", "none of 0 rows"),
        ({"a.csv": b"t,u\n"}, "source.empty", "none of 0 rows"),
        ({"a.bin": b"\0"}, "source.empty", "1 binary"),
        ({}, "source.empty", "no file that is read"),
        ({"a.jsonl": b'{"t": 1}\n{"t": null}'}, "source.empty", "2 row_not_text"),
        ({"a.jsonl": b'{"u": "x", "v": 1}\nbad\n{"u": "y"}'}, "source.column", "'u', 'v'"),
        ({"a.csv": b"u,v\n1,2\n"}, "source.column", "'u', 'v'"),
        ({"a.parquet": parquet_bytes("a", 1, "body")}, "source.column", "'body'"),
        ({"a.jsonl": b"words\nand more\n"}, "source.layout", "2 row_not_json"),
        ({"a.json": b'[\n{"t": "x"}\n]'}, "source.layout", "one JSON list"),
        ({"a.parquet": b"words"}, "source.layout", "no Parquet file"),
        ({"a.parquet": parquet_bytes("a", 40)[:-9]}, "source.truncated", "no footer"),
        ({"a.jsonl.gz": gzip.compress(rows_of("a", 50))[:-9]}, "source.truncated", "a.jsonl.gz"),
        ({"a.txt.zst": zstandard.compress(rows_of("a", 50))[:-9]}, "source.truncated", "a.txt.zst"),
    ],
)
def test_what_gives_no_documents_or_is_not_what_it_says_is_refused(tmp_path, files, code, words):
    (tmp_path / "s").mkdir()
    source = fill(tmp_path / "s", files)
    with refused(code, 4, words):
        import_local(source, tmp_path / "out", text="t")
    assert not (tmp_path / "out" / MANIFEST).exists()


def test_one_bad_row_of_three_is_dropped_with_its_reason(tmp_path):
    source = fill(tmp_path / "s", {"a.jsonl": '{"t": "one"}\n{"u": "no"}\n{"t": "three"}\n'})
    manifest = import_local(source, tmp_path / "out", text="t")
    assert manifest.dropped == {"row_without_column": 1}
    assert list(texts_of(tmp_path / "out")) == ["a.jsonl:1", "a.jsonl:3"]


def test_questions_that_cannot_be_meant_are_refused_before_anything_is_read(tmp_path):
    source = fill(tmp_path / "s", {"a.jsonl": rows_of("a", 1), "b.txt": "text"})
    with refused("usage.path", 2, "nowhere"):
        import_local(tmp_path / "nowhere", tmp_path / "out")
    with refused("config.value", 2, "a.jsonl holds rows", "--text COLUMN"):
        import_local(source, tmp_path / "out")
    with refused("config.conflict", 2, "b.txt has no columns"):
        import_local(source, tmp_path / "out", text="t", filters=[{"column": "u", "exists": True}])
    with refused("config.conflict", 2, "would read itself"):
        import_local(source, source / "out", text="t")
    with refused("import.folder", 2, "notes.txt"):
        import_local(source, fill(tmp_path / "full", {"notes.txt": "mine"}), text="t")


def test_links_folders_and_names_that_cannot_be_read_are_dropped_with_a_reason(tmp_path):
    source = fill(tmp_path / "s", {"a.txt": "fine"})
    (source / "gone.jsonl").symlink_to(tmp_path / "nowhere")
    os.mkfifo(source / "pipe.jsonl")
    (source / os.fsdecode(b"caf\xe9.txt")).write_text("text")
    manifest = import_local(source, tmp_path / "out")
    assert manifest.dropped == {"broken_link": 1, "not_a_file": 1, "name_not_utf8": 1}


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    source = fill(tmp_path / "s", {"a.jsonl": rows_of("a", 3), "b.txt": "text"})
    whole = unit_work.iter_records

    def meddle(path, *args, **kwargs):
        yield from whole(path, *args, **kwargs)
        path.write_bytes(rows_of("other", 4))

    monkeypatch.setattr(unit_work, "iter_records", meddle)
    with refused("source.changed", 4, "a.jsonl was written to", "another --out-dir"):
        import_local(source, tmp_path / "out", text="t")


def test_a_file_that_vanishes_in_the_middle_is_refused(tmp_path, monkeypatch):
    source = fill(tmp_path / "s", {"a.jsonl": rows_of("a", 3), "b.jsonl": rows_of("b", 3)})
    whole = unit_work.iter_records

    def meddle(path, *args, **kwargs):
        (source / "b.jsonl").unlink(missing_ok=True)
        return whole(path, *args, **kwargs)

    monkeypatch.setattr(unit_work, "iter_records", meddle)
    with refused("source.vanished", 4, "b.jsonl", "another --out-dir"):
        import_local(source, tmp_path / "out", text="t")
    assert (tmp_path / "out" / "part-00000-000.jsonl.zst").is_file()


def test_two_imports_of_one_source_are_the_same_bytes(tmp_path):
    source = fill(tmp_path / "s", {"a.jsonl": rows_of("a", 50), "b.parquet": parquet_bytes("b", 50), "c.md": "text"})
    for name in ("one", "two"):
        import_local(source, tmp_path / name, text="t", part_bytes=400)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
