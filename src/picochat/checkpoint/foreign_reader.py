"""Weights that others saved: safetensors in one file or several, read into float32, one tensor in memory beside them.

    model.safetensors                        one file
    model.safetensors.index.json             {"weight_map": {tensor: file}}, every file in the same folder

Heads of all files are read and compared with the model before anything large is allocated; then each file is read
once, from front to back, and hashed on the way. The bytes that are hashed are those that become weights.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from picochat.artifacts import layout
from picochat.checkpoint import raw
from picochat.checkpoint.tensors import first_nonfinite
from picochat.core.errors import PicochatError, refuse
from picochat.core.jsonio import parse_json
from picochat.core.untrusted import SeenFile, UntrustedFolder

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
MAX_HEAD_BYTES = 32 << 20
MAX_INDEX_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 20
_OTHER_FORMS = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack", ".gguf", ".onnx")


@dataclass(frozen=True)
class ForeignWeights:
    """Float32 tensors on the CPU by their foreign names; how many were saved in which type; what was left out."""

    tensors: dict[str, Tensor]
    saved_dtypes: dict[str, int]
    left_out: tuple[str, ...]


class _Head(NamedTuple):
    text: bytes
    """Everything before the data."""
    spans: dict[str, raw.Span]
    """By tensor, in the order of the file."""


def read_foreign_weights(
    folder: UntrustedFolder,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    tied: Mapping[str, str],
    derived: Callable[[str], bool],
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> ForeignWeights:
    """All tensors that `shapes` names, and no others. `folder.seen` then has the digests of the files.

    `tied` maps a name that may stand there too to the one that it must equal; `derived` says which other tensors are
    computed here and may be left out. `tell` hears of bytes read. Raises `foreign.*`.
    """
    files = _list_files(folder)
    heads = {name: _read_head(folder, name) for name in files}
    for name, tensors in files.items():
        _require_listed(folder.path / name, heads[name], tensors)
    found = {tensor: span for head in heads.values() for tensor, span in head.spans.items()}
    left_out = _require_model(folder.path, found, shapes, tied, derived)
    sizes = [len(head.text) + sum(span.end - span.start for span in head.spans.values()) for head in heads.values()]
    state: dict[str, Tensor] = {}
    for done, (name, head) in enumerate(heads.items()):
        before = sum(sizes[:done])
        _read_data(folder, name, head, state, left_out, lambda here, b=before: tell(b + here, sum(sizes)))
    for copy, original in tied.items():
        if copy in state and not torch.equal(state.pop(copy), state[original]):
            refuse("foreign.tied", f"{folder.path}: {copy} differs from {original}, and config.json ties the two")
    left_out += [copy for copy in tied if copy in found]
    counts = Counter(span.dtype for name, span in found.items() if name in shapes)
    return ForeignWeights(state, dict(sorted(counts.items())), tuple(sorted(left_out)))


def _list_files(folder: UntrustedFolder) -> dict[str, list[str] | None]:
    """The weight files, each with the tensors that the index puts into it; None where there is no index."""
    names = folder.names()
    if layout.HF_WEIGHTS in names:
        return {layout.HF_WEIGHTS: None}
    if layout.HF_INDEX not in names:
        if others := [name for name in names if name.endswith(_OTHER_FORMS)]:
            refuse("foreign.pickle", f"{folder.path} holds its weights as {others[0]}, not as {layout.HF_WEIGHTS}")
        refuse("foreign.file", f"{folder.path} has neither {layout.HF_WEIGHTS} nor {layout.HF_INDEX}", why="")
    where = folder.path / layout.HF_INDEX
    try:
        mapped = folder.read_object(layout.HF_INDEX, MAX_INDEX_BYTES).get("weight_map")
    except PicochatError as err:
        refuse("foreign.index", err.detail)
    if not isinstance(mapped, dict) or not mapped:
        refuse("foreign.index", f"{where} has no weight_map")
    listed: dict[str, list[str]] = {}
    for tensor, name in mapped.items():
        plain = isinstance(name, str) and name.endswith(".safetensors") and not set(name) & set("/\\\0")
        if not plain:
            refuse("foreign.index", f"{where} puts {tensor} into {str(name)[:80]!r}, which is no file of this folder")
        listed.setdefault(name, []).append(tensor)
    return dict(listed)


def _read_head(folder: UntrustedFolder, name: str) -> _Head:
    where = folder.path / name
    with folder.open(name) as stream:
        size = os.fstat(stream.fileno()).st_size
        length = int.from_bytes(_read_exactly(stream, min(8, size), where), "little")
        if size < 8 or length > min(size - 8, MAX_HEAD_BYTES):
            refuse("foreign.tensors", f"{where}: a header of {length:,} bytes in a file of {size:,}")
        text = bytes(_read_exactly(stream, length, where))
    try:
        header = parse_json(text, f"{where} header")
        spans = raw.lay_out(_entries(header, where), size - 8 - length, str(where))
    except PicochatError as err:
        refuse(err.code if err.code.startswith("foreign.") else "foreign.tensors", err.detail)
    return _Head(length.to_bytes(8, "little") + text, spans)


def _entries(header: Any, where: Path) -> dict[str, Any]:
    """The tensors of a header, without its free metadata."""
    if not isinstance(header, dict):
        refuse("foreign.tensors", f"{where}: the header is a {type(header).__name__}, not an object")
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    for name, entry in entries.items():
        dtype = entry.get("dtype") if isinstance(entry, dict) else None
        if isinstance(dtype, str) and dtype not in DTYPES:
            refuse("foreign.dtype", f"{where}: {name} is {dtype[:20]}, read are {', '.join(DTYPES)}")
    return entries


def _require_listed(where: Path, head: _Head, tensors: list[str] | None) -> None:
    if tensors is None:
        return
    if absent := sorted(set(tensors) - head.spans.keys()):
        refuse("foreign.index", f"{where} has no {absent[0]}, the index says it has ({len(absent)} in all)")
    if extra := sorted(head.spans.keys() - set(tensors)):
        refuse("foreign.index", f"{where} has {extra[0]}, which the index does not name ({len(extra)} in all)")


def _require_model(
    path: Path,
    found: Mapping[str, raw.Span],
    shapes: Mapping[str, tuple[int, ...]],
    tied: Mapping[str, str],
    derived: Callable[[str], bool],
) -> list[str]:
    """The names that are left out. Raises `foreign.names` or `foreign.shape`."""
    if absent := sorted(shapes.keys() - found.keys()):
        refuse("foreign.names", f"{path}: the model has {absent[0]}, the files have not ({len(absent)} in all)")
    extra = sorted(found.keys() - shapes.keys() - tied.keys())
    if unknown := [name for name in extra if not derived(name)]:
        refuse("foreign.names", f"{path}: the files have {unknown[0]}, the model has not ({len(unknown)} in all)")
    wanted = {**shapes, **{copy: shapes[original] for copy, original in tied.items()}}
    for name in sorted(found.keys() & wanted.keys()):
        if found[name].shape != wanted[name]:
            refuse(
                "foreign.shape", f"{path}: {name} has shape {found[name].shape}, config.json makes it {wanted[name]}"
            )
    return extra


def _read_data(
    folder: UntrustedFolder,
    name: str,
    head: _Head,
    state: dict[str, Tensor],
    left_out: list[str],
    tell: Callable[[int], None],
) -> None:
    """Adds the tensors of one file to `state`, and the file to what was seen."""
    where, hasher, size = folder.path / name, hashlib.sha256(), len(head.text)
    with folder.open(name) as stream:
        text = bytes(_read_exactly(stream, len(head.text), where))
        hasher.update(text)
        for tensor, span in head.spans.items():
            data = _read_exactly(stream, span.end - span.start, where)
            hasher.update(data)
            size += len(data)
            tell(size)
            if tensor not in left_out:
                state[tensor] = _widen(data, span, tensor, where)
        if text != head.text or stream.read(1):
            refuse("foreign.tensors", f"{where} changed while it was read", fix="import it again")
    folder.seen[name] = SeenFile(size, hasher.hexdigest())


def _widen(data: bytearray, span: raw.Span, name: str, where: Path) -> Tensor:
    """The tensor in float32, which holds every bfloat16 and float16 exactly; of F32 the very bytes."""
    dtype = DTYPES[span.dtype]
    saved = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
    tensor = saved.reshape(span.shape).to(torch.float32)
    if first_nonfinite({name: tensor}) is not None:
        refuse("foreign.nonfinite", f"{where}: {name} holds NaN or infinity")
    return tensor


def _read_exactly(stream: BinaryIO, size: int, where: Path) -> bytearray:
    buffer = bytearray(size)
    view, done = memoryview(buffer), 0
    while done < size and (count := stream.readinto(view[done : done + _CHUNK_BYTES])):  # pyright: ignore[reportAttributeAccessIssue]
        done += count
    if done < size:
        refuse("foreign.tensors", f"{where} ends after {done:,} of {size:,} bytes of a tensor or header")
    return buffer
