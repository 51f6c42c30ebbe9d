"""FSDP on two ranks: the documented command, checkpoints that anyone can go on from, and refusals before any work."""

import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from tests.support.base_run import STEPS, Prepared, base_settings, command, differences, saved_step, train
from tests.support.launched import TWO_MICRO_BATCHES, exit_code, log_of, run_launched
from tests.support.tiny_run import picochat, set_flags, tiny_settings, write_pack

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.jsonio import read_json
from picochat.training.ledger import spliced

ON_CPU = {"distributed.fsdp_on_cpu": True}
SETTINGS = base_settings(**TWO_MICRO_BATCHES) | ON_CPU | {"machine.precision": "fp32"}
SLICED = ["--distributed-strategy", "fsdp"]
MID_ACCUMULATION = "step.mid_accumulation:sigkill@33#1"


@pytest.fixture(scope="module")
def sliced(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> RunStore:
    """Eighty steps in slices that nothing interrupts."""
    folder = tmp_path_factory.mktemp("sliced")
    done = run_launched(folder, *command(prepared, folder / "run", SETTINGS), *SLICED)
    assert done.returncode == 0, done.output[-3000:]
    return RunStore(folder / "run")


Died = Callable[[str], Path]


@pytest.fixture(scope="module")
def died(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> Died:
    """died(failpoint): the folder of a run in slices that died there, made once. Read only: whoever goes on copies."""

    def attempt(failpoint: str) -> Path:
        folder = tmp_path_factory.mktemp("died")
        words = [*command(prepared, folder / "run", SETTINGS), *SLICED]
        assert run_launched(folder, *words, failpoint=failpoint).returncode == 1
        assert saved_step(folder / "run") == 20
        return folder / "run"

    return lru_cache(attempt)


def ledger(store: RunStore) -> list[dict[str, Any]]:
    return spliced(store.path(f"{layout.BASE}/{layout.LEDGER}"))


def documented(prepared: Prepared, root: Path, device: str, *more: str) -> list[object]:
    """The command of the README, on another device and with other files."""
    files = ["--corpus", prepared.corpus, "--tokenizer", prepared.tokenizer, "--out-dir", root]
    return ["train", "base", *SLICED, *files, "--device", device, "--precision", "bf16", *more]


def test_the_documented_command_works_on_two_cpus(prepared: Prepared, tmp_path: Path):
    # Few tokens, for a CPU that computes bf16 in software manages about a thousand a second; and many steps, for the
    # report compares the first twenty with the last twenty.
    small = {"base.loop.tokens": 49_152, "base.loop.tokens_per_step": 1024, "base.loop.micro_batch_size": 8}
    few = set_flags(small | {"distributed.fsdp_on_cpu": True})
    done = run_launched(tmp_path, *documented(prepared, tmp_path / "run", "cpu", *few))
    assert done.returncode == 0, done.output[-3000:]
    report = RunStore(tmp_path / "run").read(layout.report_path(layout.BASE))
    assert (report["machine"]["strategy"], report["machine"]["ranks"]) == ("fsdp", 2)
    assert report["machine"]["precision"] == "bf16" and report["training"]["completed"]
    assert report["training"]["final_loss"] < report["training"]["first_loss"]
    assert picochat("checkpoint", "verify", tmp_path / "run").returncode == 0
    names = {path.name for path in (tmp_path / "run" / layout.checkpoint_dir(layout.BASE)).iterdir()}
    assert {layout.checkpoint_slice(rank, 2) for rank in (0, 1)} < names and layout.CKPT_OPTIMIZER not in names


@pytest.mark.parametrize(
    ("device", "said"),
    [("cpu", "does not support training on CPUs"), ("cuda", "CUDA")],
)
def test_without_the_override_every_rank_says_why_and_ends(prepared: Prepared, tmp_path: Path, device: str, said: str):
    root = tmp_path / "run"
    done = run_launched(tmp_path, *documented(prepared, root, device))
    assert done.returncode == 1
    codes = {exit_code(root, rank) for rank in (0, 1)}
    assert codes == ({2} if device == "cpu" else {5})
    assert all(said in log_of(root, rank) for rank in (0, 1))
    assert said in read_json(root / layout.STATUS)["error"]["detail"]
    assert not (root / layout.BASE).exists()


def test_slices_train_what_replicas_train(sliced: RunStore, prepared: Prepared, tmp_path: Path):
    settings = base_settings(**TWO_MICRO_BATCHES) | {"machine.precision": "fp32"}
    assert run_launched(tmp_path, *command(prepared, tmp_path / "run", settings)).returncode == 0
    ours, theirs = ledger(sliced), ledger(RunStore(tmp_path / "run"))
    assert [row["documents"] for row in ours] == [row["documents"] for row in theirs]
    worst = max(abs(float.fromhex(a["loss"]) / float.fromhex(b["loss"]) - 1) for a, b in zip(ours, theirs, strict=True))
    assert worst < 1e-5
    reports = [store.read(layout.report_path(layout.BASE)) for store in (sliced, RunStore(tmp_path / "run"))]
    for key in ("validation", "ema"):
        assert reports[0][key]["bpb"] == pytest.approx(reports[1][key]["bpb"], rel=1e-5)
    samples = [
        store.path(f"{layout.BASE}/{layout.SAMPLES}").read_bytes() for store in (sliced, RunStore(tmp_path / "run"))
    ]
    assert samples[0].count(b"\n") == samples[1].count(b"\n") > 0


@pytest.mark.bar("B1")
@pytest.mark.parametrize(
    "failpoint",
    [
        MID_ACCUMULATION,
        pytest.param("ckpt.before_manifest:sigkill@2#0", marks=pytest.mark.full_size),
    ],
)
def test_a_resume_in_slices_equals_no_resume(
    sliced: RunStore, prepared: Prepared, died: Died, tmp_path: Path, failpoint: str, measured
):
    root, words = tmp_path / "run", [*command(prepared, tmp_path / "run", SETTINGS), *SLICED]
    shutil.copytree(died(failpoint), root)
    done = run_launched(tmp_path, *words, "--resume")
    assert done.returncode == 0, done.output[-3000:]
    assert differences(RunStore(root), sliced) == []
    measured(f"two ranks in slices: {failpoint.partition(':')[0]}")


@pytest.mark.bar("A2")
@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.full_size), 1])
def test_a_rank_whose_disk_is_full_ends_all_and_loses_nothing(
    sliced: RunStore, prepared: Prepared, tmp_path: Path, rank: int, measured
):
    root, words = tmp_path / "run", [*command(prepared, tmp_path / "run", SETTINGS), *SLICED]
    done = run_launched(tmp_path, *words, failpoint=f"ckpt.slice:enospc@2#{rank}")
    assert done.returncode == 1 and {exit_code(root, r) for r in (0, 1)} == {5}
    assert "no space left" in log_of(root, 0) and "no space left" in log_of(root, 1)
    assert saved_step(root) == 20 and not list(root.rglob(".tmp-*"))
    assert run_launched(tmp_path, *words, "--resume").returncode == 0
    assert differences(RunStore(root), sliced) == []
    measured(f"rank {rank} cannot write its slice: both ranks end, step 20 kept, resume exact")


