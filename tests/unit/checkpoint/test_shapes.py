"""Shapes from a header alone: what is counted is what the file holds, and no other file is believed."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from picochat.checkpoint.raw import header_bytes
from picochat.checkpoint.shapes import count_elements, read_shapes
from picochat.core.errors import PicochatError

SHAPES = {"scale": (), "table": (5, 3), "vector": (4,)}
ELEMENTS = 1 + 15 + 4


def write(path: Path, data: bytes = b"\0" * 4 * ELEMENTS) -> Path:
    _, head = header_bytes({name: ("F32", shape) for name, shape in SHAPES.items()})
    path.write_bytes(head + data)
    return path


def test_shapes_and_elements_are_those_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "weights")
    assert read_shapes(path) == SHAPES
    assert count_elements(path) == ELEMENTS


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\1",
        struct.pack("<Q", 2**63),
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 2) + b"{{",
        struct.pack("<Q", 5) + b"{}",
    ],
    ids=["empty", "torn", "huge length", "no object", "no json", "length beyond the end"],
)
def test_a_header_that_describes_nothing_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "weights"
    path.write_bytes(data)
    with pytest.raises(PicochatError) as refused:
        read_shapes(path)
    assert refused.value.code == "checkpoint.tensors"


@pytest.mark.parametrize("data", [b"\0" * (4 * ELEMENTS - 4), b"\0" * (4 * ELEMENTS + 4)], ids=["short", "long"])
def test_tensors_must_cover_the_file(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(PicochatError, match="checkpoint.tensors"):
        count_elements(write(tmp_path / "weights", data))


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(PicochatError, match="checkpoint.unreadable"):
        read_shapes(tmp_path / "weights")
