"""Tensors to safetensors bytes and back. The only place where tensors meet the disk."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from picochat.checkpoint import raw
from picochat.core.fs import ComparingReader, HashingWriter
from picochat.core.publish import Stream

NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_DTYPES = {name: dtype for dtype, name in NAMES.items()}


def tensor_stream(state: Mapping[str, Tensor]) -> Stream:
    """A byte stream of `state`: the same bytes whatever the order of its names. One tensor is copied at a time."""

    def write(writer: HashingWriter | ComparingReader) -> None:
        order, head = raw.header_bytes({name: (NAMES[t.dtype], tuple(t.shape)) for name, t in state.items()})
        writer.write(head)
        for name in order:
            writer.write(raw_tensor(state[name]).data)

    return write


def pack_tensors(state: Mapping[str, Tensor]) -> bytes:
    """`state` as the bytes of one file, to be sent to another rank."""
    buffer = io.BytesIO()
    tensor_stream(state)(HashingWriter(buffer))
    return buffer.getvalue()


def unpack_tensors(data: bytes, what: str) -> dict[str, Tensor]:
    """What `pack_tensors` gave. Raises `checkpoint.tensors`."""
    return build_tensors(raw.parse_tensors(bytearray(data), what))


def state_bytes(state: Mapping[str, Tensor]) -> int:
    """Size of the tensors' data in bytes, without the header."""
    return sum(t.numel() * t.element_size() for t in state.values())


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """sha256 over the sorted (name, dtype, shape, bytes): the same whatever file or device holds the weights."""
    hasher = hashlib.sha256()
    for name in sorted(state):
        raw.update_digest(hasher, name, raw_tensor(state[name]))
    return hasher.hexdigest()


def first_nonfinite(state: Mapping[str, Tensor]) -> str | None:
    """The first name, in sorted order, that holds a NaN or an infinity."""
    return next((name for name in sorted(state) if not _is_finite(state[name])), None)


def _is_finite(tensor: Tensor) -> bool:
    """The extremes carry NaN and infinity with them, and need no copy of the tensor."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    return all(math.isfinite(extreme) for extreme in torch.aminmax(tensor.detach()))


def raw_tensor(tensor: Tensor) -> raw.RawTensor:
    """A tensor's bytes in host memory; a view where it is contiguous and there already."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    data = memoryview(flat.view(torch.uint8).numpy().data) if flat.numel() else memoryview(b"")
    return raw.RawTensor(NAMES[tensor.dtype], tuple(tensor.shape), data)


def build_tensors(tensors: Mapping[str, raw.RawTensor]) -> dict[str, Tensor]:
    """CPU tensors that share the memory of the bytes they were read from."""
    return {name: _build(tensor) for name, tensor in tensors.items()}


def _build(tensor: raw.RawTensor) -> Tensor:
    dtype = _DTYPES[tensor.dtype]
    if not tensor.data.nbytes:
        return torch.empty(tensor.shape, dtype=dtype)
    return torch.frombuffer(tensor.data, dtype=dtype).reshape(tensor.shape)
