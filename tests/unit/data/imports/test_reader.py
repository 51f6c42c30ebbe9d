"""Reading an import back: one flipped byte anywhere stops it and names the file."""

import json
import sys

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.data.imports.made import fill, import_local, memory_folder, refused, rows_of, texts_of

from picochat.artifacts.reports import self_digest
from picochat.core.errors import PicochatError
from picochat.core.failpoints import arm, disarm
from picochat.core.hashing import sha256_bytes
from picochat.core.jsonio import pretty_json
from picochat.data.imports.manifest import MANIFEST
from picochat.data.imports.reader import import_files, is_import, is_part, iter_import, iter_part, load_import


@pytest.fixture
def folder(tmp_path):
    source = fill(tmp_path / "s", {"a.jsonl": rows_of("a", 9) + b"bad\n", "b.jsonl": rows_of("b", 9)})
    import_local(source, tmp_path / "out", text="t", part_bytes=150)
    return tmp_path / "out"


def rewrite(folder, **changes):
    """Changes a manifest and gives it a true digest, as a careful hand would."""
    document = json.loads((folder / MANIFEST).read_bytes()) | changes
    (folder / MANIFEST).write_bytes(pretty_json(document | {"self_digest": self_digest(document)}))


def test_an_import_is_read_in_order_part_by_part(folder):
    files = import_files(folder)
    assert [path.name for path in files] == sorted(path.name for path in folder.glob("part-*"))
    assert all(is_part(path) for path in files) and is_import(folder)
    rows = [row for path in files for row in iter_part(path)]
    assert rows == list(iter_import(folder))
    assert [name for name, _, _ in rows] == [f"{word}.jsonl:{n}" for word in "ab" for n in range(1, 10)]
    assert {reason for _, _, reason in rows} == {None}


def test_other_folders_and_files_are_no_imports(folder, tmp_path):
    assert not is_import(tmp_path / "s") and not is_import(tmp_path / "nowhere")
    assert not is_part(folder / MANIFEST) and not is_part(tmp_path / "part-00000-000.jsonl.zst")
    with refused("artifact.missing", 4, "holds no import"):
        load_import(tmp_path / "s")
    stranger = fill(tmp_path / "x", {"part-00000-000.jsonl.zst": b""}) / "part-00000-000.jsonl.zst"
    with refused("artifact.missing", 4, MANIFEST):
        list(iter_part(stranger))
    fill(folder, {"part-00009-000.jsonl.zst": b""})
    with refused("artifact.changed", 4, "no part of the import"):
        list(iter_part(folder / "part-00009-000.jsonl.zst"))


def test_an_import_that_is_not_finished_is_refused(tmp_path):
    source = fill(tmp_path / "s", {"a.jsonl": rows_of("a", 9)})
    arm("import.after_part:enospc")
    with refused("disk.full", 5):
        import_local(source, tmp_path / "out", text="t")
    disarm()
    assert is_import(tmp_path / "out")
    with refused("artifact.missing", 4, "not finished", "run the import again"):
        load_import(tmp_path / "out")


@given(st.data())
@settings(max_examples=40)
def test_one_flipped_bit_in_a_part_is_found_before_anything_is_given_out(data):
    with memory_folder() as folder:
        import_local(fill(folder / "s", {"a.jsonl": rows_of("a", 5)}), folder / "out", text="t")
        [path] = import_files(folder / "out")
        packed = bytearray(path.read_bytes())
        packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(packed)
        with refused("artifact.changed", 4, str(path), "recorded was"):
            next(iter_part(path))


@given(st.data())
@settings(max_examples=40)
def test_one_flipped_bit_in_the_manifest_is_found(data):
    with memory_folder() as folder:
        import_local(fill(folder / "s", {"a.jsonl": rows_of("a", 5)}), folder / "out", text="t")
        path = folder / "out" / MANIFEST
        raw = bytearray(path.read_bytes())
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        same = b"".join(bytes(raw).split()) == b"".join(path.read_bytes().split())
        path.write_bytes(raw)
        if not same:  # a space for a line break changes nothing that is said
            with pytest.raises(PicochatError) as caught:
                load_import(folder / "out")
            assert caught.value.exit_code == 4


def test_a_part_that_is_gone_or_cut_is_found_without_reading_it(folder):
    first, second = import_files(folder)[:2]
    second.write_bytes(second.read_bytes()[:-1])
    with refused("artifact.changed", 4, str(second)):
        load_import(folder)
    first.unlink()
    with refused("artifact.missing", 4, str(first)):
        load_import(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows_read": 20}, "counts 20 rows, 18 documents and 1 dropped"),
        ({"documents": 17, "dropped": {"x": 2}}, "its parts hold 18 rows"),
        ({"dropped": {}}, "19 rows"),
    ],
)
def test_more_rows_than_documents_and_dropped_is_a_bundle_and_is_refused(folder, changes, words):
    rewrite(folder, **changes)
    with refused("data.granularity", 4, words, "picochat data import"):
        load_import(folder)


def test_a_part_with_fewer_rows_than_its_record_is_refused(folder):
    path = import_files(folder)[0]
    rows = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().splitlines(keepends=True)
    packed = zstandard.compress(b"".join(rows[:-1]))
    path.write_bytes(packed)
    document = json.loads((folder / MANIFEST).read_bytes())
    document["parts"][0] |= {"bytes": len(packed), "sha256": sha256_bytes(packed)}
    rewrite(folder, parts=document["parts"])
    with refused("artifact.changed", 4, f"holds {len(rows) - 1} rows, recorded were {len(rows)}"):
        list(iter_part(path))


@pytest.mark.parametrize(
    "changes", [{"schema": {"name": "import_manifest", "version": 2}}, {"more": 1}, {"documents": "many"}]
)
def test_another_schema_is_refused(folder, changes):
    rewrite(folder, **changes)
    with refused("artifact.schema", 4, MANIFEST):
        load_import(folder)


def test_a_manifest_that_was_written_again_is_read_again(folder):
    path = import_files(folder)[0]
    assert len(list(iter_part(path))) > 0
    rewrite(folder, rows_read=20)
    with refused("data.granularity", 4):
        list(iter_part(path))


def test_without_the_package_the_refusal_names_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with refused("usage.extra", 2, "pip install 'picochat[data]'"):
        texts_of(folder)
