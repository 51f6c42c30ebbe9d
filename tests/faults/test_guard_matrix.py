"""C4: a number that is not finite costs exactly one step, and no bit of anything.

What is spoilt (the loss NaN or infinite, one element of one gradient NaN, all elements finite and their norm infinite,
a loss a million times too large) x when (step 1, warm-up, later) x which micro-batch (first, last) x accumulation
(1, 4). A huge finite value can be told from a normal one only when 32 accepted values are known. Before that the step
counts: its gradient is clipped like any other, nothing overflows, and the guard is the less strict until the value has
left its window of 128.

One process. The vote of several ranks is not built yet, so not claimed.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tests.support.tiny_trainer import ROW_TOKENS, Poisoned, Recorder, build_tiny_trainer, ledger_of

from picochat.training.config import ResumeConfig
from picochat.training.guard import KNOWN_BEFORE_JUDGING, LossGuard
from picochat.training.hooks import Hook
from picochat.training.keeper import Keeper, state_digest
from picochat.training.trainer import GuardStop, Trainer

pytestmark = pytest.mark.bar("C4")
KINDS = {"loss": "loss NaN", "inf": "loss Inf", "element": "one gradient NaN", "norm": "norm Inf", "spike": "huge"}
WARMUP_STEPS = 6
MOMENTS = {"step 1": (1, 4), "warm-up": (4, 7), "later": (37, 39)}
"""The spoilt step, and the steps in all."""
PLACES = [(1, "first"), (4, "first"), (4, "last")]
"""Accumulation and the spoilt micro-batch; with one micro-batch the first is the last."""
CASES = list(itertools.product(KINDS, MOMENTS, PLACES))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def warm_up(step: int) -> float:
    return min(1.0, (step + 1) / WARMUP_STEPS)


class Watch(Hook):
    """Looks for a bit that is not finite after each step, in weights, optimizer and EMA."""

    def __init__(self) -> None:
        self.poisoned: list[str] = []

    def on_step(self, trainer, result) -> None:
        tensors = {f"weights {name}": p for name, p in trainer.model.named_parameters()}
        tensors |= {f"optimizer {name}": t for name, t in trainer.optimizer.state_tensors().items()}
        tensors |= {f"average {name}": t for name, t in trainer.loop.ema.averages.items()}
        self.poisoned += [f"step {result.step} {name}" for name, t in tensors.items() if not torch.isfinite(t).all()]
        if any(p.grad is not None for p in trainer.model.parameters()):
            self.poisoned.append(f"step {result.step}: a gradient is left")


def train(folder: Path, objective: Poisoned | None, steps: int, accumulation: int) -> tuple[Trainer, Recorder, str]:
    """(trainer, what its hooks saw, digest of the start). The poison is looked for after every step."""
    trainer, seen = build_tiny_trainer(
        folder, objective, steps=steps, micro_batches=accumulation, micro_batch_size=1, lr_factor=warm_up
    )
    watch = Watch()
    trainer.hooks = [seen, watch]
    before = state_digest(trainer)
    assert trainer.fit() == ""
    trainer.loop.ledger.close()
    assert watch.poisoned == []
    return trainer, seen, before


@pytest.mark.parametrize(
    ("kind", "moment", "place"), CASES, ids=[f"{KINDS[k]}, {m}, {p[1]} of {p[0]}" for k, m, p in CASES]
)
def test_one_bad_value_costs_one_step_and_no_bit(tmp_path: Path, kind: str, moment: str, place: tuple[int, str]):
    (accumulation, which), (bad, steps) = place, MOMENTS[moment]
    call = (bad - 1) * accumulation + (1 if which == "first" else accumulation)
    trainer, seen, before = train(tmp_path / "bad", Poisoned({call}, kind), steps, accumulation)
    rejected = kind != "spike" or bad > KNOWN_BEFORE_JUDGING
    digests = [before, *seen.digests]
    assert seen.skipped == ([bad] if rejected else [])
    assert (digests[bad] == digests[bad - 1]) == rejected, "weights, moments, counters and EMA keep every bit"
    assert len(set(digests)) == len(digests) - rejected, "every other step trains"
    lines = ledger_of(tmp_path / "bad")
    assert [line["verdict"] for line in lines] == [
        "skipped" if rejected and step == bad else "ok" for step in range(1, steps + 1)
    ]
    assert spoilt_as(kind, lines[bad - 1])
    assert (trainer.state.step, trainer.state.skipped_steps) == (steps, int(rejected))
    assert trainer.state.tokens_seen == steps * accumulation * ROW_TOKENS
    assert trainer.loop.guard.rejected == int(rejected)
    assert len(trainer.loop.guard.state_dict()["losses"]) == steps - rejected, "a rejected value is not remembered"
    train(tmp_path / "clean", None, steps, accumulation)
    clean = ledger_of(tmp_path / "clean")
    assert clean[: bad - 1] == lines[: bad - 1]
    for key in ("step", "documents", "targets", "lr", "rng"):
        assert [line[key] for line in clean] == [line[key] for line in lines], "the guard moves no document and no rate"


def spoilt_as(kind: str, line: dict) -> bool:
    """Whether the ledger shows what was spoilt: only the loss's own kinds are seen in the loss."""
    loss, norm = float.fromhex(line["loss"]), float.fromhex(line["grad_norm"])
    expected = {
        "loss": math.isnan(loss),
        "inf": math.isinf(loss),
        "element": math.isfinite(loss) and math.isnan(norm),
        "norm": math.isfinite(loss) and math.isinf(norm),
        "spike": 1e5 < loss < math.inf and 1e3 < norm < math.inf,
    }
    return expected[kind]


