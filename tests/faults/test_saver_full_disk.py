"""A6: a file system of 6 MB that is really full: refused with both numbers, the old checkpoint whole, no litter."""

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.support.checkpoints import save_tiny
from tests.support.faults import torch_saver
from tests.support.faults.powercut import command
from tests.support.faults.swaps import start

from picochat.checkpoint.reader import load_checkpoint
from picochat.core.errors import PicochatError

pytestmark = pytest.mark.bar("A6")
DISK_BYTES = 6 << 20
BOTH_NUMBERS = re.compile(r"([\d,]+) bytes are needed and ([\d,]+) bytes are free")
NAMES = {"checkpoint", "checkpoint.previous", ".lock"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A tiny file system of its own."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("NOT RUN: a full disk needs root, to mount a tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        command("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder)
    except OSError as err:
        pytest.skip(f"NOT RUN: {err}")
    yield folder
    command("umount", folder)


def require_step(stage: Path, step: int) -> None:
    assert torch_saver.version_of(load_checkpoint(stage / "checkpoint")) == step
    assert {path.name for path in stage.iterdir()} <= NAMES, "no partial folder"


def fill(disk: Path) -> Path:
    """A file of something else that takes all that is left."""
    filler = disk / "something-else"
    with filler.open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(1 << 12)):
                pass
        except OSError:
            return filler
    raise AssertionError("unreachable")


def test_a_checkpoint_that_does_not_fit_is_refused_before_anything_is_written(disk, measured):
    stage = disk / "base"
    save_tiny(stage, 1)
    with pytest.raises(PicochatError) as caught:
        save_tiny(stage, 2, weights={"w": torch.zeros(3 << 20 >> 1)})
    assert (caught.value.code, caught.value.exit_code) == ("disk.full", 5)
    needed, free = (int(number.replace(",", "")) for number in BOTH_NUMBERS.search(caught.value.detail).groups())
    assert free == shutil.disk_usage(disk).free < 6 << 20 < needed
    require_step(stage, 1)
    measured(f"refused: {needed:,} bytes needed, {free:,} free")


@pytest.mark.parametrize("point", ["after_mkdir", "after_file", "after_file@4", "before_manifest"])
def test_a_disk_that_fills_up_in_mid_write(disk, point, measured):
    """The space check has passed; then another file takes everything, while the saving process stands still."""
    stage = disk / "base"
    for step in (1, 2):
        save_tiny(stage, step)
    name, _, count = point.partition("@")
    saving = start(stage, "3", "once", f"ckpt.{name}:sigstop@{count or 1}")
    assert saving.stdout.readline() == "ready\n"
    assert os.WIFSTOPPED(os.waitpid(saving.pid, os.WUNTRACED)[1])
    filler = fill(disk)
    os.kill(saving.pid, signal.SIGCONT)
    said, errors = saving.communicate(timeout=60)
    assert saving.returncode == 0, errors

    code, exit_code, detail = json.loads(said)
    assert (code, exit_code) == ("disk.full", 5)
    assert BOTH_NUMBERS.search(detail)
    require_step(stage, 2)
    filler.unlink()
    save_tiny(stage, 4)
    require_step(stage, 4)
    measured(f"filled {point}: old one whole")
