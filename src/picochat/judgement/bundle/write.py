"""A bundle on disk: one tar file, or a folder. Every file is hashed while it is copied."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from picochat.artifacts import layout
from picochat.artifacts.bundle_record import BundledFile, BundleRecord, parse_record
from picochat.artifacts.store import RunStore
from picochat.artifacts.tarball import Readable, as_stream, write_tar
from picochat.core import fs
from picochat.core.errors import refuse
from picochat.core.swap import rename_durably
from picochat.judgement.bundle.plan import BundleOptions, build_record, plan_bundle, require_bundleable
from picochat.judgement.bundle.signature import sign_file

TAR = ".tar"
PACKED = frozenset({".gz", ".bz2", ".xz", ".zst", ".tgz", ".zip"})
"""Names of compressed archives, which no bundle is."""


def write_bundle(store: RunStore, out: Path, options: BundleOptions, sign_key: Path | None = None) -> BundleRecord:
    """Verifies the run, then writes `out`: an archive when its name ends in .tar, else a folder.

    Raises `bundle.*`, `artifact.changed`, `usage.*` or `disk.*`; on any error nothing is left behind.
    """
    if out.exists():
        refuse("usage.path", f"{out} exists already", fix="choose another --out")
    if out.absolute().is_relative_to(store.root.absolute()):
        refuse("usage.path", f"{out} lies in the run that it shall hold", fix="choose an --out outside of the run")
    if out.suffix in PACKED:
        refuse("usage.path", f"{out} is neither an archive nor a folder", fix=f"give a name that ends in {TAR}")
    require_bundleable(store)
    files, left_out = plan_bundle(store, options)
    record = build_record(store, files, left_out)
    own = {layout.BUNDLE: record}
    if sign_key is not None:
        own[layout.BUNDLE_SIGNATURE] = _sign(record, sign_key)
    fs.make_dir(out.absolute().parent)
    if out.suffix == TAR:
        with fs.atomic_writer(out) as writer:
            write_tar(writer, _iter_files(store, own, files))
    else:
        _write_folder(store, out, own, files)
    return parse_record(record)


def _sign(record: bytes, key: Path) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / layout.BUNDLE
        path.write_bytes(record)
        return sign_file(path, key)


def _iter_files(
    store: RunStore, own: dict[str, bytes], files: list[BundledFile]
) -> Iterator[tuple[str, int, Readable]]:
    """(name in the bundle, size, bytes), in the order of the names; each file of the run is the recorded one."""
    yield from ((name, len(data), as_stream(data)) for name, data in sorted(own.items()))
    for file in files:
        with _open_checked(store, file) as stream:
            yield f"{layout.BUNDLE_RUN}/{file.path}", file.bytes, stream


class HashingReader:
    """A file that is hashed while it is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._hash = stream, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._hash.update(data)
        return data

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


@contextlib.contextmanager
def _open_checked(store: RunStore, file: BundledFile) -> Iterator[HashingReader]:
    """The file for reading; afterwards what was read must be what was recorded.

    Raises `artifact.missing` or `artifact.changed`.
    """
    path = store.path(file.path)
    try:
        stream = path.open("rb")
    except OSError:
        refuse("artifact.missing", f"{path} does not exist")
    with stream:
        if path.stat().st_size != file.bytes:
            refuse("artifact.changed", f"{path} changed while it was bundled")
        reader = HashingReader(stream)
        yield reader
        if reader.sha256 != file.sha256:
            refuse("artifact.changed", f"{path} changed while it was bundled")


def _write_folder(store: RunStore, out: Path, own: dict[str, bytes], files: list[BundledFile]) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=fs.TMP_PREFIX, dir=out.absolute().parent))
    try:
        for name, _, stream in _iter_files(store, own, files):
            target = scratch / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as copy:
                shutil.copyfileobj(stream, copy)
                fs.sync_stream(copy)
        scratch.chmod(0o755)
        rename_durably(scratch, out.absolute())
    except OSError as err:
        fs.raise_disk_error(err, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
