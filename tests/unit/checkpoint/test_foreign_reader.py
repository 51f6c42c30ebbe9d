"""Weights of others: one file or several, three types, and every lie refused before it costs memory."""

import json
import os
import struct

import numpy as np
import pytest
import torch
from tests.support.foreign_models import random_weights, safetensors_bytes

from picochat.checkpoint.foreign_reader import read_foreign_weights
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_file
from picochat.core.untrusted import UntrustedFolder

SHAPES = {"embed": (6, 4), "a.weight": (3, 4), "b.weight": (4,)}
ARRAYS = random_weights(SHAPES)


def read(folder, **changes):
    settings = {"tied": {"head": "embed"}, "derived": lambda name: name == "table"} | changes
    with UntrustedFolder(folder) as opened:
        return read_foreign_weights(opened, SHAPES, **settings), opened.seen


def refused(folder, code: str) -> str:
    with pytest.raises(PicochatError) as caught:
        read(folder)
    assert (caught.value.code, caught.value.exit_code) == (code, 4)
    return caught.value.detail


def write_sharded(folder, mapped=None, files=None):
    files = files or {"m-1.safetensors": ["embed"], "m-2.safetensors": ["a.weight", "b.weight"]}
    for name, tensors in files.items():
        (folder / name).write_bytes(safetensors_bytes({tensor: ARRAYS[tensor] for tensor in tensors}))
    mapped = mapped or {tensor: name for name, tensors in files.items() for tensor in tensors}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": mapped}))


def require_equal(found):
    assert found.tensors.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert torch.equal(found.tensors[name], torch.from_numpy(array)), name


def test_one_file_and_its_digest(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(ARRAYS))
    found, seen = read(tmp_path)
    require_equal(found)
    assert found.saved_dtypes == {"F32": 3} and found.left_out == ()
    assert seen["model.safetensors"].sha256 == sha256_file(tmp_path / "model.safetensors")
    assert seen["model.safetensors"].bytes == (tmp_path / "model.safetensors").stat().st_size


def test_several_files(tmp_path):
    write_sharded(tmp_path)
    found, seen = read(tmp_path)
    require_equal(found)
    assert set(seen) == {"model.safetensors.index.json", "m-1.safetensors", "m-2.safetensors"}


@pytest.mark.parametrize(("name", "dtype"), [("F16", torch.float16), ("BF16", torch.bfloat16)])
def test_halves_become_float32_without_a_change_of_value(tmp_path, name, dtype):
    halves = {key: torch.from_numpy(array).to(dtype) for key, array in ARRAYS.items()}
    arrays = {key: half.view(torch.int16).numpy() for key, half in halves.items()}
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(arrays, name))
    found, _ = read(tmp_path)
    assert found.saved_dtypes == {name: 3}
    for key, half in halves.items():
        assert found.tensors[key].dtype == torch.float32
        assert torch.equal(found.tensors[key], half.float())


def test_a_tied_head_may_stand_there_when_it_is_the_embedding(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors_bytes({"head": ARRAYS["embed"], **ARRAYS, "table": np.ones(2, np.float32)}))
    found, _ = read(tmp_path)
    require_equal(found)
    assert found.left_out == ("head", "table")
    path.write_bytes(safetensors_bytes({"head": ARRAYS["embed"] + 1, **ARRAYS}))
    assert "head differs from embed" in refused(tmp_path, "foreign.tied")


def test_tensors_that_are_missing_or_too_many_are_named(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors_bytes({key: ARRAYS[key] for key in ("embed", "a.weight")}))
    assert "b.weight" in refused(tmp_path, "foreign.names")
    path.write_bytes(safetensors_bytes(ARRAYS | {"c.bias": ARRAYS["b.weight"]}))
    assert "c.bias" in refused(tmp_path, "foreign.names")
    path.write_bytes(safetensors_bytes(ARRAYS | {"embed": ARRAYS["embed"].T.copy()}))
    assert "(4, 6)" in refused(tmp_path, "foreign.shape")


