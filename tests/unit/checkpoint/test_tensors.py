"""Tensors and bytes: the layout is safetensors, the digest is the same with and without torch."""

import io

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.checkpoint import raw
from picochat.checkpoint.tensors import (
    NAMES,
    build_tensors,
    first_nonfinite,
    state_bytes,
    tensor_stream,
    weights_digest,
)
from picochat.core.errors import PicochatError
from picochat.core.fs import HashingWriter


def bytes_of(state) -> bytearray:
    stream = io.BytesIO()
    tensor_stream(state)(HashingWriter(stream))
    return bytearray(stream.getvalue())


def same_bits(left: torch.Tensor, right: torch.Tensor) -> bool:
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    flat = [t.contiguous().reshape(-1).view(torch.uint8) for t in (left, right)] if left.numel() else [left, right]
    return torch.equal(*flat)


@st.composite
def states(draw):
    names = draw(st.lists(st.text("abc._é", min_size=1, max_size=6), max_size=5, unique=True))
    out = {}
    for name in names:
        dtype = draw(st.sampled_from(sorted(NAMES, key=str)))
        shape = draw(st.lists(st.integers(0, 3), max_size=3))
        generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
        size = torch.empty(shape, dtype=dtype)
        data = torch.randint(0, 2, (size.numel() * size.element_size(),), dtype=torch.uint8, generator=generator)
        out[name] = (data.view(dtype) if data.numel() else size).reshape(shape)
    return out


@given(states())
@settings(max_examples=60, deadline=None)
def test_round_trip_keeps_every_bit_and_the_digest(state):
    data = bytes_of(state)
    parsed = raw.parse_tensors(data, "state")
    back = build_tensors(parsed)
    assert back.keys() == state.keys()
    assert all(same_bits(back[name], state[name]) for name in state)
    assert raw.tensors_digest(parsed) == weights_digest(state) == weights_digest(dict(reversed(state.items())))
    assert bytes_of(dict(reversed(state.items()))) == data


def test_the_safetensors_library_reads_what_is_written_and_the_other_way_round():
    state = {"w": torch.randn(3, 5), "h": torch.randn(2).bfloat16(), "i": torch.arange(3), "flag": torch.tensor([True])}
    theirs = safetensors.torch.load(bytes(bytes_of(state)))
    assert all(same_bits(theirs[name], state[name]) for name in state)
    ours = raw.parse_tensors(bytearray(safetensors.torch.save(state)), "theirs")
    assert raw.tensors_digest(ours) == weights_digest(state), "the digest is stable whatever file holds the weights"


def test_a_strided_view_has_the_digest_of_its_contiguous_copy():
    matrix = torch.arange(12.0).reshape(3, 4)
    assert weights_digest({"w": matrix.T}) == weights_digest({"w": matrix.T.contiguous()})
    assert weights_digest({"w": matrix.T}) != weights_digest({"w": matrix.reshape(4, 3)})


def test_the_digest_tells_names_types_shapes_and_values_apart():
    base = torch.zeros(4)
    versions = [
        {"w": base}, {"v": base}, {"w": base.reshape(2, 2)}, {"w": torch.zeros(4, dtype=torch.int32)},
        {"w": -base}, {"w": base, "v": torch.zeros(0)}, {},
    ]  # fmt: skip
    assert len({weights_digest(version) for version in versions}) == len(versions)


def test_size_in_bytes():
    assert state_bytes({"a": torch.zeros(3), "b": torch.zeros(2, dtype=torch.bfloat16)}) == 16


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nonfinite_values_are_found_with_and_without_torch(dtype, value):
    state = {"good": torch.full((5,), torch.finfo(dtype).max, dtype=dtype), "bad": torch.zeros(5, dtype=dtype)}
    assert first_nonfinite(state) is None
    assert raw.first_nonfinite(raw.parse_tensors(bytes_of(state), "x")) is None
    state["bad"][4] = value
    assert first_nonfinite(state) == "bad"
    assert raw.first_nonfinite(raw.parse_tensors(bytes_of(state), "x")) == "bad"


def header(text: str, data: bytes = b"\0" * 8) -> bytearray:
    return bytearray(len(text).to_bytes(8, "little") + text.encode() + data)


@pytest.mark.parametrize(
    "data",
    [
        bytearray(), bytearray(b"\1"), bytearray((1 << 60).to_bytes(8, "little")), header("[]"), header("{", b""),
        header('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', b"\0" * 9),
        header('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', b"\0" * 7),
        header('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}'),
        header('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}'),
        header('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'),
        header('{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}'),
        header('{"a":{"dtype":"F32","shape":[true,2],"data_offsets":[0,8]}}'),
        header('{"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}}'),
        header('{"a":{"dtype":"F32","shape":[2],"data_offsets":null}}'),
        header('{"a":{"dtype":"OBJECT","shape":[1],"data_offsets":[0,8]}}'),
        header('{"a":{"dtype":["F32"],"shape":[2],"data_offsets":[0,8]}}'),
        header('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}'),
        header('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'),
    ],
)  # fmt: skip
def test_any_other_layout_is_refused(data):
    with pytest.raises(PicochatError) as caught:
        raw.parse_tensors(data, "x")
    assert caught.value.code == "checkpoint.tensors"
