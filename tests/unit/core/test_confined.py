from __future__ import annotations

import os
from pathlib import Path

import pytest

from picochat.core.confined import open_below, read_below, reason_of


def test_a_regular_file_is_read_also_through_a_link_to_the_root(tmp_path: Path) -> None:
    (tmp_path / "run" / "base").mkdir(parents=True)
    (tmp_path / "run" / "base" / "report.json").write_bytes(b"{}")
    (tmp_path / "link").symlink_to("run")
    assert read_below(tmp_path / "link", "base/report.json") == b"{}"
    with open_below(tmp_path / "run", "base/report.json") as stream:
        assert stream.read() == b"{}"


def test_links_pipes_folders_and_long_files_are_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    run = tmp_path / "run"
    run.mkdir()
    (run / "file").symlink_to(tmp_path / "outside" / "secret")
    (run / "folder").symlink_to(tmp_path / "outside")
    (run / "inner").mkdir()
    (run / "long").write_bytes(b"x" * 11)
    os.mkfifo(run / "pipe")
    said = {}
    for name in ("file", "folder/secret", "inner", "pipe", "long", "file/more"):
        with pytest.raises(OSError) as caught:
            read_below(run, name, most_bytes=10)
        said[name] = reason_of(caught.value)
    assert said["file"] == "it is a link, and links are not followed"
    assert said["folder/secret"] == "something on its way is no folder"
    assert said["inner"] == said["pipe"] == "it is no regular file"
    assert said["long"] == "it has more than the 10 bytes that are read"
    assert str(tmp_path) not in "".join(said.values())
    with pytest.raises(FileNotFoundError):
        read_below(run, "absent")


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").write_bytes(b"1")
    before = len(os.listdir("/proc/self/fd"))
    for name in ("a/f", "a/absent", "a", "absent/f"):
        try:
            read_below(tmp_path, name)
        except OSError:
            continue
    assert len(os.listdir("/proc/self/fd")) == before
