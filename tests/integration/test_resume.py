"""Resume equals no resume, to the bit (B1, T0 on one CPU): the whole factory dies by SIGKILL and a fresh one goes on.

All kill points of a training are in tests/faults/test_resume_kill_points.py, which runs a training alone.

Compared are the spliced ledgers byte for byte, which hold loss, gradient norm, documents, generators and digests of
weights, optimizer and EMA, and the digest of the final weights.
"""

import itertools
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.base_run import differences
from tests.support.tiny_run import picochat, set_flags, start, tiny_settings

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.events import iter_events
from picochat.inference.scoring import score_validation
from picochat.judgement.verify import verify_run
from picochat.pipeline.config import resolve, settings_layer
from picochat.pipeline.profiles import load_profile
from picochat.pipeline.runner import Factory, open_run, run_stages
from picochat.stages import session

RESUMABLE = 75


class Case(NamedTuple):
    """Where the process dies, attempt by attempt; after the last death a resume runs to the end."""

    name: str
    failpoints: tuple[str, ...]
    resumed_at: tuple[int, ...]
    """Steps of the checkpoints that the base stage goes on from, in turn."""


CASES = [
    Case("second save, between the exchanges", ("ckpt.after_exchange_1:sigkill@2",), (20,)),
    Case(
        "a resume of a resume, in SFT too",
        ("step.after_optimizer:sigkill@12", "step.before_optimizer:sigkill@40"),
        (10,),
    ),
]


def arguments(root: Path, pack: Path) -> list[object]:
    return ["run", "tiny", "--out-dir", root, "--quiet", *set_flags(tiny_settings(pack))]


def assert_same_training(store: RunStore, reference: RunStore) -> None:
    for stage in (layout.BASE, layout.SFT):
        assert differences(store, reference, stage) == []


@pytest.mark.bar("B1")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(case: Case, tiny_run: RunStore, pack: Path, tmp_path: Path):
    command = arguments(tmp_path / "run", pack)
    for number, failpoint in enumerate(case.failpoints):
        died = picochat(*command, *(["--resume"] if number else []), failpoint=failpoint)
        assert died.returncode == -signal.SIGKILL, (died.returncode, died.stderr)
    done = picochat(*command, "--resume")
    assert done.returncode == 0, done.stderr
    store = RunStore(tmp_path / "run")
    assert_same_training(store, tiny_run)
    resumed = [e for e in iter_events(store.path(layout.EVENTS)) if e["kind"] == "resumed"]
    assert all(event["exact"] for event in resumed)
    resumes = store.read(layout.report_path(layout.BASE))["training"]["resumes"]
    assert tuple(entry["step"] for entry in resumes) == case.resumed_at
    assert not list(store.root.rglob(".tmp-*")) and not list(store.root.rglob(".trash-*"))
    assert not [result for result in verify_run(store) if result.verdict == "block"]


def test_a_run_with_armed_faults_is_never_released(pack: Path, tmp_path: Path):
    """The point is armed and never reached: the run is whole, and its gate blocks all the same."""
    root = tmp_path / "run"
    assert picochat(*arguments(root, pack), failpoint="ckpt.after_rename_3:sigkill@1").returncode == 0
    gate = RunStore(root).read(layout.GATE)
    check = next(check for check in gate["checks"] if check["id"] == "gate.failpoints")
    assert (gate["verdict"], check["verdict"]) == ("blocked", "block")
    assert RunStore(root).read(layout.RUN)["failpoints"] == ["ckpt.after_rename_3"]


@pytest.mark.bar("C3")
def test_sigterm_saves_and_ends_with_75_and_a_second_writer_is_refused(tiny_run: RunStore, pack: Path, tmp_path: Path):
    """The process stops itself in the middle of step 12, so that the moment is known."""
    root = tmp_path / "run"
    command = arguments(root, pack)
    process = start(*command, failpoint="step.after_backward:sigstop@12")
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        busy = picochat(*command, "--resume")
        assert busy.returncode == 5 and "another process is writing" in busy.stderr
        shown = picochat("status", root, "--json")
        assert '"state": "running"' in shown.stdout and '"stage": "base"' in shown.stdout
        process.send_signal(signal.SIGTERM)
    finally:
        process.send_signal(signal.SIGCONT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == RESUMABLE, errors
    assert "Traceback" not in errors and "--resume" in errors
    store = RunStore(root)
    assert store.read(layout.STATUS)["state"] == "stopped"
    saved = [e["step"] for e in iter_events(store.path(layout.EVENTS)) if e["kind"] == "checkpoint_saved"]
    assert saved == [10, 12]
    done = picochat(*command, "--resume")
    assert done.returncode == 0, done.stderr
    assert_same_training(store, tiny_run)


def test_the_chosen_weights_are_the_best_ones(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """keep=best while every held-out loss is worse than the one before: what ships is the first validated step."""
    penalty = itertools.count()

    def score_worse_each_time(*arguments, **options):
        found = score_validation(*arguments, **options)
        return replace(found, loss=found.loss + next(penalty))

    monkeypatch.setattr(session, "score_validation", score_worse_each_time)
    store = RunStore(tmp_path / "run")
    settings = tiny_settings(pack, **{"base.loop.keep": "best", "base.loop.eval_every": 10})
    resolved = resolve("tiny", load_profile("tiny").build(), [("--set", settings_layer(list(settings.items())))])
    run_stages(
        open_run(store.root, "tiny", resolved, False), resolved.config, Factory(), ("dataset", "tokenizer", "base")
    )
    report = store.read(layout.report_path(layout.BASE))
    assert [entry["step"] for entry in report["validation"]["history"]] == [10, 20, 30, 40]
    best, shipped, last = (
        store.read(f"{layout.BASE}/{folder}/{layout.CKPT_MANIFEST}")
        for folder in (layout.BEST, layout.CHECKPOINT, layout.CHECKPOINT_PREVIOUS)
    )
    assert best["step"] == 10
    assert shipped["weights_digest"] == best["weights_digest"] == report["weights_digest"]
    assert last["step"] == 40 and last["weights_digest"] != best["weights_digest"]
