import errno
import hashlib
import os

import pytest

from picochat.core import failpoints, fs
from picochat.core.errors import PicochatError


@pytest.fixture
def armed():
    yield failpoints.arm
    failpoints.disarm()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_writer_counts_and_hashes_what_it_publishes(tmp_path):
    path = tmp_path / "a"
    with fs.atomic_writer(path) as writer:
        assert not path.exists()
        writer.write(b"one ")
        assert writer.write(memoryview(b"two")) == 3
        assert not path.exists()
    assert path.read_bytes() == b"one two"
    assert (writer.bytes, writer.sha256) == (7, hashlib.sha256(b"one two").hexdigest())
    assert names(tmp_path) == ["a"]


def test_an_exception_inside_the_block_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), fs.atomic_writer(path) as writer:
        writer.write(b"new")
        raise KeyError("x")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("action", "code", "shown"), [("enospc", "disk.full", "3 bytes are needed and"), ("eio", "disk.io", "errno 5")]
)
def test_a_disk_that_fails_before_the_rename_leaves_the_old_file_and_says_the_numbers(
    tmp_path, armed, action, code, shown
):
    path = tmp_path / "a"
    fs.write_atomic(path, b"old")
    armed(f"file.before_publish:{action}")
    with pytest.raises(PicochatError) as caught:
        fs.write_atomic(path, b"new")
    assert (caught.value.code, caught.value.exit_code) == (code, 5)
    assert shown in caught.value.detail and str(path) in caught.value.detail
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]
    fs.write_atomic(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_full_disk_names_the_free_bytes(tmp_path):
    with pytest.raises(PicochatError, match=r"[\d,]+ bytes are free"):
        fs.raise_disk_error(OSError(errno.EDQUOT, "quota"), tmp_path / "x" / "y")
    assert fs.free_bytes(tmp_path / "no" / "such" / "folder") > 0


def test_every_write_is_synced_before_its_name_changes(tmp_path, monkeypatch):
    calls: list[str] = []
    real_sync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("sync"), real_sync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), real_replace(a, b))[1])
    fs.write_json(tmp_path / "a.json", {"a": 1})
    assert calls == ["sync", "replace", "sync"]
    calls.clear()
    fs.write_volatile(tmp_path / "live", b"x")
    assert calls == ["replace"]


def test_a_missing_folder_is_a_disk_error_and_not_a_traceback(tmp_path):
    for write in (fs.write_atomic, fs.write_volatile):
        with pytest.raises(PicochatError) as caught:
            write(tmp_path / "no" / "a", b"x")
        assert caught.value.code == "disk.io"


def test_evidence_is_numbered_and_never_overwritten(tmp_path):
    path = tmp_path / "report.json"
    assert fs.move_aside(path) is None
    (tmp_path / "report.002.json").write_text("taken")
    for text in ("first", "second"):
        path.write_text(text)
        fs.move_aside(path)
    assert {name: (tmp_path / name).read_text() for name in names(tmp_path)} == {
        "report.001.json": "first",
        "report.002.json": "taken",
        "report.003.json": "second",
    }


def test_what_a_dead_writer_left_is_swept_and_nothing_else(tmp_path):
    (tmp_path / "base" / ".tmp-checkpoint-1").mkdir(parents=True)
    kept = [
        tmp_path / "a.json",
        tmp_path / "base" / "b.json",
        tmp_path / "base" / ".tmp-checkpoint-1" / "MANIFEST.json",
    ]
    left = [tmp_path / ".tmp-1", tmp_path / "base" / ".tmp-2"]
    for path in (*kept, *left):
        path.write_text("x")
    assert sorted(fs.sweep_temporaries(tmp_path)) == sorted(left)
    assert all(path.exists() for path in kept) and not any(path.exists() for path in left)
    assert fs.sweep_temporaries(tmp_path) == []


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    path = tmp_path / "a"
    path.write_text("")
    with pytest.raises(PicochatError) as caught:
        fs.make_dir(path)
    assert caught.value.code == "usage.path"
    with pytest.raises(PicochatError):
        fs.make_dir(path / "b")
    fs.make_dir(tmp_path / "b" / "c")
    fs.make_dir(tmp_path / "b" / "c")
    assert (tmp_path / "b" / "c").is_dir()


@pytest.mark.parametrize("on_disk", [b"", b"abc", b"abcdefgX", b"Xbcdefgh", b"abcdefghi"])
@pytest.mark.parametrize("piece", [3, 1 << 20])
def test_what_is_read_back_is_compared_to_the_last_byte(tmp_path, monkeypatch, on_disk, piece):
    monkeypatch.setattr(fs, "OVERLAP_BYTES", piece)
    path = tmp_path / "file"
    for content, same in ((b"abcdefgh", True), (on_disk, False)):
        path.write_bytes(content)
        with open(path, "rb", buffering=0) as raw:
            reader = fs.ComparingReader(raw, path)
            if same:
                assert reader.write(b"abcde") + reader.write(memoryview(b"fgh")) == 8
                reader.require_end()
            else:
                with pytest.raises(OSError, match="other bytes were read back"):
                    reader.write(b"abcdefgh")
                    reader.require_end()
