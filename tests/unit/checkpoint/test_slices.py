"""Checkpoints whose optimizer and average lie in one file a rank: read as a whole, or refused for their slices."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from picochat.artifacts import layout
from picochat.checkpoint import raw
from picochat.checkpoint.reader import load_checkpoint
from picochat.checkpoint.tensors import raw_tensor
from picochat.checkpoint.verify import check_checkpoint_files
from picochat.checkpoint.writer import CheckpointFacts, save_checkpoint, write_slice
from picochat.core.errors import PicochatError
from picochat.core.hashing import digest_of, sha256_file
from picochat.core.jsonio import pretty_json, read_json

RANKS = 3


def whole_state(step: int) -> dict[str, dict[str, torch.Tensor]]:
    """Rows that three ranks share unevenly, a vector shorter than the ranks are many, and a scalar."""
    generator = torch.Generator().manual_seed(step)
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in {"m": (7, 4), "v": (2,)}.items()}
    return {"optimizer": tensors | {"step": torch.tensor(float(step))}, "ema": {"m": torch.randn(7, 4)}}


def cut(tensors: dict[str, torch.Tensor], rank: int) -> dict[str, torch.Tensor]:
    """As torch shards: chunks of the first axis, which may be empty; a scalar is rank 0's."""
    found = {}
    for name, tensor in tensors.items():
        if tensor.ndim:
            chunks = list(tensor.chunk(RANKS)) + [tensor[:0]] * RANKS
            found[name] = chunks[rank].contiguous()
        elif rank == 0:
            found[name] = tensor
    return found


def save(folder: Path, step: int) -> dict[str, dict[str, torch.Tensor]]:
    state = whole_state(step)
    folder.mkdir(parents=True, exist_ok=True)
    slices = {}
    for rank in range(RANKS):
        parts = {part: cut(tensors, rank) for part, tensors in state.items()}
        slices[layout.checkpoint_slice(rank, RANKS)] = write_slice(folder, rank, RANKS, step, parts)
    facts = CheckpointFacts("base", step, step * 10, {"seed": 1}, "0" * 64, RANKS)
    weights = {"w": torch.full((3, 3), float(step))}
    save_checkpoint(folder, facts=facts, weights=weights, model_config={}, train_state={}, slices=slices)
    return state


def test_slices_are_read_as_whole_tensors(tmp_path):
    state = save(tmp_path, 1)
    found = load_checkpoint(tmp_path / layout.CHECKPOINT)
    for part in ("optimizer", "ema"):
        loaded = getattr(found, part)
        assert loaded.keys() == state[part].keys()
        assert all(torch.equal(loaded[name], state[part][name]) for name in loaded)
    only = load_checkpoint(tmp_path / layout.CHECKPOINT, parts={"weights"})
    assert only.optimizer is None and only.ema is None
    assert not list(tmp_path.glob(".tmp-*"))


@given(st.integers(0, 9), st.integers(1, 5), st.lists(st.integers(0, 3), max_size=2))
def test_chunks_joined_are_the_whole(rows, ranks, rest):
    tensor = torch.randn(rows, *rest)
    chunks = (list(tensor.chunk(ranks)) + [tensor[:0]] * ranks)[:ranks]
    joined = raw.join_slices([{"t": raw_tensor(chunk.contiguous())} for chunk in chunks], "x")
    expected = raw_tensor(tensor)
    assert (joined["t"].shape, bytes(joined["t"].data)) == (tuple(tensor.shape), bytes(expected.data))


def rename(folder: Path, before: str, after: str) -> None:
    (folder / before).rename(folder / after)


def sign(folder: Path, change) -> None:
    """Changes the manifest and signs it again, as a forger would."""
    body = read_json(folder / layout.CKPT_MANIFEST)
    del body["manifest_digest"]
    change(body)
    (folder / layout.CKPT_MANIFEST).write_bytes(pretty_json(body | {"manifest_digest": digest_of(body)}))