def test_numbers_that_are_none_are_refused(tmp_path):
    spoilt = ARRAYS["a.weight"].copy()
    spoilt[0, 0] = np.nan
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(ARRAYS | {"a.weight": spoilt}))
    assert "a.weight" in refused(tmp_path, "foreign.nonfinite")


@pytest.mark.parametrize("dtype", ["F8_E4M3", "I32", "F64"])
def test_other_types_are_refused_by_name(tmp_path, dtype):
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(ARRAYS, dtype))
    assert dtype in refused(tmp_path, "foreign.dtype")


def whole() -> bytes:
    return safetensors_bytes(ARRAYS)


def with_head(change) -> bytes:
    data = whole()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


LIES = {
    "empty": lambda: b"",
    "only a length": lambda: b"\x10" + bytes(7),
    "length past the end": lambda: struct.pack("<Q", 1 << 40) + whole()[8:],
    "huge length": lambda: struct.pack("<Q", (1 << 64) - 1) + whole()[8:],
    "truncated": lambda: whole()[:-1],
    "longer": lambda: whole() + b"x",
    "header no object": lambda: struct.pack("<Q", 2) + b"[]",
    "header no json": lambda: struct.pack("<Q", 2) + b"{x",
    "tensor twice": lambda: struct.pack("<Q", 15) + b'{"a":1,  "a":2}',
    "overlap": lambda: with_head(lambda h: h["a.weight"].update(data_offsets=[0, 48])),
    "gap": lambda: with_head(lambda h: h["a.weight"].update(data_offsets=[100, 148])),
    "negative": lambda: with_head(lambda h: h["a.weight"].update(shape=[-3, -4])),
    "shape too large": lambda: with_head(lambda h: h["a.weight"].update(shape=[1 << 62, 4])),
    "no entry": lambda: with_head(lambda h: h.update({"a.weight": 7})),
    "unknown dtype kind": lambda: with_head(lambda h: h["a.weight"].update(dtype=4)),
}


@pytest.mark.parametrize("lie", LIES)
def test_files_that_lie_about_themselves(tmp_path, lie):
    (tmp_path / "model.safetensors").write_bytes(LIES[lie]())
    refused(tmp_path, "foreign.tensors")


@pytest.mark.parametrize("name", ["../out.safetensors", "/etc/passwd", "a/b.safetensors", "x.bin", "", 3, None])
def test_an_index_that_leads_elsewhere(tmp_path, name):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "out.safetensors").write_bytes(safetensors_bytes(ARRAYS))
    write_sharded(folder, mapped=dict.fromkeys(SHAPES, name))
    refused(folder, "foreign.index")


def test_an_index_that_is_wrong_about_its_files(tmp_path):
    write_sharded(tmp_path, mapped={"embed": "m-2.safetensors", "a.weight": "m-2.safetensors"})
    assert "embed" in refused(tmp_path, "foreign.index")
    write_sharded(tmp_path, mapped={"a.weight": "m-2.safetensors", "embed": "m-1.safetensors"})
    assert "b.weight" in refused(tmp_path, "foreign.index")
    for text in ("[]", "{", '{"weight_map": {}}', '{"weight_map": [1]}'):
        (tmp_path / "model.safetensors.index.json").write_text(text)
        refused(tmp_path, "foreign.index")
    write_sharded(tmp_path)
    (tmp_path / "m-1.safetensors").unlink()
    assert "m-1.safetensors" in refused(tmp_path, "foreign.file")


def test_pickles_alone_are_refused_with_the_reason(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    assert "pytorch_model.bin" in refused(tmp_path, "foreign.pickle")
    (tmp_path / "pytorch_model.bin").unlink()
    refused(tmp_path, "foreign.file")


def test_links_and_pipes_are_never_followed(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "out.safetensors").write_bytes(safetensors_bytes(ARRAYS))
    (folder / "model.safetensors").symlink_to(tmp_path / "out.safetensors")
    refused(folder, "foreign.file")
    (folder / "model.safetensors").unlink()
    os.mkfifo(folder / "model.safetensors")
    refused(folder, "foreign.file")
    (tmp_path / "link").symlink_to(folder)
    refused(tmp_path / "link", "foreign.file")