@pytest.mark.bar("B3")
@pytest.mark.parametrize("way", ["one process", pytest.param("replicas", marks=pytest.mark.full_size)])
def test_whoever_goes_on_from_slices_takes_the_same_documents(
    sliced: RunStore, prepared: Prepared, died: Died, tmp_path: Path, way: str, measured
):
    root = tmp_path / "run"
    shutil.copytree(died(MID_ACCUMULATION), root)
    elastic = SETTINGS | {"resume.elastic": True}
    if way == "one process":
        done = train(prepared, root, elastic, resume=True)
        assert done.returncode == 0, done.stderr
    else:
        assert run_launched(tmp_path, *command(prepared, root, elastic), "--resume").returncode == 0
    ours, theirs = ledger(RunStore(root)), ledger(sliced)
    assert len(ours) == STEPS and [row["documents"] for row in ours] == [row["documents"] for row in theirs]
    worst = max(abs(float.fromhex(a["loss"]) / float.fromhex(b["loss"]) - 1) for a, b in zip(ours, theirs, strict=True))
    assert worst < 1e-5
    measured(f"slices of 2 ranks to {way}: the same documents, loss within {worst:.0e}")


@pytest.mark.full_size
@pytest.mark.bar("B1")
def test_a_whole_run_in_slices_ends_with_a_gate_and_verifies(tmp_path: Path):
    settings = tiny_settings(write_pack(tmp_path / "pack")) | ON_CPU
    words = ["run", "tiny", "--quiet", "--out-dir", tmp_path / "run", *SLICED, *set_flags(settings)]
    done = run_launched(tmp_path, *words)
    assert done.returncode == 0, done.output[-3000:]
    assert RunStore(tmp_path / "run").read(layout.GATE)["verdict"] == "warn"
    assert picochat("verify", tmp_path / "run").returncode == 0
    assert picochat("eval", "skills", tmp_path / "run", "--quiet").returncode == 0
