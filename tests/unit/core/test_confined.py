from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from picochat.core.confined import open_below, read_below, reason_of, stat_below


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


@pytest.mark.parametrize("name", ["../secret", "..", ".", "", "a//b", "/etc/hostname", "a/../../secret", "a\0b"])
def test_a_name_that_leads_out_is_absent(tmp_path: Path, name: str):
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "root" / "a").mkdir(parents=True)
    with pytest.raises(FileNotFoundError):
        open_below(tmp_path / "root", name)
    assert stat_below(tmp_path / "root", name) is None


def test_what_lies_under_a_name_is_told_without_following(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "way").symlink_to(tmp_path / "folder")
    seen = stat_below(tmp_path, "file")
    assert seen is not None and seen.st_size == 3
    link = stat_below(tmp_path, "link")
    assert link is not None and stat.S_ISLNK(link.st_mode)
    assert stat_below(tmp_path, "way/file") is None and stat_below(tmp_path, "nothing") is None
