"""A new folder appears whole or not at all; what died is swept, what works is left alone."""

import fcntl
import os

import pytest

from picochat.core.errors import PicochatError
from picochat.core.staging import new_folder

CODE = "foreign.out_dir"


def names(path) -> list[str]:
    return sorted(p.name for p in path.iterdir())


def test_it_has_its_name_when_the_block_ends(tmp_path):
    with new_folder(tmp_path / "deep" / "out", CODE) as folder:
        (folder / "below").mkdir()
        (folder / "below" / "file").write_text("x")
        assert not (tmp_path / "deep" / "out").exists()
    assert names(tmp_path / "deep") == ["out"] and (tmp_path / "deep/out/below/file").read_text() == "x"


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "out", CODE) as folder:
        (folder / "file").write_text("x")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_the_first_to_finish_has_the_name(tmp_path):
    with pytest.raises(PicochatError) as caught, new_folder(tmp_path / "out", CODE) as slow:
        (slow / "file").write_text("slow")
        with new_folder(tmp_path / "out", CODE) as fast:
            (fast / "file").write_text("fast")
        assert slow.is_dir(), "a writer at work was swept"
    assert caught.value.code == CODE
    assert names(tmp_path) == ["out"] and (tmp_path / "out/file").read_text() == "fast"


def test_what_a_writer_left_when_it_died_is_swept(tmp_path):
    dead, working, other = (tmp_path / f".tmp-{name}-{'0' * 31}{n}" for n, name in enumerate(("o[u]t", "o[u]t", "out")))
    for folder in (dead, working, other):
        folder.mkdir()
        (folder / "file").write_text("x")
    descriptor = os.open(working, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with new_folder(tmp_path / "o[u]t", CODE) as folder:
        (folder / "file").write_text("new")
    os.close(descriptor)
    assert names(tmp_path) == sorted([working.name, other.name, "o[u]t"])


@pytest.mark.parametrize("kind", ["file", "link", "full"])
def test_a_taken_name_is_refused_before_any_work(tmp_path, kind):
    target = tmp_path / "out"
    if kind == "file":
        target.write_text("x")
    elif kind == "link":
        (tmp_path / "empty").mkdir()
        target.symlink_to(tmp_path / "empty")
    else:
        target.mkdir()
        (target / "file").write_text("x")
    before = names(tmp_path)
    with pytest.raises(PicochatError) as caught, new_folder(target, CODE):
        raise AssertionError("begun")
    assert caught.value.code == CODE and names(tmp_path) == before
