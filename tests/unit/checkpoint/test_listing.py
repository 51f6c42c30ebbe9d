"""Which folders of a run are checkpoints, and what lies beside them and is ignored."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.green_run import GreenRun, checkpoint_files

from picochat.artifacts.store import RunStore
from picochat.checkpoint.listing import list_checkpoints, list_leftovers
from picochat.checkpoint.verify import look_at_checkpoint
from picochat.cli.commands.checkpoint import inspect


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    run = GreenRun(tmp_path / "run")
    run.store.root.mkdir()
    run.write_run()
    for folder, step in (
        ("base/checkpoint", 20),
        ("base/best", 10),
        ("base/kept/step-00000005", 5),
        ("sft/checkpoint", 7),
    ):
        for name, data in checkpoint_files(folder.partition("/")[0], run.store.run_digest(), 1, step).items():
            run.store.write(f"{folder}/{name}", data)
    return run.store


def test_named_folders_in_order_with_their_roles(store: RunStore):
    found = list_checkpoints(store)
    assert [(one.folder, one.role, one.stage) for one in found] == [
        ("base/checkpoint", "last", "base"),
        ("base/best", "best", "base"),
        ("base/kept/step-00000005", "kept", "base"),
        ("sft/checkpoint", "last", "sft"),
    ]
    assert [one.manifest.step for one in found if one.manifest] == [20, 10, 5, 7]


def test_a_torn_folder_has_a_problem_and_a_flipped_byte_only_shows_when_it_is_proved(store: RunStore):
    store.path("base/best/MANIFEST.json").unlink()
    weights = store.path("sft/checkpoint/model.safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    looked = {one.folder: one for one in list_checkpoints(store, look_at_checkpoint)}
    proved = {one.folder: one for one in list_checkpoints(store)}
    assert looked["base/best"].problem.startswith("checkpoint.incomplete") and looked["base/best"].manifest is None
    assert looked["sft/checkpoint"].problem == ""
    assert proved["sft/checkpoint"].problem.startswith("checkpoint.hash")
    weights.write_bytes(data[:-1])
    looked = {one.folder: one for one in list_checkpoints(store, look_at_checkpoint)}
    assert looked["sft/checkpoint"].problem.startswith("checkpoint.size")


def test_the_command_shows_the_same_rows(store: RunStore):
    rows = inspect(store)
    assert [(row["folder"], row["step"]) for row in rows] == [
        (one.folder, str(one.manifest.step)) for one in list_checkpoints(store) if one.manifest
    ]


def test_what_saves_and_resumes_left_is_ignored_with_a_reason(store: RunStore):
    for name in (".tmp-1f", ".trash-2", ".broken-checkpoint-3", "checkpoints", "samples"):
        store.path(f"base/{name}").mkdir()
    store.path("base/.tmp-file").write_bytes(b"")
    store.path("sft/.tmp-link").symlink_to(store.path("base"))
    found = {left.folder: left.why for left in list_leftovers(store)}
    assert set(found) == {"base/.tmp-1f", "base/.trash-2", "base/.broken-checkpoint-3"}
    assert "did not end" in found["base/.tmp-1f"] and "set aside" in found["base/.broken-checkpoint-3"]


def test_links_are_no_checkpoints(store: RunStore, tmp_path: Path):
    store.path("base/checkpoint.previous").symlink_to(store.path("base/checkpoint"))
    found = next(one for one in list_checkpoints(store) if one.role == "previous")
    assert found.problem.startswith("checkpoint.special_file")
    assert list_leftovers(RunStore(tmp_path / "nowhere")) == []
