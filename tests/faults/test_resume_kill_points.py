"""B1: a resume equals no resume, to the bit, wherever the process died.

The process dies by SIGKILL at a named point (once it is stopped, once its disk is full); a fresh process goes on to
the end. Compared with a run that nothing interrupted: all 80 lines of the ledger byte for byte (they hold loss, norm,
rate, documents, generators and digests of weights, optimizer and EMA), and of the end every tensor file, every counter,
the guard, the position and the report.

In each of the three data modes, with one process and one CPU thread; tests/distributed has it with two.
"""

import os
import signal
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.support.base_run import (
    ROWS,
    ROWS_PER_STEP,
    SEQ_LEN,
    STEPS,
    Prepared,
    base_settings,
    differences,
    mode_settings,
    prepare,
    saved_step,
    start_training,
    train,
)

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.events import iter_events
from picochat.pipeline.config import resolve, settings_layer
from picochat.pipeline.profiles import load_profile
from picochat.pipeline.runner import Factory, open_run, run_stages
from picochat.training import keeper, ledger

pytestmark = pytest.mark.bar("B1")
KILLED, DISK_FULL, RESUMABLE = -signal.SIGKILL, 5, 75
SKIP_25 = "guard.value:nan@25"


class Death(NamedTuple):
    """How one attempt ends, with which exit code, and the step that is saved then (0: none)."""

    failpoint: str
    saved: int
    code: int = KILLED


class Case(NamedTuple):
    """Attempt after attempt, then a resume to the end with `last` armed; `reference` is armed in the other run.

    In `short` data modes the case is part of the short form.
    """

    name: str
    deaths: tuple[Death, ...]
    loop: dict[str, Any]
    reference: str = ""
    last: str = ""
    short: tuple[str, ...] = ()


def dying(step: int, where: str = "after_optimizer") -> Death:
    """In the step after the one that is saved."""
    return Death(f"step.{where}:sigkill@{step}", step - 1)


def build_cases(rows: int) -> list[Case]:
    """The kill points of a training with so many rows an epoch, four a step."""
    ends, spans = rows // 2, rows // ROWS_PER_STEP + 1
    return [
        Case("just after a save", (Death("step.mid_accumulation:sigkill@21", 20),), {}),
        Case("one step before a save", (Death("step.after_backward:sigkill@40", 20),), {}),
        Case("mid accumulation", (Death("step.mid_accumulation:sigkill@33", 20),), {}),
        Case("step 1", (Death("step.after_backward:sigkill@1", 0),), {}),
        Case("last step of an epoch", (dying(ends),), {"save_every": ends - 1}),
        Case("first step of the next epoch", (dying(ends + 1),), {"save_every": ends}),
        Case("a step that spans two epochs", (dying(spans, "mid_accumulation"),), {"save_every": spans - 1}),
        Case("middle of the second epoch", (Death(f"step.after_optimizer:sigkill@{rows * 3 // 8}", 20),), {}),
        Case("just after an evaluation", (Death("step.mid_accumulation:sigkill@26", 20),), {}),
        Case("end of the warm-up", (Death("step.after_optimizer:sigkill@8", 7),), {"save_every": 7}),
        Case("start of the EMA", (Death("step.after_backward:sigkill@2", 1),), {"save_every": 1}),
        Case(
            "a skipped step, repeated and then remembered",
            (
                Death(f"{SKIP_25},step.after_backward:sigkill@27", 20),
                Death("guard.value:nan@5,step.after_backward:sigkill@22", 40),
            ),
            {},
            reference=SKIP_25,
            short=("memory", "packed"),
        ),
        Case(
            "twice in one epoch",
            (Death("step.before_optimizer:sigkill@33", 30), Death("step.before_optimizer:sigkill@13", 40)),
            {"save_every": 10},
        ),
        Case(
            "a resume of a resume, before it could save",
            (Death("step.after_optimizer:sigkill@28", 20), Death("step.after_optimizer:sigkill@5", 20)),
            {},
        ),
        Case("SIGTERM", (Death("step.after_backward:sigstop@33", 33, RESUMABLE),), {}),
        Case(
            "after a save for which the disk was full",
            (Death("ckpt.before_manifest:enospc@2", 20, DISK_FULL), Death("step.after_optimizer:sigkill@9", 20)),
            {},
        ),
        Case("saves more often than evaluations", (Death("step.before_optimizer:sigkill@74", 72),), {"save_every": 3}),
        Case(
            "first save, whole and without its name",
            (Death("ckpt.after_dir_fsync:sigkill@1", 0),),
            {},
            short=("memory", "sharded"),
        ),
        Case("first save, before its manifest", (Death("ckpt.before_manifest:sigkill@1", 0),), {}),
        Case("later save, between the exchanges", (Death("ckpt.after_exchange_1:sigkill@3", 60),), {}),
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        full = metafunc.config.getoption("--full")
        chosen = [
            pytest.param(mode, case, id=f"{mode}: {case.name}")
            for mode, rows in ROWS.items()
            for case in build_cases(rows)
            if full or mode in case.short
        ]
        metafunc.parametrize(("mode", "case"), chosen)


@pytest.fixture(scope="module")
def prepared_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Prepared]:
    """Corpus and tokenizer for a data mode, made once."""
    return lru_cache(lambda mode: prepare(tmp_path_factory.mktemp("prepared"), mode))


