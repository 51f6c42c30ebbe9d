"""Publishing a folder: what stands on disk after success, failure and refusal."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import publishing
from tests.support.memory import memory_path  # noqa: F401
from tests.support.publishing import MANIFEST, content, is_whole, manifest_of, names, no_exchange, save

import picochat
from picochat.core import failpoints
from picochat.core.errors import PicochatError
from picochat.core.publish import bytes_stream, publish_folder, recover_folder, set_aside_broken, writer_lock
from picochat.core.swap import exchange_names

SOURCE = str(Path(picochat.__path__[0]).parent)


@pytest.fixture(autouse=True)
def disarmed():
    yield
    failpoints.disarm()


@pytest.mark.parametrize("exchange", [exchange_names, no_exchange])
def test_three_saves_keep_the_last_two(tmp_path, exchange):
    for version in ("one", "two", "three"):
        published = save(tmp_path, version, exchange=exchange)
    assert content(tmp_path / "checkpoint") == "three"
    assert content(tmp_path / "checkpoint.previous") == "two"
    assert names(tmp_path) == {"checkpoint", "checkpoint.previous"}
    assert published.exchanged == (exchange is exchange_names)
    assert (published.attempts, published.leftover) == (1, None)


@pytest.mark.parametrize("exchange", [exchange_names, no_exchange])
def test_without_previous_only_the_last_one_is_kept(tmp_path, exchange):
    for version in ("one", "two", "three"):
        save(tmp_path, version, "best", keep_previous=False, exchange=exchange)
    assert content(tmp_path / "best") == "three"
    assert names(tmp_path) == {"best"}


def test_two_writers_are_refused_not_queued(tmp_path):
    save(tmp_path, "one")
    with writer_lock(tmp_path), pytest.raises(PicochatError) as caught:
        save(tmp_path, "two")
    assert caught.value.code == "run.busy"
    assert caught.value.exit_code == 5
    assert str(os.getpid()) in caught.value.detail
    assert content(tmp_path / "checkpoint") == "one"
    save(tmp_path, "two")
    assert content(tmp_path / "checkpoint") == "two"


@pytest.mark.parametrize(
    "point", ["ckpt.after_mkdir", "ckpt.after_file", "ckpt.before_manifest", "ckpt.after_manifest"]
)
def test_a_full_disk_leaves_everything_as_it_was(tmp_path, point):
    save(tmp_path, "one")
    failpoints.arm(f"{point}:enospc")
    with pytest.raises(PicochatError) as caught:
        save(tmp_path, "two")
    assert (caught.value.code, caught.value.exit_code) == ("disk.full", 5)
    assert "2,000 bytes are needed" in caught.value.detail
    assert "bytes are free" in caught.value.detail
    assert content(tmp_path / "checkpoint") == "one"
    assert names(tmp_path) == {"checkpoint"}


def test_too_little_space_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(PicochatError) as caught:
        save(tmp_path, "one", expected_bytes=10**15)
    assert caught.value.code == "disk.full"
    assert f"{int(1.2 * 10**15):,} bytes are needed" in caught.value.detail
    assert names(tmp_path) == set()


@pytest.mark.parametrize(("number", "code"), [(errno.EIO, "disk.io"), (errno.ENOSPC, "disk.full")])
@pytest.mark.parametrize("question", ["statvfs", "lstat"])
def test_a_disk_that_does_not_answer_is_a_disk_error(tmp_path, monkeypatch, question, number, code):
    """The space check ended in a traceback; an unanswered question about the name was taken for "it is free"."""
    save(tmp_path, "one")
    real = getattr(os, question)

    def fails_once(*arguments, **options):
        monkeypatch.setattr(os, question, real)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, question, fails_once)
    with pytest.raises(PicochatError) as caught:
        save(tmp_path, "two")
    assert (caught.value.code, caught.value.exit_code) == (code, 5)
    assert content(tmp_path / "checkpoint") == "one"
    assert names(tmp_path) == {"checkpoint"}


@pytest.mark.parametrize("exchange", [exchange_names, no_exchange])
@pytest.mark.parametrize(
    "point",
    [
        "ckpt.after_mkdir", "ckpt.after_file@2", "ckpt.before_manifest", "ckpt.after_manifest", "ckpt.after_dir_fsync",
        "ckpt.before_ack",
    ],
)  # fmt: skip
def test_one_disk_error_is_answered_by_a_second_save_from_memory(tmp_path, point, exchange):
    for version in ("one", "two"):
        save(tmp_path, version)
    name, _, count = point.partition("@")
    failpoints.arm(f"{name}:eio@{count or 1}")
    assert save(tmp_path, "three", exchange=exchange).attempts == 2
    assert content(tmp_path / "checkpoint") == "three"
    assert content(tmp_path / "checkpoint.previous") == "two"
    assert names(tmp_path) == {"checkpoint", "checkpoint.previous"}


@pytest.mark.parametrize(
    "point", ["after_exchange_1", "after_exchange_2", "after_rename_1", "after_rename_2", "after_rename_3"]
)
def test_a_swap_that_fails_halfway_is_undone_and_done_again(tmp_path, point):
    for version in ("one", "two"):
        save(tmp_path, version)
    failpoints.arm(f"ckpt.{point}:eio")
    published = save(tmp_path, "three", exchange=no_exchange if "rename" in point else exchange_names)
    assert published.attempts == 2
    assert (content(tmp_path / "checkpoint"), content(tmp_path / "checkpoint.previous")) == ("three", "two")
    assert names(tmp_path) == {"checkpoint", "checkpoint.previous"}


def test_a_second_disk_error_ends_the_save(tmp_path):
    save(tmp_path, "one")
    calls = []

    def failing(writer):
        calls.append(writer)
        writer.write(b"half")
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(PicochatError) as caught:
        publish_folder(tmp_path, "checkpoint", {"a": failing}, manifest_of, verify=is_whole, expected_bytes=10)
    assert (caught.value.code, caught.value.exit_code, len(calls)) == ("disk.io", 5, 2)
    assert content(tmp_path / "checkpoint") == "one"
    assert names(tmp_path) == {"checkpoint"}


def test_bytes_that_read_back_differently_are_never_acknowledged(tmp_path):
    for version in ("one", "two"):
        save(tmp_path, version)
    damaged = []

    def damaging_once(first: Path, second: Path) -> bool:
        if not damaged:
            damaged.append(first)
            (first / "b").write_bytes(b"x" * (first / "b").stat().st_size)
        return exchange_names(first, second)

    assert save(tmp_path, "three", exchange=damaging_once).attempts == 2
    assert (content(tmp_path / "checkpoint"), content(tmp_path / "checkpoint.previous")) == ("three", "two")
    assert names(tmp_path) == {"checkpoint", "checkpoint.previous"}


def test_a_copy_that_cannot_be_removed_is_named_and_swept_by_the_next_save(tmp_path):
    for version in ("one", "two"):
        save(tmp_path, version)
    failpoints.arm("ckpt.mid_trash:eio")
    leftover = save(tmp_path, "three").leftover
    assert leftover is not None and not (leftover / MANIFEST).exists()
    assert save(tmp_path, "four").leftover is None
    assert names(tmp_path) == {"checkpoint", "checkpoint.previous"}


def test_an_error_of_a_stream_leaves_no_trace(tmp_path):
    def wrong(writer):
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        publish_folder(tmp_path, "checkpoint", {"a": wrong}, manifest_of, verify=is_whole, expected_bytes=10)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("name", ["../a", "a/b", "..", "", "a\0b"])
def test_names_with_a_path_in_them_are_a_bug(tmp_path, name):
    with pytest.raises(ValueError, match="plain file name"):
        publish_folder(
            tmp_path, "checkpoint", {name: bytes_stream(b"")}, manifest_of, verify=is_whole, expected_bytes=1
        )


def test_recovery_never_takes_a_leftover_of_another_name(tmp_path):
    save(tmp_path, "one", "best")
    (tmp_path / "best").rename(tmp_path / f".tmp-best-{'0' * 32}")
    with writer_lock(tmp_path):
        assert recover_folder(tmp_path, "checkpoint", is_whole).restored is None
        assert recover_folder(tmp_path, "best", is_whole).restored == f".tmp-best-{'0' * 32}"
        assert recover_folder(tmp_path, "best", is_whole).swept == ()
    assert content(tmp_path / "best") == "one"


def test_a_damaged_folder_is_put_aside_whole(tmp_path):
    save(tmp_path, "one")
    with writer_lock(tmp_path):
        broken = set_aside_broken(tmp_path, "checkpoint")
    assert broken.name.startswith(".broken-checkpoint-")
    assert content(broken) == "one"
    assert not (tmp_path / "checkpoint").exists()


# --- crashes: the process really dies

FILES = ["after_mkdir", "after_file", "after_file@2", "before_manifest", "after_manifest", "after_dir_fsync"]


def crash_table():
    """(saves before, way of swapping, point, what the loader finds, what stands beside it as the previous one)."""
    for way in ("exchange", "rename"):
        for point in FILES:
            yield 2, way, point, "old", "older"
        for point in FILES[:4]:
            yield 0, way, point, None, None
        for point in ["after_manifest", "after_dir_fsync", "after_exchange_1", "before_ack"]:
            yield 0, way, point, "new", None
        yield 2, way, "before_ack", "new", "old"
        yield 2, way, "mid_trash", "new", "old"
    yield 2, "exchange", "after_exchange_1", "new", "older"
    yield 1, "exchange", "after_exchange_1", "new", None
    yield 2, "exchange", "after_exchange_2", "new", "old"
    yield 2, "rename", "after_rename_1", "old", None
    yield 2, "rename", "after_rename_2", "new", "old"
    yield 1, "rename", "after_rename_2", "new", "old"
    yield 2, "rename", "after_rename_3", "new", "old"


@pytest.mark.parametrize(("saves", "way", "point", "expected", "previous"), list(crash_table()))
def test_crash_table(tmp_path, saves, way, point, expected, previous):
    for version in ["old"] if saves == 1 else ["older", "old"][:saves]:
        save(tmp_path, version)
    name, _, count = point.partition("@")
    argv = [sys.executable, publishing.__file__, str(tmp_path), f"ckpt.{name}:sigkill@{count or 1}", way]
    done = subprocess.run(argv, env={"PYTHONPATH": SOURCE}, capture_output=True, timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()

    if way == "exchange" and saves:
        assert content(tmp_path / "checkpoint") in {"old", "new"}, "both names exist at every instant"
    with writer_lock(tmp_path):
        recover_folder(tmp_path, "checkpoint", is_whole)
        again = recover_folder(tmp_path, "checkpoint", is_whole)
    assert again == (type(again))(None, ())
    assert content(tmp_path / "checkpoint") == expected
    assert content(tmp_path / "checkpoint.previous") == previous
    save(tmp_path, "next")
    assert content(tmp_path / "checkpoint") == "next"
    assert content(tmp_path / "checkpoint.previous") == (expected or None)
    assert names(tmp_path) <= {"checkpoint", "checkpoint.previous"}
