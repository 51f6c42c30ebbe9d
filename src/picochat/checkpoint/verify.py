"""Reading a checkpoint folder without trusting it (torch-free): opened once, hashed before parsed, refused by name.

check_checkpoint_files   everything that can be proved about a folder; what verify, gate and recovery ask
look_at_checkpoint       the manifest, and whether the files it lists are there in their sizes; nothing is hashed
read_stable              one consistent look at a folder that a save may replace meanwhile
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from picochat.artifacts import layout
from picochat.checkpoint import raw
from picochat.checkpoint.format import (
    FINITE_PARTS,
    MAX_MANIFEST_BYTES,
    SLICED_PARTS,
    TENSOR_FILES,
    CheckpointManifest,
    parse_manifest,
)
from picochat.core.errors import PicochatError, refuse
from picochat.core.jsonio import parse_json

RETRIES = 3
RETRY_DELAY_S = 0.5
_CHUNK_BYTES = 1 << 20
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOTHING: Mapping[str, tuple[int, str]] = MappingProxyType({})
T = TypeVar("T")


@dataclass(frozen=True)
class CheckpointBytes:
    """A checked folder: every tensor is a view into bytes whose hash was compared."""

    manifest: CheckpointManifest
    model_config: dict[str, Any]
    train_state: dict[str, Any]
    tensors: dict[str, dict[str, raw.RawTensor]]
    """By part (weights, optimizer, rng, ema), those that were asked for and are there."""


def check_checkpoint_files(path: Path, absent: Mapping[str, tuple[int, str]] = _NOTHING) -> CheckpointManifest:
    """Proves the whole folder: file set, sizes, hashes, layout, finiteness, weights digest, one step.

    `absent` are files of tensors that this copy of the folder lacks, with the (bytes, sha256) that are said of them:
    the manifest must say the same, and everything else is proved. Raises `checkpoint.*`. Renames nothing and never
    waits for a pipe.
    """
    return read_stable(path, lambda folder: _read_folder(folder, path, TENSOR_FILES, absent)).manifest


def look_at_checkpoint(path: Path) -> CheckpointManifest:
    """The manifest of a folder that has exactly the files it lists, in their sizes. What is in them is not proved.

    Raises `checkpoint.*`, as `check_checkpoint_files` does for what is found without reading weights.
    """

    def look(folder: int) -> CheckpointManifest:
        manifest = _read_manifest(folder, path)
        _require_file_set(folder, manifest, path, _NOTHING)
        return manifest

    return read_stable(path, look)


def is_whole(path: Path) -> bool:
    """Whether `check_checkpoint_files` accepts the folder."""
    if not path.is_dir():
        return False
    try:
        check_checkpoint_files(path)
    except PicochatError:
        return False
    return True


def read_checkpoint_bytes(path: Path, parts: Collection[str]) -> CheckpointBytes:
    """Reads and proves the named tensor parts, and always the manifest, file set, sizes and JSON files."""
    return read_stable(path, lambda folder: _read_folder(folder, path, parts))


def read_stable(path: Path, read: Callable[[int], T]) -> T:
    """Runs `read` on the folder's descriptor; starts again when the folder was missing or replaced meanwhile.

    Raises `checkpoint.missing` after three more tries half a second apart, or what `read` raises on a folder that
    stayed.
    """
    for attempt in range(RETRIES + 1):
        if attempt:
            time.sleep(RETRY_DELAY_S)
        folder = _open_folder(path)
        if folder is None:
            continue
        try:
            return read(folder)
        except PicochatError:
            if attempt == RETRIES or _still_named(folder, path):
                raise
        finally:
            os.close(folder)
    return refuse("checkpoint.missing", f"{path} does not exist")


def _open_folder(path: Path) -> int | None:
    try:
        return os.open(path, _OPEN | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    except OSError as err:
        if err.errno in (errno.ELOOP, errno.ENOTDIR):
            refuse("checkpoint.special_file", f"{path} is not a folder, or is a link to one")
        refuse("checkpoint.unreadable", f"{path}: {err.strerror}")


def _still_named(folder: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(folder))
    except FileNotFoundError:
        return False


def _read_folder(
    folder: int, path: Path, parts: Collection[str], absent: Mapping[str, tuple[int, str]] = _NOTHING
) -> CheckpointBytes:
    manifest = _read_manifest(folder, path)
    _require_file_set(folder, manifest, path, absent)
    parts = [part for part in parts if TENSOR_FILES.get(part) not in absent] if absent else parts
    model_config = _read_json(folder, layout.CKPT_MODEL_CONFIG, manifest, path)
    train_state = _read_json(folder, layout.CKPT_TRAIN_STATE, manifest, path)
    for key, expected in (("step", manifest.step), ("tokens_seen", manifest.tokens_seen)):
        if (found := train_state.get(key)) != expected:
            refuse("checkpoint.state", f"{path}: {key} is {expected} in the manifest, {found} in the training state")
    tensors = {}
    for part, name in TENSOR_FILES.items():
        if part in parts and name in manifest.files:
            tensors[part] = raw.parse_tensors(_read_file(folder, name, manifest, path), str(path / name))
    if manifest.slices and set(parts) & set(SLICED_PARTS) and not set(manifest.slices) & set(absent):
        tensors |= _read_slices(folder, manifest, path, parts)
    _require_sound(tensors, manifest, path)
    return CheckpointBytes(manifest, model_config, train_state, tensors)


def _read_slices(
    folder: int, manifest: CheckpointManifest, path: Path, parts: Collection[str]
) -> dict[str, dict[str, raw.RawTensor]]:
    """Optimizer and average as whole tensors, from the files of all ranks."""
    files = [raw.parse_tensors(_read_file(folder, name, manifest, path), str(path / name)) for name in manifest.slices]
    joined = raw.join_slices(files, str(path))
    found: dict[str, dict[str, raw.RawTensor]] = {part: {} for part in SLICED_PARTS}
    for name, tensor in joined.items():
        part, _, own = name.partition("/")
        if part not in found:
            refuse("checkpoint.tensor_names", f"{path}: {name} in a slice belongs to none of {', '.join(SLICED_PARTS)}")
        found[part][own] = tensor
    return {part: tensors for part, tensors in found.items() if part in parts and (tensors or part == "optimizer")}


def _read_manifest(folder: int, path: Path) -> CheckpointManifest:
    where = path / layout.CKPT_MANIFEST
    descriptor = _open_file(folder, layout.CKPT_MANIFEST, where, missing="checkpoint.incomplete")
    with open(descriptor, "rb") as stream:
        size = os.fstat(descriptor).st_size
        if size > MAX_MANIFEST_BYTES:
            refuse("checkpoint.manifest_size", f"{where} has {size:,} bytes, at most {MAX_MANIFEST_BYTES:,} are read")
        data = stream.read(MAX_MANIFEST_BYTES + 1)
    return parse_manifest(data, str(where))


def _require_file_set(
    folder: int, manifest: CheckpointManifest, path: Path, absent: Mapping[str, tuple[int, str]]
) -> None:
    present = set(os.listdir(folder)) - {layout.CKPT_MANIFEST}
    if missing := sorted(set(manifest.files) - present - set(absent)):
        refuse("checkpoint.missing_file", f"{path / missing[0]} is listed in the manifest and is not there")
    if extra := sorted(present - set(manifest.files)):
        refuse("checkpoint.extra_file", f"{path / extra[0]} is there and is not listed in the manifest")
    for name, entry in manifest.files.items():
        if name in absent and name not in present:
            if absent[name] != (entry.bytes, entry.sha256):
                refuse("checkpoint.hash", f"{path / name} is not here, and another one was saved than is said of it")
            continue
        found = _stat_regular(folder, name, path / name)
        if found.st_size != entry.bytes:
            refuse("checkpoint.size", f"{path / name} has {found.st_size:,} bytes, {entry.bytes:,} were saved")


def _stat_regular(folder: int, name: str, where: Path, missing: str = "checkpoint.missing_file") -> os.stat_result:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        refuse(missing, f"{where} does not exist")
    except OSError as err:
        refuse("checkpoint.unreadable", f"{where}: {err.strerror}")
    if not stat.S_ISREG(found.st_mode):
        refuse("checkpoint.special_file", f"{where} is not a regular file")
    return found


def _open_file(folder: int, name: str, where: Path, missing: str = "checkpoint.missing_file") -> int:
    """A descriptor of a regular file. A pipe that takes the name between the two looks does not block either."""
    _stat_regular(folder, name, where, missing)
    try:
        descriptor = os.open(name, _OPEN | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        refuse(missing, f"{where} does not exist")
    except OSError as err:
        code = "checkpoint.special_file" if err.errno in (errno.ELOOP, errno.ENXIO) else "checkpoint.unreadable"
        refuse(code, f"{where}: {err.strerror}")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        refuse("checkpoint.special_file", f"{where} is not a regular file")
    return descriptor


def _read_file(folder: int, name: str, manifest: CheckpointManifest, path: Path) -> bytearray:
    """The file's bytes, after their hash was compared. Raises `checkpoint.size`, `.hash` or `.unreadable`."""
    entry, where = manifest.files[name], path / name
    buffer = bytearray(entry.bytes)
    hasher, view, done = hashlib.sha256(), memoryview(buffer), 0
    with open(_open_file(folder, name, where), "rb", buffering=0) as stream:
        try:
            while done < entry.bytes and (count := stream.readinto(view[done : done + _CHUNK_BYTES])):
                hasher.update(view[done : done + count])
                done += count
            longer = stream.read(1)
        except OSError as err:
            refuse("checkpoint.unreadable", f"{where}: {err.strerror} (errno {err.errno})")
    if done != entry.bytes or longer:
        refuse("checkpoint.size", f"{where} changed while it was read: {done:,} bytes, {entry.bytes:,} were saved")
    if hasher.hexdigest() != entry.sha256:
        refuse("checkpoint.hash", f"{where} has sha256 {hasher.hexdigest()[:12]}..., saved was {entry.sha256[:12]}...")
    return buffer


