"""Damaged and forged checkpoints: each is refused by name, with exit code 4, and the torch-free check agrees."""

import os
import random
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.support.checkpoints import RUN, SHAPES, build_state, resign, save_tiny

import picochat
from picochat.checkpoint import verify
from picochat.checkpoint.format import parse_manifest
from picochat.checkpoint.reader import load_checkpoint
from picochat.checkpoint.tensors import tensor_stream, weights_digest
from picochat.checkpoint.verify import check_checkpoint_files, is_whole
from picochat.core.errors import PicochatError
from picochat.core.fs import HashingWriter
from picochat.core.jsonio import pretty_json, read_json

pytestmark = pytest.mark.bar("A4")
MANIFEST, WEIGHTS, OPTIMIZER, STATE = "MANIFEST.json", "model.safetensors", "optimizer.safetensors", "train_state.json"
NAN = torch.tensor([1.0, 2.0, float("nan"), 4.0])


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    stage = tmp_path_factory.mktemp("stage")
    for step in (2, 3):
        save_tiny(stage, step)
    return stage


@pytest.fixture
def folder(template, tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "RETRY_DELAY_S", 0.0)
    shutil.copytree(template, tmp_path / "base")
    return tmp_path / "base" / "checkpoint"


def edit(path: Path, change) -> None:
    data = bytearray(path.read_bytes())
    path.write_bytes(change(data) or data)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at // 8] ^= 1 << at % 8
    path.write_bytes(data)


def write_tensors(path: Path, state) -> None:
    with path.open("wb") as stream:
        tensor_stream(state)(HashingWriter(stream))


def replace_weights(folder: Path, state, **changes) -> None:
    """Other weights under right hashes and a right digest: only the meaning is wrong."""
    write_tensors(folder / WEIGHTS, state)
    resign(folder, **({"weights_digest": weights_digest(state)} | changes))


def list_file(folder: Path, name: str) -> None:
    files = read_json(folder / MANIFEST)["files"]
    resign(folder, files=files | {name: files[STATE]})


def swap_files(folder: Path) -> None:
    (folder / "ema.safetensors").rename(folder / "x")
    (folder / WEIGHTS).rename(folder / "ema.safetensors")
    (folder / "x").rename(folder / WEIGHTS)


def replace_by_pipe(folder: Path) -> None:
    (folder / OPTIMIZER).unlink()
    os.mkfifo(folder / OPTIMIZER)


def replace_by_socket(folder: Path) -> None:
    (folder / OPTIMIZER).unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / OPTIMIZER))


def link_file(folder: Path, name: str = WEIGHTS) -> None:
    (folder / name).rename(folder.parent / "elsewhere")
    (folder / name).symlink_to(folder.parent / "elsewhere")


def take_previous(folder: Path, name: str) -> None:
    shutil.copy(folder.parent / "checkpoint.previous" / name, folder / name)


def unlist_optimizer(folder: Path) -> None:
    files = read_json(folder / MANIFEST)["files"]
    resign(folder, files={name: entry for name, entry in files.items() if name != OPTIMIZER})


def link_folder(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere")


def empty_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def become_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"")


def duplicate_key(folder: Path) -> None:
    edit(folder / MANIFEST, lambda d: d.replace(b'"step": 3', b'"step": 3, "step": 4'))


def set_in_text(old: bytes, new: bytes):
    return lambda folder: edit(folder / MANIFEST, lambda d: d.replace(old, new))


def huge_manifest(folder: Path) -> None:
    with (folder / MANIFEST).open("r+b") as stream:
        stream.truncate(100_000_000)


def hostile_pickle(folder: Path) -> None:
    canary = folder.parent / "canary"
    (folder / WEIGHTS).write_bytes(f"cos\nsystem\n(S'touch {canary}'\ntR.".encode())
    resign(folder)


