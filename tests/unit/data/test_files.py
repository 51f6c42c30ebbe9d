import os

import pytest

from picochat.core.errors import PicochatError
from picochat.data.files import iter_files, matches

ALL = ("**/*",)


def names(root, include=ALL, exclude=()):
    return [(found.name, found.problem) for found in iter_files(root, include, exclude)]


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a.md", "**/*.md", True),
        ("x/y/a.md", "**/*.md", True),
        ("x/y/a.md", "*.md", False),
        ("x/drafts/y/a.md", "**/drafts/**", True),
        ("drafts.md", "**/drafts/**", False),
        ("a.md", "?.md", True),
        ("a.mdx", "**/*.md", False),
        ("a[1].md", "a[1].md", True),
        ("x/a.md", "./x/*", True),
    ],
)
def test_globs(name, pattern, expected):
    assert matches(name, (pattern,)) is expected


def test_files_come_sorted_and_hidden_ones_are_passed_over(tmp_path):
    for name in ("b/2.txt", "b/10.txt", "a.txt", ".git/config", "b/.hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert names(tmp_path) == [("a.txt", None), ("b/10.txt", None), ("b/2.txt", None)]
    assert names(tmp_path, exclude=("b/1*",)) == [("a.txt", None), ("b/2.txt", None)]


@pytest.mark.parametrize("target", [".", "..", "sub", "link"])
def test_a_link_in_a_circle_is_its_own_error(tmp_path, target):
    folder = tmp_path / "data" / "sub"
    folder.mkdir(parents=True)
    (folder / "link").symlink_to({"sub": folder, "link": "link"}.get(target, target), target_is_directory=True)
    with pytest.raises(PicochatError, match="symbolic link") as caught:
        names(tmp_path / "data")
    assert (caught.value.code, caught.value.exit_code) == ("source.loop", 4)


def test_links_to_files_are_read_and_links_to_folders_named(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (outside / "x.txt").write_text("x")
    (root / "file.txt").symlink_to(outside / "x.txt")
    (root / "folder").symlink_to(outside, target_is_directory=True)
    (root / "gone.txt").symlink_to(outside / "gone.txt")
    assert names(root) == [("file.txt", None), ("folder", "link_to_folder"), ("gone.txt", "broken_link")]


def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    assert names(tmp_path) == [("pipe.txt", "not_a_file")]