def test_the_matrix_is_whole(measured: Callable):
    kinds, moments, places = (len(part) for part in (KINDS, MOMENTS, PLACES))
    assert len(CASES) == kinds * moments * places == 45
    measured(f"{len(CASES)} cases: one step lost or, for a huge value before step 33, none; no bit changed by it")


@pytest.mark.parametrize("moment", ["step 1", "warm-up"])
def test_a_huge_value_before_32_are_known_is_clipped_and_moves_no_weight_further_than_any_other(
    tmp_path: Path, moment: str
):
    """It cannot be told from a normal one yet; its gradient is clipped to norm 1, as any other is."""
    bad, steps = MOMENTS[moment]
    moved = {}
    for name, objective in (("clean", None), ("huge", Poisoned({bad}, "spike"))):
        trainer, seen = build_tiny_trainer(
            tmp_path / name, objective, steps=bad, micro_batches=1, micro_batch_size=1, lr_factor=warm_up
        )
        for _ in range(bad - 1):
            trainer.train_step()
        before = {key: p.detach().clone() for key, p in trainer.model.named_parameters()}
        assert trainer.train_step().accepted and seen.skipped == []
        trainer.loop.ledger.close()
        moved[name] = max(float((p.detach() - before[key]).abs().max()) for key, p in trainer.model.named_parameters())
    assert 0 < moved["huge"] <= 2 * moved["clean"], moved


def save_and_restore(folder: Path, trainer: Trainer, objective: Poisoned, steps: int) -> tuple[Trainer, Recorder]:
    """A fresh trainer that goes on from a checkpoint of this one."""
    keeper = Keeper(folder, "base", "a" * 64, {"compile_mode": "eager"})
    keeper.save(trainer)
    again, seen = build_tiny_trainer(folder / "again", objective, steps=steps, micro_batches=1, micro_batch_size=1)
    assert keeper.restore(again, ResumeConfig()) is not None
    return again, seen


def test_what_the_guard_knows_survives_a_resume(tmp_path: Path, measured: Callable):
    """A spike at step 37 is judged by 34 values that were seen before the resume at step 35; alone there are 1."""
    first, _ = build_tiny_trainer(tmp_path / "a", Poisoned({5}), steps=35, micro_batches=1, micro_batch_size=1)
    first.fit()
    again, resumed = save_and_restore(tmp_path / "b", first, Poisoned({37}, "spike", done=35), 40)
    assert again.loop.guard.state_dict() == first.loop.guard.state_dict()
    again.fit()
    assert resumed.skipped == [37] and again.loop.guard.rejected == 2 and again.state.skipped_steps == 2
    forgetful, unaware = save_and_restore(tmp_path / "c", first, Poisoned({37}, "spike", done=35), 40)
    forgetful.loop.guard = LossGuard()
    forgetful.fit()
    assert unaware.skipped == [], "without its memory the guard accepts the same value"
    for trainer in (first, again, forgetful):
        trainer.loop.ledger.close()
    measured("guard state survives a resume")


def test_rejects_in_a_row_are_counted_across_a_resume(tmp_path: Path):
    """Three before the checkpoint and two after it are five."""
    first, _ = build_tiny_trainer(tmp_path / "a", Poisoned({3, 4, 5}), steps=5, micro_batches=1, micro_batch_size=1)
    first.fit()
    again, seen = save_and_restore(tmp_path / "b", first, Poisoned({6, 7, 8}, done=5), 20)
    with pytest.raises(GuardStop, match="5 steps in a row"):
        again.fit()
    assert seen.skipped == [6, 7] and again.state.step == 7
    for trainer in (first, again):
        trainer.loop.ledger.close()
