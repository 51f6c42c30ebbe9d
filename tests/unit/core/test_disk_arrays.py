import errno
import os

import numpy as np
import pytest

from picochat.core.disk_arrays import open_array
from picochat.core.errors import PicochatError


def test_what_one_has_written_another_reads(tmp_path):
    made = open_array(tmp_path / "a", np.int32, (3, 2), create=True)
    assert not made.any()
    made[1] = 5, 7
    seen = open_array(tmp_path / "a", np.int32, (3, 2), create=False)
    assert seen.tolist() == [[0, 0], [5, 7], [0, 0]]
    seen[2, 0] = 9
    assert made[2, 0] == 9
    assert not open_array(tmp_path / "a", np.int32, (3, 2), create=True).any(), "made anew, it is empty again"


def test_an_empty_array_needs_no_file(tmp_path):
    assert open_array(tmp_path / "none", np.int64, (0, 4), create=False).shape == (0, 4)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("size", [None, 23, 25])
def test_a_missing_or_cut_file_is_refused(tmp_path, size):
    if size is not None:
        (tmp_path / "a").write_bytes(bytes(size))
    with pytest.raises(PicochatError, match="is not a file of 24 bytes") as caught:
        open_array(tmp_path / "a", np.int64, (3,), create=False)
    assert (caught.value.code, caught.value.exit_code) == ("disk.array", 4)


def test_a_made_file_has_its_blocks(tmp_path):
    open_array(tmp_path / "a", np.uint8, (1_000_000,), create=True)
    assert (tmp_path / "a").stat().st_blocks * 512 >= 1_000_000


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(PicochatError, match="8,000 bytes are needed") as caught:
        open_array(tmp_path / "a", np.int64, (1000,), create=True)
    assert (caught.value.code, caught.value.exit_code) == ("disk.full", 5)
    assert not (tmp_path / "a").exists()