def relist(folder: Path, name: str):
    entry = {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
    return lambda body: body["files"].update({name: entry})


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


SLICE = [layout.checkpoint_slice(rank, RANKS) for rank in range(RANKS)]


def swap_two(folder: Path, other: Path) -> None:
    rename(folder, SLICE[0], "x")
    rename(folder, SLICE[1], SLICE[0])
    rename(folder, "x", SLICE[1])


def swap_two_and_sign(folder: Path, other: Path) -> None:
    swap_two(folder, other)
    for name in SLICE[:2]:
        sign(folder, relist(folder, name))


def drop_and_sign(folder: Path, other: Path) -> None:
    (folder / SLICE[2]).unlink()
    sign(folder, lambda body: body["files"].pop(SLICE[2]))


def claim_two_ranks(folder: Path, other: Path) -> None:
    sign(folder, lambda body: body.update(world_size=2))


def add_whole_optimizer(folder: Path, other: Path) -> None:
    shutil.copy(folder / layout.CKPT_WEIGHTS, folder / layout.CKPT_OPTIMIZER)
    sign(folder, relist(folder, layout.CKPT_OPTIMIZER))


def add_foreign_name(folder: Path, other: Path) -> None:
    text = (folder / SLICE[1]).read_bytes().replace(b"optimizer/m", b"optimizxr/m")
    (folder / SLICE[1]).write_bytes(text)
    sign(folder, relist(folder, SLICE[1]))


MUTATIONS = {
    "a missing slice": (lambda folder, other: (folder / SLICE[1]).unlink(), "checkpoint.missing_file"),
    "a flipped bit": (lambda folder, other: flip(folder / SLICE[2]), "checkpoint.hash"),
    "two slices swapped": (swap_two, "checkpoint.size"),
    "two slices swapped and signed": (swap_two_and_sign, "checkpoint.tensors"),
    "a slice of another step": (lambda folder, other: shutil.copy(other / SLICE[2], folder), "checkpoint.hash"),
    "a slice left out and signed": (drop_and_sign, "checkpoint.world_size"),
    "another number of ranks": (claim_two_ranks, "checkpoint.world_size"),
    "whole and in slices": (add_whole_optimizer, "checkpoint.manifest"),
    "a tensor of no part": (add_foreign_name, "checkpoint.tensors"),
    "a slice too many": (
        lambda folder, other: shutil.copy(folder / SLICE[0], folder / layout.checkpoint_slice(3, 4)),
        "checkpoint.extra_file",
    ),
}


@pytest.mark.bar("A4")
@pytest.mark.parametrize("name", MUTATIONS)
def test_every_damage_to_slices_is_refused_by_its_own_reason(tmp_path, name):
    save(tmp_path / "a", 1)
    save(tmp_path / "b", 2)
    folder, other = tmp_path / "a" / layout.CHECKPOINT, tmp_path / "b" / layout.CHECKPOINT
    assert check_checkpoint_files(folder).slices == SLICE
    change, code = MUTATIONS[name]
    change(folder, other)
    with pytest.raises(PicochatError) as caught:
        check_checkpoint_files(folder)
    assert (caught.value.code, caught.value.exit_code) == (code, 4), caught.value.detail


def test_a_slice_with_a_number_that_is_none_is_not_written(tmp_path):
    with pytest.raises(PicochatError) as caught:
        write_slice(tmp_path, 1, 2, 5, {"optimizer": {"m": torch.tensor([1.0, float("nan")])}})
    assert caught.value.code == "checkpoint.poisoned" and not list(tmp_path.iterdir())


def test_a_slice_that_changed_before_it_was_moved_in_is_not_acknowledged(tmp_path):
    save(tmp_path, 1)
    before = json.loads((tmp_path / layout.CHECKPOINT / layout.CKPT_MANIFEST).read_text())
    slices = {}
    for rank in range(RANKS):
        parts = {part: cut(tensors, rank) for part, tensors in whole_state(2).items()}
        slices[layout.checkpoint_slice(rank, RANKS)] = write_slice(tmp_path, rank, RANKS, 2, parts)
    flip(slices[SLICE[1]].path)
    facts = CheckpointFacts("base", 2, 20, {"seed": 1}, "0" * 64, RANKS)
    with pytest.raises(PicochatError) as caught:
        save_checkpoint(
            tmp_path, facts=facts, weights={"w": torch.ones(3, 3)}, model_config={}, train_state={}, slices=slices
        )
    assert caught.value.code == "disk.io"
    assert json.loads((tmp_path / layout.CHECKPOINT / layout.CKPT_MANIFEST).read_text()) == before
    assert not list(tmp_path.glob(".tmp-*"))