MUTATIONS = {
    "no folder": (shutil.rmtree, "missing"),
    "empty folder": (empty_folder, "incomplete"),
    "a file instead of the folder": (become_a_file, "special_file"),
    "no manifest": (lambda f: (f / MANIFEST).unlink(), "incomplete"),
    "empty manifest": (lambda f: (f / MANIFEST).write_bytes(b""), "manifest_json"),
    "truncated manifest": (lambda f: edit(f / MANIFEST, lambda d: d[:-20]), "manifest_json"),
    "array manifest": (lambda f: (f / MANIFEST).write_bytes(b"[]"), "manifest_json"),
    "deep manifest": (lambda f: (f / MANIFEST).write_bytes(b"[" * 100_000), "manifest_json"),
    "100 MB manifest": (huge_manifest, "manifest_size"),
    "duplicate key": (duplicate_key, "manifest_json"),
    "NaN step": (set_in_text(b'"step": 3', b'"step": NaN'), "manifest_json"),
    "infinite step": (set_in_text(b'"step": 3', b'"step": 1e999'), "step"),
    "negative step": (lambda f: resign(f, step=-1), "step"),
    "fractional step": (lambda f: resign(f, step=3.0), "step"),
    "step of text": (lambda f: resign(f, step="3"), "step"),
    "edited step": (set_in_text(b'"step": 3', b'"step": 4'), "manifest_digest"),
    "other spacing": (lambda f: edit(f / MANIFEST, lambda d: d + b"\n"), "manifest_digest"),
    "format 999": (lambda f: resign(f, format_version=999), "format"),
    "format true": (lambda f: resign(f, format_version=True), "format"),
    "unknown key": (lambda f: resign(f, extra=1), "manifest"),
    "short digest": (lambda f: resign(f, weights_digest="abc"), "manifest"),
    "world size 0": (lambda f: resign(f, world_size=0), "manifest"),
    "no weights listed": (lambda f: ((f / WEIGHTS).unlink(), resign(f)), "manifest"),
    "missing file": (lambda f: (f / OPTIMIZER).unlink(), "missing_file"),
    "extra file": (lambda f: (f / "notes.txt").write_text("x"), "extra_file"),
    "extra folder": (lambda f: (f / "sharded").mkdir(), "extra_file"),
    "unlisted known file": (unlist_optimizer, "extra_file"),
    "zero-length file": (lambda f: (f / WEIGHTS).write_bytes(b""), "size"),
    "one byte short": (lambda f: edit(f / WEIGHTS, lambda d: d[:-1]), "size"),
    "one byte long": (lambda f: edit(f / OPTIMIZER, lambda d: d + b"x"), "size"),
    "zeroed 4 KiB page": (lambda f: edit(f / WEIGHTS, lambda d: d[:4096] + bytes(4096) + d[8192:]), "hash"),
    "flipped bit in weights": (lambda f: flip(f / WEIGHTS, 8 * 9000), "hash"),
    "flipped bit in optimizer": (lambda f: flip(f / OPTIMIZER, 8 * 9000), "hash"),
    "flipped bit in model config": (lambda f: flip(f / "model.json", 60), "hash"),
    "swapped files": (swap_files, "hash"),
    "weights of another step": (lambda f: take_previous(f, WEIGHTS), "hash"),
    "weights of another step, signed": (lambda f: (take_previous(f, WEIGHTS), resign(f)), "digest"),
    "manifest of another step": (lambda f: take_previous(f, MANIFEST), "hash"),
    "training state of another step": (lambda f: (take_previous(f, STATE), resign(f)), "state"),
    "manifest step against training state": (lambda f: resign(f, step=4), "state"),
    "manifest tokens against training state": (lambda f: resign(f, tokens_seen=4), "state"),
    "training state is a list": (lambda f: ((f / STATE).write_bytes(b"[]"), resign(f)), "state"),
    "right hashes, another weights digest": (lambda f: resign(f, weights_digest="0" * 64), "digest"),
    "NaN weights": (lambda f: replace_weights(f, build_state(3) | {"norm.weight": NAN}), "nonfinite"),
    "infinite moments": (lambda f: (write_tensors(f / OPTIMIZER, {"m": 1 / torch.zeros(1)}), resign(f)), "nonfinite"),
    "pickle in place of weights": (hostile_pickle, "tensors"),
    "world size against rank files": (lambda f: resign(f, world_size=2), "world_size"),
    "parent path": (lambda f: list_file(f, "../train_state.json"), "name"),
    "absolute path": (lambda f: list_file(f, "/etc/passwd"), "name"),
    "unknown name": (lambda f: list_file(f, "weights.bin"), "name"),
    "symlinked file": (link_file, "special_file"),
    "symlinked manifest": (lambda f: link_file(f, MANIFEST), "special_file"),
    "symlinked folder": (link_folder, "special_file"),
    "pipe": (replace_by_pipe, "special_file"),
    "socket": (replace_by_socket, "special_file"),
    "folder in place of a file": (lambda f: ((f / OPTIMIZER).unlink(), (f / OPTIMIZER).mkdir()), "special_file"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_refused_by_name(folder, name):
    mutate, code = MUTATIONS[name]
    mutate(folder)
    before = sorted(path.name for path in folder.parent.iterdir())
    for read in (load_checkpoint, check_checkpoint_files):
        with pytest.raises(PicochatError) as caught:
            read(folder)
        assert (caught.value.code, caught.value.exit_code) == (f"checkpoint.{code}", 4)
    assert not is_whole(folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == before, "a reader renames nothing and runs nothing"


def as_state(**changes):
    return {name: tensor for name, tensor in (build_state(3) | changes).items() if tensor is not None}


def test_the_list_is_long_enough(measured):
    assert len(MUTATIONS) + len(EXPECTATIONS) >= 40
    measured(f"{len(MUTATIONS) + len(EXPECTATIONS)} mutations, each refused by its own code")


EXPECTATIONS = {
    "tensor missing": (as_state(**{"norm.weight": None}), "tensor_names"),
    "tensor added, as of a broken tie": (as_state(**{"head.weight": torch.zeros(8, 4)}), "tensor_names"),
    "shape changed": (as_state(**{"norm.weight": torch.zeros(5)}), "tensor_shape"),
    "vocabulary changed": (as_state(**{"embed.weight": torch.zeros(9, 4)}), "tensor_shape"),
    "dtype changed": (as_state(**{"norm.weight": torch.zeros(4, dtype=torch.float64)}), "tensor_dtype"),
}


@pytest.mark.parametrize("name", EXPECTATIONS)
def test_weights_that_are_not_the_models_are_refused(folder, name):
    state, code = EXPECTATIONS[name]
    replace_weights(folder, state)
    with pytest.raises(PicochatError) as caught:
        load_checkpoint(folder, expected_shapes=SHAPES, expected_dtype="F32")
    assert (caught.value.code, caught.value.exit_code) == (f"checkpoint.{code}", 4)


def test_a_checkpoint_of_another_run_is_refused(folder):
    load_checkpoint(folder, expected_shapes=SHAPES, expected_dtype="F32", run_digest=RUN)
    with pytest.raises(PicochatError) as caught:
        load_checkpoint(folder, run_digest="b" * 64)
    assert (caught.value.code, caught.value.exit_code) == ("checkpoint.other_run", 4)


def test_single_bit_flips_are_all_refused(folder, size, measured):
    files = sorted(folder.iterdir())
    draw = random.Random(0)
    flips = size(short=100, full=400)
    for number in range(flips):
        path = files[number % len(files)]
        original = path.read_bytes()
        flip(path, draw.randrange(8 * len(original)))
        with pytest.raises(PicochatError) as caught:
            load_checkpoint(folder)
        assert caught.value.exit_code == 4, (path.name, caught.value.code)
        path.write_bytes(original)
    load_checkpoint(folder)
    measured(f"{flips} of {flips} single-bit flips refused")


def test_every_single_bit_of_the_manifest_counts(folder):
    data = (folder / MANIFEST).read_bytes()
    draw = random.Random(1)
    for at in draw.sample(range(8 * len(data)), 300):
        mutated = bytearray(data)
        mutated[at // 8] ^= 1 << at % 8
        with pytest.raises(PicochatError):
            parse_manifest(bytes(mutated), "manifest")
    assert pretty_json(read_json(folder / MANIFEST)) == data


UNREADABLE = """
import os, sys
os.chdir(sys.argv[1])
from pathlib import Path
from picochat.checkpoint.verify import check_checkpoint_files
from picochat.core.errors import PicochatError
assert "torch" not in sys.modules
os.setuid(65534)
try:
    check_checkpoint_files(Path("."))
except PicochatError as err:
    print(err.code)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become a user without permission")
def test_a_file_without_read_permission_is_refused_and_the_check_needs_no_torch(folder):
    (folder / OPTIMIZER).chmod(0)
    source = str(Path(picochat.__path__[0]).parent)
    argv = [sys.executable, "-c", UNREADABLE, str(folder)]
    done = subprocess.run(argv, env={"PYTHONPATH": source}, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "checkpoint.unreadable"
