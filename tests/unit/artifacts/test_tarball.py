"""Archives of exactly one form: what is written is read back, and everything else is refused before it is unpacked."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.artifacts import tarball
from picochat.artifacts.tarball import BLOCK, RECORD, extract, is_plain, read_members, write_tar
from picochat.core.errors import PicochatError

FILES = {"bundle.json": b"{}\n", "run/a.bin": bytes(range(256)) * 5, "run/base/empty": b"", "run/x.txt": b"x" * 512}


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    write_tar(out, [(name, len(data), io.BytesIO(data)) for name, data in files.items()])
    return out.getvalue()


def made(path: Path, *members: tarfile.TarInfo, data: bytes = b"x", form: int = tarfile.GNU_FORMAT) -> Path:
    """An archive of Python's own, with whatever is put in."""
    with tarfile.open(path, "w", format=form) as archive:
        for member in members:
            regular = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.GNUTYPE_SPARSE, tarfile.CONTTYPE)
            member.size = len(data) if regular else 0
            archive.addfile(member, io.BytesIO(data) if regular else None)
    return path


def info(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, 0o644
    for key, value in fields.items():
        setattr(member, key, value)
    return member


def test_what_is_written_is_read_back_and_is_the_same_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(packed(FILES))
    assert packed(FILES) == path.read_bytes()
    (tmp_path / "out").mkdir()
    assert extract(path, tmp_path / "out") == list(FILES)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES
    with tarfile.open(path) as archive:  # any other program reads it too
        assert {(m.name, m.mtime, m.uid, m.gid, m.uname, m.mode) for m in archive} == {
            (name, 0, 0, 0, "", 0o644) for name in FILES
        }


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,6}(/[a-z]{1,6}){0,2}\.x", fullmatch=True), st.binary(max_size=1500), min_size=1
    )
)
def test_any_files_come_back(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("tar")
    ordered = dict(sorted(files.items()))
    (folder / "a.tar").write_bytes(packed(ordered))
    members = read_members(folder / "a.tar")
    data = (folder / "a.tar").read_bytes()
    assert {m.name: data[m.offset : m.offset + m.bytes] for m in members} == ordered


HOSTILE: dict[str, Callable[[Path], Path]] = {
    "leads upwards": lambda path: made(path, info("../evil")),
    "leads upwards within": lambda path: made(path, info("run/../../evil")),
    "is absolute": lambda path: made(path, info("/tmp/evil")),
    "has an empty part": lambda path: made(path, info("run//a")),
    "is hidden": lambda path: made(path, info("run/.lock")),
    "is no plain word": lambda path: made(path, info("run/a b")),
    "has a backslash": lambda path: made(path, info("run\\a")),
    "symbolic link": lambda path: made(path, info("run/a", tarfile.SYMTYPE, linkname="/etc/passwd")),
    "hard link": lambda path: made(path, info("run/a"), info("run/b", tarfile.LNKTYPE, linkname="run/a")),
    "device": lambda path: made(path, info("run/a", tarfile.CHRTYPE, devmajor=1, devminor=3)),
    "block device": lambda path: made(path, info("run/a", tarfile.BLKTYPE)),
    "pipe": lambda path: made(path, info("run/a", tarfile.FIFOTYPE)),
    "folder": lambda path: made(path, info("run", tarfile.DIRTYPE)),
    "sparse file": lambda path: made(path, info("run/a", tarfile.GNUTYPE_SPARSE)),
    "long name": lambda path: made(path, info("run/" + "a" * 120)),
    "pax header": lambda path: made(path, info("run/a", pax_headers={"path": "../evil"}), form=tarfile.PAX_FORMAT),
    "another format": lambda path: made(path, info("run/a"), form=tarfile.USTAR_FORMAT),
    "owner": lambda path: made(path, info("run/a", uid=1)),
    "time": lambda path: made(path, info("run/a", mtime=1)),
    "setuid": lambda path: made(path, info("run/a", mode=0o4755)),
    "twice the same name": lambda path: made(path, info("run/a"), info("run/a")),
    "not in order": lambda path: made(path, info("run/b"), info("run/a")),
    "a file that is a folder": lambda path: made(path, info("run/a"), info("run/a/b")),
    "nothing": lambda path: made(path),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing_outside(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    target.mkdir(parents=True)
    path = HOSTILE[kind](tmp_path / "a.tar")
    with pytest.raises(PicochatError) as caught:
        extract(path, target)
    assert caught.value.code == "bundle.tar"
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")} <= {
        "a.tar", "deep", "deep/out", "deep/out/run", "deep/out/run/a"
    }  # fmt: skip


def set_size(data: bytes, field: bytes) -> bytes:
    """A first header that gives its size as `field`, with the right checksum."""
    header = bytearray(data[:BLOCK])
    header[124:136] = field.ljust(12, b"\0")
    header[148:156] = b"        "
    header[148:156] = f"{sum(header):06o}".encode() + b"\0 "
    return bytes(header) + data[BLOCK:]


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "cut in a header": lambda data: data[:300],
    "cut in a file": lambda data: data[: 3 * BLOCK + 100],
    "no end": lambda data: data[: len(data) - RECORD // 2],
    "bytes behind the end": lambda data: data + b"x" * RECORD,
    "zeros behind the end": lambda data: data + bytes(RECORD),
    "bytes in the padding": lambda data: data[: 2 * BLOCK - 1] + b"x" + data[2 * BLOCK :],
    "a wrong checksum": lambda data: data[:150] + b"7" + data[151:],
    "a size beyond the archive": lambda data: set_size(data, b"77777777777"),
    "a size of 2^80": lambda data: set_size(data, b"\x80" + b"\0" + b"\xff" * 10),
    "a negative size": lambda data: set_size(data, b"-0000000001"),
    "a size that is no number": lambda data: set_size(data, b"9x"),
    "a gzip file": lambda data: b"\x1f\x8b" + data[2:],
    "an empty file": lambda data: b"",
}


@pytest.mark.parametrize("kind", BYTES)
def test_a_damaged_archive_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(BYTES[kind](packed(FILES)))
    with pytest.raises(PicochatError) as caught:
        read_members(path)
    assert caught.value.code == "bundle.tar"


def test_limits_on_files_and_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(packed(FILES))
    monkeypatch.setattr(tarball, "MAX_FILES", 3)
    with pytest.raises(PicochatError, match="more than 3 files"):
        read_members(path)
    monkeypatch.setattr(tarball, "MAX_FILES", 100)
    monkeypatch.setattr(tarball, "free_bytes", lambda folder: 10)
    with pytest.raises(PicochatError) as caught:
        extract(path, tmp_path)
    assert caught.value.code == "disk.full"


def test_sizes_from_eight_gibibytes_on_are_read(tmp_path: Path) -> None:
    """The file has a hole in place of its bytes."""
    size = 8 * 2**30 + 1
    header = info("run/a", size=size).tobuf(tarfile.GNU_FORMAT)
    path = tmp_path / "a.tar"
    total = -(-(BLOCK + size + -size % BLOCK + 2 * BLOCK) // RECORD) * RECORD
    with path.open("wb") as stream:
        stream.write(header)
        stream.truncate(total)
    assert read_members(path) == [tarball.Member("run/a", size, BLOCK)]


@pytest.mark.parametrize("name", ["", "/a", "a/", "..", "a/..", ".a", "a//b", "a\nb", "ä", "a" * 101, "-" * 0 + "a b"])
def test_names_that_are_not_plain(name: str) -> None:
    assert not is_plain(name)
    with pytest.raises(PicochatError):
        packed({name: b""})


def test_names_are_written_in_order_only() -> None:
    with pytest.raises(PicochatError):
        packed({"b": b"", "a": b""})
