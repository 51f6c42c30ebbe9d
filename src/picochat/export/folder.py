"""The place where an export is made and proved, and the step that gives it its name.

export/.live-work/     one export of a run at a time; what a killed one left is removed by the next
export/<kind>/         appears whole, after the proof; the one before stays as <kind>.previous
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from picochat.artifacts import layout
from picochat.artifacts.export_record import is_whole_export
from picochat.artifacts.store import RunStore
from picochat.core.fs import ComparingReader, HashingWriter
from picochat.core.publish import FileDigest, Published, Stream, publish_folder, writer_lock

_CHUNK_BYTES = 1 << 22


@contextmanager
def open_work(store: RunStore) -> Iterator[Path]:
    """An empty folder below the run, for this process alone. Raises `run.busy` where another one exports."""
    work = store.path(layout.EXPORT_WORK)
    with writer_lock(work):
        _clear(work)
        candidate = work / "candidate"
        candidate.mkdir()
        try:
            yield candidate
        finally:
            _clear(work)


def publish(
    store: RunStore, kind: str, candidate: Path, build_record: Callable[[dict[str, FileDigest]], bytes]
) -> Published:
    """Puts the files of `candidate` under `export/<kind>`, with the record over their digests. Raises `disk.*`."""
    files = sorted(path for path in candidate.iterdir() if path.is_file())
    return publish_folder(
        store.path(layout.EXPORT),
        kind,
        {path.name: _file_stream(path) for path in files},
        build_record,
        verify=is_whole_export,
        expected_bytes=sum(path.stat().st_size for path in files),
        manifest_name=layout.EXPORT_MANIFEST,
    )


def _file_stream(path: Path) -> Stream:
    def write(writer: HashingWriter | ComparingReader) -> None:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                writer.write(chunk)

    return write


def _clear(work: Path) -> None:
    """Everything but the lock."""
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != layout.LOCK:
            path.unlink()
