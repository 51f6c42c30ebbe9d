"""Saving and loading: what comes back, what a crash leaves, what a resume may fall back to."""

import shutil
import threading

import pytest
import torch
from tests.support.checkpoints import FINGERPRINT, RUN, SHAPES, build_state, save_tiny

from picochat.checkpoint import verify
from picochat.checkpoint.reader import load_checkpoint, load_for_resume
from picochat.checkpoint.tensors import weights_digest
from picochat.checkpoint.verify import check_checkpoint_files
from picochat.checkpoint.writer import CheckpointFacts
from picochat.core import failpoints
from picochat.core.errors import PicochatError
from picochat.core.publish import writer_lock


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(verify, "RETRY_DELAY_S", 0.0)
    yield
    failpoints.disarm()


def names(stage) -> set[str]:
    return {path.name for path in stage.iterdir()} - {".lock"}


def test_everything_comes_back_to_the_bit(tmp_path):
    manifest = save_tiny(tmp_path, 3)
    loaded = load_checkpoint(tmp_path / "checkpoint", expected_shapes=SHAPES, run_digest=RUN)
    weights = build_state(3)
    assert loaded.manifest == manifest == check_checkpoint_files(tmp_path / "checkpoint")
    for part, scale in ((loaded.weights, 1), (loaded.ema, 0.5)):
        assert part is not None and part.keys() == weights.keys()
        assert all(torch.equal(part[name], weights[name] * scale) for name in weights)
    assert loaded.optimizer is not None and set(loaded.optimizer) == {f"{name}.moment" for name in weights}
    assert loaded.rng is not None and "rank0.private.shuffle" in loaded.rng
    assert loaded.train_state == {"schedule": {"warmup": 2}, "step": 3, "tokens_seen": 300}
    assert loaded.model_config == {"dim": 4, "vocab_size": 8}
    assert (manifest.step, manifest.stage, manifest.fingerprint) == (3, "base", FINGERPRINT)
    assert manifest.weights_digest == weights_digest(weights)


def test_loaded_tensors_may_be_changed_without_harm_to_the_disk(tmp_path):
    save_tiny(tmp_path)
    loaded = load_checkpoint(tmp_path / "checkpoint")
    assert loaded.weights is not None
    loaded.weights["norm.weight"].zero_()
    check_checkpoint_files(tmp_path / "checkpoint")


def test_only_the_parts_that_are_asked_for_are_read(tmp_path):
    save_tiny(tmp_path)
    path = tmp_path / "checkpoint" / "optimizer.safetensors"
    path.write_bytes(bytes(path.stat().st_size))
    loaded = load_checkpoint(tmp_path / "checkpoint", parts={"weights"})
    assert (loaded.optimizer, loaded.rng, loaded.ema, loaded.train_state) == (None, None, None, {})
    with pytest.raises(PicochatError, match="optimizer"):
        load_checkpoint(tmp_path / "checkpoint")
    with pytest.raises(ValueError, match="moments"):
        load_checkpoint(tmp_path / "checkpoint", parts={"moments"})


def test_optional_parts_may_be_absent(tmp_path):
    save_tiny(tmp_path, optimizer=None, rng=None, ema=None)
    loaded = load_checkpoint(tmp_path / "checkpoint")
    assert (loaded.optimizer, loaded.rng, loaded.ema) == (None, None, None)
    assert names(tmp_path / "checkpoint") == {"MANIFEST.json", "model.json", "model.safetensors", "train_state.json"}


def test_the_same_state_gives_the_same_files(tmp_path):
    one, two = save_tiny(tmp_path / "one"), save_tiny(tmp_path / "two")
    assert {n: e for n, e in one.files.items() if n != "rng.safetensors"} == {
        n: e for n, e in two.files.items() if n != "rng.safetensors"
    }


def test_best_keeps_no_previous(tmp_path):
    for step in (1, 2):
        save_tiny(tmp_path, step, name="best")
    assert names(tmp_path) == {"best"}
    assert load_checkpoint(tmp_path / "best").manifest.step == 2


@pytest.mark.parametrize("part", ["weights", "optimizer", "ema"])
def test_poisoned_state_is_never_saved(tmp_path, part):
    save_tiny(tmp_path, 1)
    with pytest.raises(PicochatError) as caught:
        save_tiny(tmp_path, 2, **{part: {"w": torch.tensor([1.0, float("nan")])}})
    assert (caught.value.code, caught.value.exit_code) == ("checkpoint.poisoned", 6)
    assert load_checkpoint(tmp_path / "checkpoint").manifest.step == 1


def test_facts_and_training_state_that_disagree_are_a_bug(tmp_path):
    with pytest.raises(ValueError, match="step"):
        save_tiny(tmp_path, 2, train_state={"step": 3})
    with pytest.raises(PicochatError):
        save_tiny(tmp_path, facts=CheckpointFacts("base", -1, 0, {}, RUN))
    assert names(tmp_path) == set()


