"""What stands around the step: rehearsal, ranks, hooks and their order, recording, and whether compiling pays."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from picochat.core.clock import ManualClock
from picochat.core.errors import PicochatError
from picochat.core.events import EventWriter, iter_events
from picochat.core.progress import SilentProgress
from picochat.data.batches import BatchStream
from picochat.data.memory import TokenDocuments
from picochat.data.order import SampleOrder
from picochat.data.rows import WindowRows
from picochat.distributed.world import SoloWorld
from picochat.inference.scoring import ValidationResult
from picochat.model.config import ModelConfig
from picochat.model.init import init_weights
from picochat.model.transformer import Transformer
from picochat.training import machine as machines
from picochat.training.config import MachineConfig, OptimConfig
from picochat.training.ema import Ema
from picochat.training.hooks import Hook, StepResult
from picochat.training.language_modeling import LanguageModeling
from picochat.training.ledger import Ledger, documents_digest, spliced
from picochat.training.machine import Machine, build_machine, choose_compile
from picochat.training.optim import OptimizerSet
from picochat.training.recording import CheckpointHook, LogHook, SampleHook, ValidationHook, peak_device_bytes
from picochat.training.state import TrainState
from picochat.training.trainer import LoopParts, Trainer


def build_stream(**options) -> BatchStream:
    tokens = np.random.default_rng(0).integers(0, 24, 400)
    rows = WindowRows(TokenDocuments(tokens, np.array([0, 100, 250]), np.array([0, 1, 2])), 8)
    return BatchStream(
        rows, SampleOrder(len(rows), 3).samples_at, **({"micro_batch_size": 2, "micro_batches": 2} | options)
    )


@pytest.fixture
def build(tmp_path):
    ledgers = []

    def build(hooks=(), steps=4, **loop) -> Trainer:
        model = Transformer(ModelConfig(vocab_size=24, dim=16, n_layers=1, n_heads=2, n_kv_heads=1, max_seq_len=8))
        init_weights(model, torch.Generator().manual_seed(0))
        ledgers.append(Ledger(tmp_path / f"ledger-{len(ledgers)}"))
        parts = LoopParts(
            steps, lambda step: 1.0, 1e-2, 1.0, ledgers[-1], ema=Ema(model, 0.9), clock=ManualClock(), **loop
        )
        return Trainer(
            model, LanguageModeling(0.0, 64), OptimizerSet(model, OptimConfig(lr=1e-2)), build_stream(),
            SoloWorld(), parts, list(hooks), TrainState(),
        )  # fmt: skip

    yield build
    for ledger in ledgers:
        ledger.close()


class Listener(Hook):
    def __init__(self, name: str, heard: list[str]) -> None:
        self.name, self.heard = name, heard

    def on_start(self, trainer):
        self.heard.append(f"start {self.name}")

    def on_step(self, trainer, result):
        self.heard.append(f"step {result.step} {self.name}")

    def on_skip(self, trainer, result):
        self.heard.append(f"skip {result.step} {self.name}")

    def on_stop(self, trainer, reason):
        self.heard.append(f"stop {reason} {self.name}")

    def on_finish(self, trainer):
        self.heard.append(f"finish {self.name}")


def test_two_ranks_draw_what_one_process_draws_in_order():
    whole = build_stream(micro_batch_size=2, micro_batches=4)
    ranks = [build_stream(micro_batch_size=2, micro_batches=2, rank=rank, world_size=2) for rank in range(2)]
    for _ in range(3):
        wanted = list(whole.draw_step())
        found = [batch for stream in ranks for batch in stream.draw_step()]
        for a, b in zip(wanted, found, strict=True):
            assert torch.equal(a.tokens_BT, b.tokens_BT) and torch.equal(a.targets_BT, b.targets_BT)
        assert documents_digest(b.spans for b in wanted) == documents_digest(b.spans for b in found)
    assert {stream.tokens_per_step for stream in (whole, *ranks)} == {64}
    assert {stream.state_dict()["next_sample"] for stream in (whole, *ranks)} == {24}


def test_the_fake_world_is_main_only_as_rank_0():
    assert SoloWorld(rank=0, size=2).is_main and not SoloWorld(rank=1, size=2).is_main
    world = SoloWorld()
    assert world.any(True) and not world.any(False)
    assert float(world.sum(torch.tensor(3.0))) == 3.0


def test_hooks_are_told_in_the_order_in_which_they_are_listed(build):
    heard: list[str] = []
    trainer = build([Listener("a", heard), Listener("b", heard)], steps=2)
    assert trainer.fit() == ""
    assert heard == [f"{what} {who}" for what in ("start", "step 1", "step 2", "finish") for who in "ab"]


def test_a_skip_is_told_before_its_step_and_a_stop_last(build):
    heard: list[str] = []
    trainer = build([Listener("a", heard)], stop_reason=lambda: "asked")
    trainer.loop.guard.accepts = lambda loss, norm: False  # pyright: ignore[reportAttributeAccessIssue]
    assert trainer.fit() == "asked"
    assert heard == ["start a", "skip 1 a", "step 1 a", "stop asked a"]


def test_a_request_during_the_last_step_stops_nothing(build):
    heard: list[str] = []
    trainer = build([Listener("a", heard)], steps=1, stop_reason=lambda: "asked")
    assert trainer.fit() == ""
    assert heard[-1] == "finish a"


def test_the_ledger_holds_no_time_and_digests_where_they_are_due(build, tmp_path):
    trainer = build(state_digest=lambda step: "digest" if step == 2 else None, rng_digest=lambda: "rng")
    trainer.fit()
    lines = spliced(tmp_path / "ledger-0")
    keys = {"step", "verdict", "loss", "grad_norm", "lr", "targets", "documents", "rng"}
    assert [line.keys() - {"state"} for line in lines] == [keys] * 4
    assert [line.get("state") for line in lines] == [None, "digest", None, None]
    assert all(float.fromhex(line["loss"]) > 0 and line["targets"] == 32 for line in lines)


def test_a_train_state_is_read_again_as_it_was_written():
    state = TrainState(step=3, tokens_seen=9, history=[{"step": 1}], best_val_loss=0.5)
    assert TrainState.from_dict(state.as_dict()) == state
    for wrong in ({"step": 3}, state.as_dict() | {"steps": 3}):
        with pytest.raises(PicochatError) as caught:
            TrainState.from_dict(wrong)
        assert caught.value.code == "checkpoint.state"


def result(step: int, accepted: bool = True) -> StepResult:
    return StepResult(step, accepted, 2.5, 1.0, 0.1, 100, 90, 0.5, 0.01, "d", {"supervised_frac": 0.25})


def fake_trainer(steps: int = 20, **state):
    return SimpleNamespace(loop=SimpleNamespace(steps=steps), state=TrainState(**state))


def test_step_events_come_when_due_with_the_rate_since_the_last(tmp_path):
    events, clock, live = EventWriter(tmp_path / "e"), ManualClock(), {}
    hook = LogHook("base", 5, 7.0, events, live, SilentProgress(), clock)
    trainer = fake_trainer(11, tokens_seen=1100)
    hook.on_start(trainer)
    for step in range(1, 12):
        clock.now += 0.5
        if step == 3:
            hook.on_skip(trainer, result(step, False))
        hook.on_step(trainer, result(step))
        assert (live["eta_s"] is None) == (step == 1), "the first step may compile and foretells nothing"
    events.close()
    found = list(iter_events(tmp_path / "e"))
    assert [(e["kind"], e["step"]) for e in found] == [
        ("step", 1), ("guard_skipped", 3), ("step", 5), ("step", 10), ("step", 11),
    ]  # fmt: skip
    steps = [e for e in found if e["kind"] == "step"]
    assert {e["tokens_per_s"] for e in steps} == {200.0}
    assert {e["flops_per_s"] for e in steps} == {1400.0}
    assert steps[0]["supervised_frac"] == 0.25 and steps[0]["rss_bytes"] > 10**6
    assert steps[0]["peak_memory_bytes"] is None, "there is no GPU"
    assert (live["stage"], live["step"], live["steps"], live["eta_s"]) == ("base", 11, 11, 0.0)


def test_validation_remembers_the_best_and_never_counts_a_step_twice(tmp_path):
    events, kept, losses = EventWriter(tmp_path / "e"), [], iter([3.0, 2.0, 2.5, 2.5])

    def score():
        loss = next(losses)
        return ValidationResult(
            **dict.fromkeys(ValidationResult.__dataclass_fields__, 1) | {"loss": loss, "bpb": loss / 2}
        )

    hook = ValidationHook("base", 5, score, events, lambda: kept.append(trainer.state.best_step))
    trainer = fake_trainer(15)
    for step in range(1, 16):
        trainer.state.step = step
        hook.on_step(trainer, result(step))
    hook.on_finish(trainer)
    hook.on_finish(trainer)
    events.close()
    assert kept == [5, 10]
    assert [entry["step"] for entry in trainer.state.history] == [5, 10, 15]
    assert (trainer.state.best_val_loss, trainer.state.best_step) == (2.0, 10)
    assert hook.last is not None and hook.last.loss == 2.5


@pytest.mark.parametrize(("every", "expected"), [(0, [12]), (5, [5, 10, 12]), (6, [6, 12])])
def test_samples_and_saves_come_when_due_and_once_at_the_end(every, expected):
    sampled, saved = [], []
    trainer = fake_trainer(12)
    hooks = [SampleHook(every, sampled.append), CheckpointHook(every, lambda: saved.append(trainer.state.step))]
    for step in range(1, 13):
        trainer.state.step = step
        for hook in hooks:
            hook.on_step(trainer, result(step))
    for hook in hooks:
        hook.on_finish(trainer)
    assert sampled == saved == expected


def test_a_stop_saves():
    saved = []
    CheckpointHook(0, lambda: saved.append(1)).on_stop(fake_trainer(), "asked")
    assert saved == [1]


def test_a_stop_that_shall_not_save_leaves_the_last_checkpoint():
    saved = []
    CheckpointHook(0, lambda: saved.append(1), lambda: True).on_stop(fake_trainer(), "asked")
    assert saved == []


def cpu(precision="fp32") -> Machine:
    return Machine(SoloWorld("cpu"), precision, "", 1, False)


def test_without_a_compiler_training_is_eager_unless_it_was_asked_for(monkeypatch):
    monkeypatch.setattr(machines, "cxx_compiler", lambda: None)
    for wanted in ("auto", "off"):
        assert choose_compile(wanted, cpu(), 1e18) == (False, "no C++ compiler here: eager")
    with pytest.raises(PicochatError) as caught:
        choose_compile("on", cpu(), 1.0)
    assert (caught.value.code, caught.value.exit_code) == ("device.compiler", 5)


def test_compiling_pays_only_in_a_long_training(monkeypatch):
    monkeypatch.setattr(machines, "cxx_compiler", lambda: "/usr/bin/g++")
    pays, reason = choose_compile("auto", cpu(), 4e13)
    assert pays and reason == "would save about 150 of 1,000 s and costs about 30 s"
    assert choose_compile("auto", cpu(), 4e12)[0] is False
    assert choose_compile("auto", cpu("bf16"), 1.2e13)[0] is False
    assert choose_compile("auto", cpu("bf16"), 2e13)[0] is True
    assert choose_compile("on", cpu(), 1.0) == (True, "asked for")
    assert choose_compile("off", cpu(), 1e18) == (False, "asked for")


def test_a_machine_says_what_auto_became(monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(machines, "keep_freed_pages", lambda: True)
    machine = build_machine(MachineConfig(device="cpu", precision="fp32", threads=3))
    facts = machine.facts()
    assert (facts["device"], facts["precision"], facts["threads"], facts["keeps_pages"]) == ("cpu", "fp32", 3, True)
    assert facts["precision_reason"] == "asked for" and facts["torch"] == torch.__version__
    assert isinstance(machine.autocast(), nullcontext)
    assert cpu("bf16").autocast().fast_dtype is torch.bfloat16  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(PicochatError) as caught:
        build_machine(MachineConfig(device="cpu", precision="fp16"))
    assert caught.value.code == "usage.unavailable"


def test_the_peak_of_a_gpu_is_that_of_its_tensors(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 123)
    assert peak_device_bytes() == 123