def _read_json(folder: int, name: str, manifest: CheckpointManifest, path: Path) -> dict[str, Any]:
    obj = parse_json(bytes(_read_file(folder, name, manifest, path)), str(path / name))
    if not isinstance(obj, dict):
        refuse("checkpoint.state", f"{path / name} is a {type(obj).__name__}, not an object")
    return obj


def _require_sound(tensors: dict[str, dict[str, raw.RawTensor]], manifest: CheckpointManifest, path: Path) -> None:
    for part in FINITE_PARTS:
        if (bad := raw.first_nonfinite(tensors.get(part, {}))) is not None:
            refuse("checkpoint.nonfinite", f"{path / TENSOR_FILES[part]}: tensor {bad} holds NaN or infinity")
    if "weights" in tensors:
        digest, saved = raw.tensors_digest(tensors["weights"]), manifest.weights_digest
        if digest != saved:
            refuse("checkpoint.digest", f"{path}: the weights have digest {digest[:12]}..., {saved[:12]}... was saved")
    if tensors.get("rng"):
        found = {name.partition(".")[0] for name in tensors["rng"]}
        expected = {f"rank{rank}" for rank in range(manifest.world_size)}
        if found != expected:
            refuse("checkpoint.world_size", f"{path}: generators of {sorted(found)}, world size {manifest.world_size}")
