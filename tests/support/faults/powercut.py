"""Power cuts: a disk of its own whose bytes can be copied in one step, at any instant, while a saver writes to it.

The saver's file system is ext4 on an image, and the image lies in an XFS that shares blocks between files, so that a
copy of the image takes one step and is the disk at that instant. What a writer did not fsync is still in ext4's memory
then, and so is not in the copy. Mounting the copy replays ext4's journal, as after a real cut.

The model: a disk that keeps what it has been given. A disk that loses what it has in its own cache is not modelled.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.faults.crashes import Promise, Saver, breaches, saver_argv

FICLONE = 0x40049409
"""ioctl of linux/fs.h: makes one file share all blocks of another."""
XFS_BYTES, EXT4_BYTES = 1 << 30, 64 << 20
MEMORY = Path("/dev/shm")
LONGEST_WAIT_S = 0.15
STRACE = ["strace", "-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]
LYING_FSYNC = [*STRACE, "-e", "inject=fsync,fdatasync:retval=0"]


def command(*argv: str | Path) -> str:
    done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(map(str, argv))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


@contextlib.contextmanager
def mounted(image: Path, where: Path, *options: str) -> Iterator[Path]:
    """An image as a folder; the loop device bypasses the page cache of the image where that is possible."""
    where.mkdir(exist_ok=True)
    device = command("losetup", "--find", "--show", "--direct-io=on", image)
    try:
        command("mount", *options, device, where)
    finally:
        command("losetup", "--detach", device)
    try:
        yield where
    finally:
        _unmount(where)


def _unmount(where: Path) -> None:
    for _ in range(50):
        with contextlib.suppress(OSError):
            command("umount", where)
            return
        time.sleep(0.1)
    command("umount", "--lazy", where)


@contextlib.contextmanager
def power_lab(folder: Path) -> Iterator[Lab]:
    """The two file systems, or a skip with the precise reason. Needs root and loop devices."""
    if os.geteuid() != 0:
        pytest.skip("NOT RUN: power cuts need root, to mount")
    if missing := [tool for tool in ("losetup", "mount", "mkfs.ext4", "mkfs.xfs") if shutil.which(tool) is None]:
        pytest.skip(f"NOT RUN: {', '.join(missing)} missing")
    with contextlib.ExitStack() as stack:
        try:
            lab = _build(stack, folder)
        except OSError as err:
            pytest.skip(f"NOT RUN: {err}")
        yield lab


class Lab(NamedTuple):
    """`image` is the running disk, mounted at `running`; `pool` holds it and its copies."""

    pool: Path
    image: Path
    running: Path


def _build(stack: contextlib.ExitStack, folder: Path) -> Lab:
    outer, pool = folder / "pool.img", folder / "pool"
    command("truncate", f"--size={XFS_BYTES}", outer)
    command("mkfs.xfs", "-q", "-m", "reflink=1", outer)
    stack.enter_context(mounted(outer, pool))
    image = pool / "disk.img"
    command("truncate", f"--size={EXT4_BYTES}", image)
    command("mkfs.ext4", "-q", "-b", "4096", image)
    lab = Lab(pool, image, stack.enter_context(mounted(image, folder / "running")))
    cut_power(lab).unlink()
    return lab


def cut_power(lab: Lab) -> Path:
    """A copy of the disk as it is at this instant."""
    copy = lab.pool / "cut.img"
    with lab.image.open("rb") as source, copy.open("wb") as target:
        fcntl.ioctl(target, FICLONE, source.fileno())
    return copy


class Cuts(NamedTuple):
    cuts: int
    in_save: int
    """Cuts after which a version that was never acknowledged stood there, or something had to be swept."""
    breaches: list[str]


class Writing:
    """A saver at work on the running disk, and the newest version that it has acknowledged."""

    def __init__(self, lab: Lab, writer: str, wrapper: list[str]) -> None:
        self.folder = lab.running / "run"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        command("sync", "--file-system", lab.running)
        self._saver = Saver([*wrapper, *saver_argv(self.folder, writer, 1, "pauses")], start_new_session=True)
        self._pipe = self._saver.process.stdout.fileno()
        os.set_blocking(self._pipe, False)
        self._text = "1\n"

    def acknowledged(self) -> int:
        """What a parent knows at this instant."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._pipe, 65536):
                self._text += data.decode()
        return int(self._text[: self._text.rindex("\n")].split()[-1])

    def signal(self, number: int) -> None:
        os.killpg(self._saver.process.pid, number)

    def end(self) -> None:
        self.signal(9)
        self._saver.process.wait()
        self._saver.process.stdout.close()
        self._saver.process.stderr.close()


def cut_rounds(
    lab: Lab, writer: str, rounds: int, seed: int, promise: Promise, *, wrapper: list[str] | None = None,
    until_red: bool = False,
) -> Cuts:  # fmt: skip
    """Cuts the power at random instants while a saver writes, and looks at each copy with a fresh process."""
    instants = random.Random(seed)
    wrong: list[str] = []
    in_save = number = 0
    writing = Writing(lab, writer, wrapper or [])
    try:
        for number in range(1, rounds + 1):
            time.sleep(instants.uniform(0, LONGEST_WAIT_S))
            acknowledged = writing.acknowledged()
            copy = cut_power(lab)
            begun = writing.acknowledged() + 1
            found = look(lab, copy, writer, begun + 1)
            in_save += bool(found.swept or found.recovered != acknowledged)
            new = breaches(found, acknowledged, begun, begun + 1, promise)
            wrong += [f"cut {number} of seed {seed}: {text}" for text in new]
            if wrong and until_red:
                break
    finally:
        writing.end()
    return Cuts(number, in_save, wrong)


def look(lab: Lab, copy: Path, writer: str, version: int):
    """What a fresh process finds on the copy after the journal was replayed."""
    with mounted(copy, lab.pool.parent / "cut") as where:
        looking = Saver(saver_argv(where / "run", writer, version, "once"))
        looking.kill()
    copy.unlink()
    return looking.found