@pytest.fixture(scope="module")
def prepared(prepared_for: Callable[[str], Prepared]) -> Prepared:
    return prepared_for("memory")


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, prepared_for: Callable[[str], Prepared]
) -> Callable[[str, str], RunStore]:
    """The run that nothing interrupts, made once for each mode and poison that is part of the training itself."""

    def of(poison: str, mode: str) -> RunStore:
        root = tmp_path_factory.mktemp("undisturbed") / "run"
        done = train(prepared_for(mode), root, base_settings() | mode_settings(mode), failpoint=poison)
        assert done.returncode == 0, done.stderr
        return RunStore(root)

    return lru_cache(of)


def die(death: Death, prepared: Prepared, root: Path, settings: dict[str, Any], resume: bool) -> None:
    """One attempt that ends as it should. With `sigstop` the process is stopped at a known step and gets a SIGTERM."""
    if ":sigstop" not in death.failpoint:
        done = train(prepared, root, settings, resume=resume, failpoint=death.failpoint)
        assert done.returncode == death.code, (done.returncode, done.stderr)
    else:
        process = start_training(prepared, root, settings, failpoint=death.failpoint)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == death.code, errors
    assert saved_step(root) == death.saved


def test_a_resume_equals_no_resume(
    mode: str,
    case: Case,
    prepared_for: Callable[[str], Prepared],
    undisturbed: Callable[[str, str], RunStore],
    tmp_path: Path,
    measured: Callable,
):
    prepared, root, settings = prepared_for(mode), tmp_path / "run", base_settings(**case.loop) | mode_settings(mode)
    for number, death in enumerate(case.deaths):
        die(death, prepared, root, settings, resume=number > 0)
    done = train(prepared, root, settings, resume=True, failpoint=case.last)
    assert done.returncode == 0, done.stderr
    store, reference = RunStore(root), undisturbed(case.reference, mode)
    assert differences(store, reference) == []
    compared = store.path(f"{layout.BASE}/{layout.LEDGER}").read_bytes().count(b"\n")
    assert compared >= STEPS >= 50
    resumed = [event for event in iter_events(store.path(layout.EVENTS)) if event["kind"] == "resumed"]
    assert all(event["exact"] is True and not event["differing_steps"] for event in resumed)
    entries = store.read(layout.report_path(layout.BASE))["training"]["resumes"]
    assert len(resumed) >= len(entries) and all(entry["exact"] is True for entry in entries)
    whole = saved_after_recovery(case)
    assert bool(entries) == bool(whole) and (not whole or entries[-1]["step"] == whole)
    assert not list(root.rglob(".tmp-*")) and not list(root.rglob(".trash-*"))
    measured(f"{mode}, {case.name}")


def saved_after_recovery(case: Case) -> int:
    """The step that the last attempt goes on from: a whole first save without a name is given its name."""
    return 20 if "without its name" in case.name else case.deaths[-1].saved


