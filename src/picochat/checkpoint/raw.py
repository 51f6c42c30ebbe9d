"""Safetensors bytes without torch: layout, digest, finiteness (https://huggingface.co/docs/safetensors, "Format").

A file is 8 bytes of header length (little-endian), a JSON header {name: {dtype, shape, data_offsets}}, and the data
without gaps.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from picochat.core.errors import PicochatError, refuse
from picochat.core.jsonio import canonical_json, parse_json

ITEM_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U64": 8,
    "U32": 4,
    "U16": 2,
    "U8": 1,
    "BOOL": 1,
}
MAX_HEADER_BYTES = 100_000_000
_FINITE_CHUNK = 1 << 22
# Unsigned view and exponent mask: all exponent bits set is infinity or NaN.
_EXPONENTS = {
    "F64": (np.uint64, 0x7FF0_0000_0000_0000),
    "F32": (np.uint32, 0x7F80_0000),
    "F16": (np.uint16, 0x7C00),
    "BF16": (np.uint16, 0x7F80),
}


class RawTensor(NamedTuple):
    """A tensor as it lies in a file: safetensors type name, shape, little-endian bytes in row-major order."""

    dtype: str
    shape: tuple[int, ...]
    data: memoryview


class Span(NamedTuple):
    """A tensor's safetensors type, shape, and place among the bytes after the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def header_bytes(entries: Mapping[str, tuple[str, tuple[int, ...]]]) -> tuple[list[str], bytes]:
    """Order of the tensors and the file's head. Wider types come first, so that all are aligned; then by name."""
    order = sorted(entries, key=lambda name: (-ITEM_BYTES[entries[name][0]], name))
    header: dict[str, Any] = {}
    offset = 0
    for name in order:
        dtype, shape = entries[name]
        end = offset + ITEM_BYTES[dtype] * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = canonical_json(header)
    text += b" " * (-len(text) % 8)
    return order, len(text).to_bytes(8, "little") + text


def parse_tensors(buffer: bytearray, what: str) -> dict[str, RawTensor]:
    """Views into `buffer` by name; nothing is copied. Raises `checkpoint.tensors` on any other layout."""
    view = memoryview(buffer)
    length = int.from_bytes(view[:8], "little")
    spans = parse_header(bytes(view[8 : 8 + min(length, MAX_HEADER_BYTES)]), length, len(view), what)
    data = view[8 + length :]
    return {name: RawTensor(span.dtype, span.shape, data[span.start : span.end]) for name, span in spans.items()}


def parse_header(header: bytes, length: int, size: int, what: str) -> dict[str, Span]:
    """Where each tensor lies, in the order of the data: a header of `length` bytes in a file of `size` bytes.

    Raises `checkpoint.tensors` when they do not cover the file exactly.
    """
    if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
        refuse("checkpoint.tensors", f"{what}: a header of {length:,} bytes in a file of {size:,}")
    try:
        entries = parse_json(header, f"{what} header")
    except PicochatError as err:
        refuse("checkpoint.tensors", err.detail)
    if not isinstance(entries, dict):
        refuse("checkpoint.tensors", f"{what}: the header is a {type(entries).__name__}, not an object")
    return lay_out(entries, size - 8 - length, what)


def join_slices(ranks: Sequence[Mapping[str, RawTensor]], what: str) -> dict[str, RawTensor]:
    """Whole tensors from the slices of all ranks, which follow each other along the first axis.

    A scalar is no slice: rank 0 alone has it. Raises `checkpoint.tensors` when a slice is missing or does not fit.
    """
    names = sorted(set().union(*ranks))
    return {name: _join(name, [rank.get(name) for rank in ranks], what) for name in names}


def _join(name: str, slices: Sequence[RawTensor | None], what: str) -> RawTensor:
    first = slices[0]
    if first is not None and not first.shape and not any(slices[1:]):
        return first
    found = [piece for piece in slices if piece is not None and piece.shape]
    kinds = {(piece.dtype, piece.shape[1:]) for piece in found}
    if len(found) != len(slices) or len(kinds) != 1:
        shapes = [piece and (piece.dtype, piece.shape) for piece in slices]
        refuse("checkpoint.tensors", f"{what}: the slices of {name} are {shapes}")
    data = bytearray().join(piece.data for piece in found)
    shape = (sum(piece.shape[0] for piece in found), *found[0].shape[1:])
    return RawTensor(found[0].dtype, shape, memoryview(data))


def tensors_digest(tensors: Mapping[str, RawTensor]) -> str:
    """sha256 over the tensors sorted by name: canonical JSON of [name, dtype, shape], a newline, the bytes."""
    hasher = hashlib.sha256()
    for name in sorted(tensors):
        update_digest(hasher, name, tensors[name])
    return hasher.hexdigest()


def update_digest(hasher: Any, name: str, tensor: RawTensor) -> None:
    """Adds one tensor to a weights digest; the caller goes through the names in sorted order."""
    hasher.update(canonical_json([name, tensor.dtype, list(tensor.shape)]) + b"\n")
    hasher.update(tensor.data)


def first_nonfinite(tensors: Mapping[str, RawTensor]) -> str | None:
    """The first name, in sorted order, that holds a NaN or an infinity."""
    return next((name for name in sorted(tensors) if not is_finite(tensors[name])), None)


def is_finite(tensor: RawTensor) -> bool:
    """Whether no element is NaN or infinite; integers always are finite."""
    if tensor.dtype not in _EXPONENTS:
        return True
    unsigned, mask = _EXPONENTS[tensor.dtype]
    bits = np.frombuffer(tensor.data, dtype=unsigned)
    chunks = (bits[i : i + _FINITE_CHUNK] for i in range(0, bits.size, _FINITE_CHUNK))
    return not any(bool(((chunk & mask) == mask).any()) for chunk in chunks)


def lay_out(header: Mapping[str, Any], size: int, what: str) -> dict[str, Span]:
    """Where each tensor of a parsed header lies among `size` bytes of data, in the order of the file.

    Raises `checkpoint.tensors` unless they fill the data without a gap and each is as long as its shape says.
    """
    spans = {name: _span(name, entry, what) for name, entry in header.items()}
    ordered, expected = {}, 0
    for name in sorted(spans, key=lambda key: spans[key][2:]):
        dtype, shape, start, end = ordered[name] = spans[name]
        if start != expected or end - start != ITEM_BYTES[dtype] * math.prod(shape) or end > size:
            place = f"{start:,} to {end:,} of {size:,}, expected from {expected:,}"
            refuse("checkpoint.tensors", f"{what}: {name} {dtype} {shape} lies at {place}")
        expected = end
    if expected != size:
        refuse("checkpoint.tensors", f"{what}: {size:,} bytes of data, the tensors cover {expected:,}")
    return ordered


def _span(name: str, entry: Any, what: str) -> Span:
    known = isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"}
    if not known or str(entry["dtype"]) not in ITEM_BYTES:
        refuse("checkpoint.tensors", f"{what}: entry {name!r} is not a tensor of a known type")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        refuse("checkpoint.tensors", f"{what}: {name!r} has shape {shape} and offsets {offsets}")
    return Span(entry["dtype"], tuple(shape), offsets[0], offsets[1])


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)
