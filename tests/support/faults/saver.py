"""A process that saves and may die at any moment: versions of known content, no torch, so that it starts at once.

    saver.py FOLDER WRITER VERSION loop     reads what is there, saves VERSION, then saves on and on
    saver.py FOLDER WRITER VERSION pauses   the same with pauses in which nothing is written, as in a training
    saver.py FOLDER WRITER VERSION once     the same, then one more save at SIGUSR1

VERSION 0 reads and saves nothing at its start, for a first save that is disturbed.
It first says what it found (`Found` as JSON), then one line for each save that it acknowledges.
"""

import ctypes
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from picochat.core import publish, swap
from picochat.core.errors import PicochatError
from picochat.core.publish import FileDigest, bytes_stream, publish_folder, recover_folder, writer_lock
from picochat.core.swap import exchange_names

NAME, MANIFEST = "checkpoint", "MANIFEST.json"
SIZES = {"a": 700, "b": 20_000, "c": 150_000}
DAMAGED = -1
PR_SET_PTRACER, PR_SET_PTRACER_ANY = 0x59616D61, 2**64 - 1
"""prctl of linux/prctl.h."""
LONGEST_PAUSE_S = 0.04


class Found(NamedTuple):
    """What a fresh process saw. A version is None where there is no folder, DAMAGED where it is not whole."""

    seen: int | None
    """What a reader finds, which leaves everything as it is."""
    recovered: int | None
    """What a resume finds."""
    swept: int
    saved: int | None
    """What a reader finds after the next save."""
    previous: int | None
    names: tuple[str, ...]


def content(version: int, name: str) -> bytes:
    """The bytes of one file: other bytes and another length in every version."""
    return random.Random(f"{version} {name}").randbytes(SIZES[name] + version % 5 * 4099)


def read(folder: Path) -> int | None:
    """The version in a folder, compared byte by byte with what was saved."""
    if not folder.is_dir():
        return None
    try:
        version = json.loads((folder / MANIFEST).read_bytes())["version"]
        whole = {path.name for path in folder.iterdir()} == {MANIFEST, *SIZES}
        whole = whole and all((folder / name).read_bytes() == content(version, name) for name in SIZES)
    except (OSError, ValueError):
        return DAMAGED
    return version if whole else DAMAGED


def is_whole(folder: Path) -> bool:
    return read(folder) not in (None, DAMAGED)


def manifest(version: int, files: dict[str, FileDigest]) -> bytes:
    return json.dumps({"version": version, "files": {name: entry.sha256 for name, entry in files.items()}}).encode()


class Writer(NamedTuple):
    save: Callable[[Path, int], None]
    recover: Callable[[Path], int]
    """Returns how many leftovers it removed."""
    prepare: Callable[[], None] = lambda: None


def recover(parent: Path) -> int:
    with writer_lock(parent):
        return len(recover_folder(parent, NAME, is_whole).swept)


def no_exchange(first: Path, second: Path) -> bool:
    """A file system that cannot exchange two names."""
    return False


def engine(exchange: swap.Exchange) -> Callable[[Path, int], None]:
    def save(parent: Path, version: int) -> None:
        streams = {name: bytes_stream(content(version, name)) for name in SIZES}
        expected = sum(SIZES.values()) * 2
        build = lambda files: manifest(version, files)  # noqa: E731
        publish_folder(parent, NAME, streams, build, verify=is_whole, expected_bytes=expected, exchange=exchange)

    return save


# --- bad writers: the campaigns must turn red for each of them


def forget_file_sync() -> None:
    publish.sync_stream = lambda stream: stream.flush()


def forget_folder_sync() -> None:
    publish.fsync_dir = swap.fsync_dir = lambda path: None


def write_synced(folder: Path, version: int) -> None:
    for name in (*SIZES, MANIFEST):
        with open(folder / name, "wb") as stream:
            stream.write(manifest(version, {}) if name == MANIFEST else content(version, name))
            publish.sync_stream(stream)
    publish.fsync_dir(folder)


def save_in_place(parent: Path, version: int) -> None:
    (parent / NAME).mkdir(exist_ok=True)
    write_synced(parent / NAME, version)
    publish.fsync_dir(parent)


def save_remove_then_rename(parent: Path, version: int) -> None:
    fresh, current = parent / f".tmp-{version}", parent / NAME
    fresh.mkdir()
    write_synced(fresh, version)
    if current.exists():
        shutil.rmtree(current)
        publish.fsync_dir(parent)
    swap.rename_durably(fresh, current)


def sweep(parent: Path) -> int:
    """What such a writer does at its start: remove what lies about."""
    leftovers = list(parent.glob(".tmp-*"))
    for path in leftovers:
        shutil.rmtree(path)
    return len(leftovers)


GOOD = {
    "exchange": Writer(engine(exchange_names), recover),
    "rename": Writer(engine(no_exchange), recover),
}
BAD = {
    "in place": Writer(save_in_place, sweep),
    "remove, then rename": Writer(save_remove_then_rename, sweep),
    "no fsync": Writer(engine(exchange_names), recover, forget_file_sync),
    "no folder fsync": Writer(engine(exchange_names), recover, forget_folder_sync),
}


# --- the process


def look_and_save(parent: Path, writer: Writer, version: int) -> Found:
    """What lies there before and after recovery, and after one more save of `version` (0: no save)."""
    seen = read(parent / NAME)
    swept = writer.recover(parent)
    recovered = read(parent / NAME)
    if version:
        writer.save(parent, version)
    names = tuple(sorted(path.name for path in parent.iterdir()))
    return Found(seen, recovered, swept, read(parent / NAME), read(parent / f"{NAME}.previous"), names)


def say(line: str) -> None:
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def save_on(parent: Path, writer: Writer, version: int) -> None:
    while True:
        version += 1
        writer.save(parent, version)
        say(str(version))


def save_with_pauses(parent: Path, writer: Writer, version: int) -> None:
    pauses = random.Random(version)
    save = writer.save

    def pause_and_save(parent: Path, version: int) -> None:
        time.sleep(pauses.uniform(0, LONGEST_PAUSE_S))
        save(parent, version)

    save_on(parent, writer._replace(save=pause_and_save), version)


def save_once(parent: Path, writer: Writer, version: int) -> None:
    signal.sigwait({signal.SIGUSR1})
    try:
        writer.save(parent, version + 1)
        say("saved")
    except PicochatError as err:
        say(err.code)


def allow_tracing() -> None:
    """Where only a parent may trace, strace is no parent: the saver itself lets it in."""
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(PR_SET_PTRACER_ANY), 0, 0, 0)


def main(folder: str, name: str, version: str, mode: str) -> None:
    writer, parent = (GOOD | BAD)[name], Path(folder)
    writer.prepare()
    allow_tracing()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    say(json.dumps(look_and_save(parent, writer, int(version))._asdict()))
    {"loop": save_on, "pauses": save_with_pauses, "once": save_once}[mode](parent, writer, int(version))


if __name__ == "__main__":
    main(*sys.argv[1:])