@pytest.mark.parametrize("mode", ROWS)
def test_the_run_passes_the_places_that_the_cases_name(
    mode: str, undisturbed: Callable[[str, str], RunStore], measured: Callable
):
    """One step spans two epochs and one ends an epoch, the warm-up has 8 steps, the average begins with step 1."""
    store, rows = undisturbed("", mode), ROWS[mode]
    report = store.read(layout.report_path(layout.BASE))
    state = store.read(f"{layout.checkpoint_dir(layout.BASE)}/{layout.CKPT_TRAIN_STATE}")
    assert state["batches"]["rows"] == rows and rows % ROWS_PER_STEP == 2 and rows // 2 + 1 < STEPS
    assert report["data_mode"] == mode and (mode == "memory") == (not store.has(layout.SHARDS_MANIFEST))
    assert report["recipe"]["warmup_steps"] == 8 and state["ema_updates"] == STEPS
    assert [entry["step"] for entry in report["validation"]["history"]] == [25, 50, 75, 80]
    measured(f"{mode}: {STEPS} of {STEPS} ledger lines and the end state equal at each of the kill points named")


@pytest.mark.full_size
def test_a_resume_needs_little_more_memory_than_a_fresh_start(prepared: Prepared, tmp_path: Path, measured: Callable):
    """30 M parameters, so that weights, moments and averages (345 MB in a checkpoint) weigh more than the program."""
    shape = {"dim": 512, "n_layers": 8, "n_heads": 8, "head_dim": 64, "hidden_dim": 2048}
    settings = base_settings(save_every=2, tokens=4 * SEQ_LEN, tokens_per_step=SEQ_LEN, micro_batch_size=1)
    settings |= {f"model.{key}": value for key, value in shape.items()} | {"machine.precision": "fp32"}
    peaks = {}
    for name, failpoint in (("fresh", ""), ("resumed", "step.after_backward:sigkill@3")):
        if failpoint:
            assert train(prepared, tmp_path / name, settings, failpoint=failpoint).returncode == KILLED
            assert saved_step(tmp_path / name) == 2
        done = train(prepared, tmp_path / name, settings, resume=bool(failpoint))
        assert done.returncode == 0, done.stderr
        report = RunStore(tmp_path / name).read(layout.report_path(layout.BASE))
        assert bool(report["training"]["resumes"]) == bool(failpoint)
        peaks[name] = report["peak_rss_bytes"]
    assert peaks["resumed"] <= 1.1 * peaks["fresh"], peaks
    ratio = peaks["resumed"] / peaks["fresh"]
    measured(f"peak memory of a resume {ratio:.2f} x a fresh start, {peaks['fresh'] / 1e6:,.0f} MB")


def test_the_lines_of_a_checkpoint_are_on_disk_before_it_is(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """After a power cut a checkpoint whose steps have no lines could never be finished."""
    order: list[str] = []
    sync, save = ledger.sync_stream, keeper.save_checkpoint
    monkeypatch.setattr(ledger, "sync_stream", lambda stream: (order.append("ledger"), sync(stream)))
    monkeypatch.setattr(keeper, "save_checkpoint", lambda *a, **options: (order.append("save"), save(*a, **options))[1])
    values = base_settings(20, save_every=8) | {
        "base.text.corpus": str(prepared.corpus),
        "base.text.tokenizer": str(prepared.tokenizer),
        "model.vocab_size": 300,
        "tokenizer.vocab_size": 300,
    }
    resolved = resolve("tiny", load_profile("tiny").build(), [("--set", settings_layer(list(values.items())))])
    run_stages(open_run(tmp_path / "run", "tiny", resolved, False), resolved.config, Factory(), (layout.BASE,))
    assert order == ["ledger", "save"] * 3


def test_the_skipped_step_is_in_the_ledger_of_the_poisoned_run(undisturbed: Callable[[str, str], RunStore]):
    report = undisturbed(SKIP_25, "memory").read(layout.report_path(layout.BASE))
    assert report["training"]["skipped_steps"] == 1
    assert differences(undisturbed(SKIP_25, "memory"), undisturbed("", "memory")) != [], (
        "the comparison sees a single skipped step"
    )
