"""Weights for other libraries: a safetensors file with the metadata that they ask for, written and read back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from picochat.checkpoint import raw
from picochat.checkpoint.tensors import NAMES, build_tensors, raw_tensor
from picochat.core.errors import PicochatError, refuse
from picochat.core.jsonio import canonical_json, parse_json

METADATA = {"format": "pt"}
"""Says that the tensors were torch's; transformers refuses a file without it."""
_METADATA_KEY = "__metadata__"


def write_exported(path: Path, state: Mapping[str, Tensor]) -> None:
    """Writes `state` under the names it has: the same bytes for the same tensors. One tensor is copied at a time."""
    order, head = raw.header_bytes({name: (NAMES[t.dtype], tuple(t.shape)) for name, t in state.items()})
    with path.open("wb") as stream:
        stream.write(_with_metadata(head))
        for name in order:
            stream.write(raw_tensor(state[name]).data)


def read_exported(path: Path) -> dict[str, Tensor]:
    """The tensors of such a file. Raises `checkpoint.tensors` for any other layout or metadata, `artifact.missing`."""
    what = str(path)
    try:
        data = bytearray(path.read_bytes())
    except OSError:
        refuse("artifact.missing", f"{path} cannot be read")
    end = 8 + int.from_bytes(data[:8], "little")
    try:
        header = parse_json(bytes(data[8:end]), f"{what} header", raw.MAX_HEADER_BYTES)
    except PicochatError as err:
        refuse("checkpoint.tensors", err.detail)
    if not isinstance(header, dict) or header.pop(_METADATA_KEY, None) != METADATA:
        refuse("checkpoint.tensors", f"{what}: the header does not say {METADATA}")
    return build_tensors(raw.parse_tensors(_framed(canonical_json(header)) + data[end:], what))


def _with_metadata(head: bytes) -> bytes:
    header = parse_json(head[8:], "header")
    return bytes(_framed(canonical_json({_METADATA_KEY: METADATA, **header})))


def _framed(text: bytes) -> bytearray:
    """A header with its length before it, padded so that the data is aligned."""
    text += b" " * (-len(text) % 8)
    return bytearray(len(text).to_bytes(8, "little") + text)