def test_a_full_disk_and_a_second_writer_keep_the_old_one(tmp_path):
    save_tiny(tmp_path, 1)
    failpoints.arm("ckpt.before_manifest:enospc")
    with pytest.raises(PicochatError) as full:
        save_tiny(tmp_path, 2)
    with writer_lock(tmp_path), pytest.raises(PicochatError) as busy:
        save_tiny(tmp_path, 2)
    with writer_lock(tmp_path), pytest.raises(PicochatError) as busy_too:
        load_for_resume(tmp_path)
    assert [e.value.code for e in (full, busy, busy_too)] == ["disk.full", "run.busy", "run.busy"]
    assert load_checkpoint(tmp_path / "checkpoint").manifest.step == 1
    assert names(tmp_path) == {"checkpoint"}


# --- resume


def test_a_resume_without_a_checkpoint_starts_fresh(tmp_path):
    for stage in (tmp_path, tmp_path / "absent"):
        point = load_for_resume(stage)
        assert (point.checkpoint, point.warning, point.broken) == (None, None, None)


def test_a_resume_takes_the_newest(tmp_path):
    for step in (1, 2):
        save_tiny(tmp_path, step)
    point = load_for_resume(tmp_path, expected_shapes=SHAPES, expected_dtype="F32", run_digest=RUN)
    assert point.checkpoint is not None and point.checkpoint.manifest.step == 2
    assert (point.warning, point.broken) == (None, None)


def test_a_damaged_checkpoint_gives_way_to_the_previous_one_and_is_kept(tmp_path):
    for step in (1, 2):
        save_tiny(tmp_path, step)
    (tmp_path / "checkpoint" / "ema.safetensors").unlink()
    with pytest.raises(PicochatError):
        load_checkpoint(tmp_path / "checkpoint")
    point = load_for_resume(tmp_path)
    assert point.checkpoint is not None and point.checkpoint.manifest.step == 1
    assert point.warning is not None and "ema.safetensors" in point.warning and "step 1" in point.warning
    assert point.broken is not None and point.broken.name in names(tmp_path)
    save_tiny(tmp_path, 2)
    assert load_for_resume(tmp_path).warning is None
    assert names(tmp_path) == {"checkpoint", "checkpoint.previous", point.broken.name}


def test_without_a_whole_previous_nothing_is_moved(tmp_path):
    save_tiny(tmp_path, 1)
    (tmp_path / "checkpoint" / "model.safetensors").unlink()
    with pytest.raises(PicochatError) as caught:
        load_for_resume(tmp_path)
    assert caught.value.code == "checkpoint.missing_file"
    assert names(tmp_path) == {"checkpoint"}


def test_a_wrong_model_or_run_is_no_damage(tmp_path):
    for step in (1, 2):
        save_tiny(tmp_path, step)
    for options in ({"expected_shapes": SHAPES | {"more": (1,)}}, {"expected_dtype": "F64"}, {"run_digest": "b" * 64}):
        with pytest.raises(PicochatError):
            load_for_resume(tmp_path, **options)
    assert names(tmp_path) == {"checkpoint", "checkpoint.previous"}
    assert load_checkpoint(tmp_path / "checkpoint").manifest.step == 2


@pytest.mark.parametrize(("saves", "whole", "step"), [(0, True, 9), (0, False, None), (2, True, 9), (2, False, 2)])
def test_a_name_lost_in_a_crash_is_given_back(tmp_path, saves, whole, step):
    """The states of the crash table in which `checkpoint` has no name."""
    stage = tmp_path / "base"
    for number in range(1, saves + 1):
        save_tiny(stage, number)
    save_tiny(tmp_path / "other", 9)
    if saves:
        shutil.rmtree(stage / "checkpoint.previous")
        (stage / "checkpoint").rename(stage / "checkpoint.previous")
    fresh = stage / f".tmp-checkpoint-{'0' * 32}"
    shutil.copytree(tmp_path / "other" / "checkpoint", fresh)
    if not whole:
        (fresh / "MANIFEST.json").unlink()
    point = load_for_resume(stage)
    assert (point.checkpoint.manifest.step if point.checkpoint else None) == step
    assert point.warning is not None
    assert not any(name.startswith(".tmp") for name in names(stage))


def test_readers_beside_a_writer_see_one_checkpoint_or_the_other(tmp_path):
    """A small form of the swap race: never mixed, never missing."""
    legal = {save_tiny(tmp_path, step).weights_digest for step in (1, 2)}
    stop, failures = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            try:
                loaded = load_checkpoint(tmp_path / "checkpoint")
            except PicochatError as err:
                failures.append(err)
                return
            if loaded.manifest.weights_digest not in legal or loaded.weights is None:
                failures.append(loaded.manifest)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(10):
        save_tiny(tmp_path, 1 + number % 2)
    stop.set()
    reader.join()
    assert failures == []


def test_a_reader_starts_again_when_the_folder_was_replaced_under_it(tmp_path):
    save_tiny(tmp_path, 1)
    reads = []

    def read(folder: int) -> int:
        reads.append(folder)
        if len(reads) == 1:
            save_tiny(tmp_path, 2)
            save_tiny(tmp_path, 3)
            verify.refuse("checkpoint.missing_file", "the open folder was removed")
        return len(reads)

    assert verify.read_stable(tmp_path / "checkpoint", read) == 2
