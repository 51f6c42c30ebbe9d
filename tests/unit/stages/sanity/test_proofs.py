"""Every proof passes on the code as it is, and fails on a planted fault of the kind that it is there for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from picochat.artifacts.checks import CheckResult
from picochat.checkpoint.reader import load_checkpoint
from picochat.data.batches import BatchStream
from picochat.data.rows import IGNORE, PackedRows, RowBlock, WindowRows
from picochat.data.shards.reading import PackedShardRows, ShardStream
from picochat.data.shards.writing import ShardWriter
from picochat.distributed.world import SoloWorld
from picochat.model import transformer
from picochat.model.attention import build_mask
from picochat.model.kv_cache import KVCache
from picochat.model.layers import RMSNorm
from picochat.stages.sanity import material as sanity_material
from picochat.stages.sanity import resume, run, saving
from picochat.stages.sanity.boundaries import prove_boundaries, prove_chat_mask
from picochat.stages.sanity.building import Workplace
from picochat.stages.sanity.cache import prove_cache
from picochat.stages.sanity.config import SanityConfig
from picochat.stages.sanity.material import Material, make_material
from picochat.stages.sanity.numerics import prove_accumulation, prove_precision
from picochat.stages.sanity.resume import Trace, prove_resume
from picochat.stages.sanity.saving import prove_saving
from picochat.stages.sanity.sharding import prove_shards
from picochat.stages.sanity.verdicts import judge
from picochat.tokenizer.chat import Rendered, render
from picochat.training import keeper
from picochat.training.ema import Ema
from picochat.training.machine import Machine
from picochat.training.optim import OptimizerSet
from picochat.training.trainer import Trainer

Plant = Callable[[pytest.MonkeyPatch], None]


def build_config(**loop: object) -> SanityConfig:
    shape = {"vocab_size": 300, "dim": 32, "n_layers": 2, "n_heads": 2, "n_kv_heads": 1, "max_seq_len": 96}
    values = {"tokens": 4096, "seq_len": 96, "micro_batch_size": 2, "optimizer": "muon", "lr": 3e-3} | loop
    machine = {"device": "cpu", "precision": "bf16", "compile": "off", "threads": 1}
    return SanityConfig.from_dict({"model": shape, "loop": values, "machine": machine, "steps": 4, "rows": 4})


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads over matrices of 32 columns mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def made() -> Material:
    return make_material(build_config())


@pytest.fixture
def place(made: Material, tmp_path: Path) -> Workplace:
    machine = Machine(SoloWorld("cpu"), "bf16", "asked for", 1, False)
    return Workplace(made, machine, tmp_path)


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults are planted in this process, so the other half stays here; tests/integration has two processes."""
    monkeypatch.setattr(resume, "resume_elsewhere", lambda folder: resume.resume_here(folder))


def verdicts(checks: list[CheckResult]) -> dict[str, str]:
    return {check.id.removeprefix("sanity."): check.verdict for check in checks}


# --- resume


def test_a_resume_is_exact(place: Workplace, one_process: None):
    found, claim = prove_resume(place)
    assert (found.verdict, found.measured, found.n) == ("pass", 0, 9)
    assert claim.startswith("T0")


def plant_nothing_restored(owner: type, name: str) -> Plant:
    return lambda patch: patch.setattr(owner, name, lambda *args, **kwargs: None)


LOST = {
    "optimizer": plant_nothing_restored(OptimizerSet, "load_state_tensors"),
    "average": plant_nothing_restored(Ema, "load_state_dict"),
    "position": plant_nothing_restored(BatchStream, "load_state_dict"),
    "weights": lambda patch: patch.setattr(keeper, "load_weights", lambda model, weights: None),
    "generators": lambda patch: patch.setattr(keeper, "restore_rng", lambda states, **more: None),
}


@pytest.mark.parametrize("plant", LOST.values(), ids=LOST)
def test_a_resume_that_loses_a_part_fails(
    place: Workplace, one_process: None, monkeypatch: pytest.MonkeyPatch, plant: Plant
):
    plant(monkeypatch)
    assert prove_resume(place)[0].verdict == "block"


def test_a_resume_whose_process_fails_is_a_failure(place: Workplace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resume, "resume_elsewhere", lambda folder: None)
    assert prove_resume(place)[0].verdict == "block"


def trace(*losses: float) -> Trace:
    return Trace([[i, float(loss).hex(), "0x1p+0", "d"] for i, loss in enumerate(losses, 1)], "s", "r", {})


@pytest.mark.parametrize(("last", "verdict"), [(2.001, "pass"), (2.2, "block")])
def test_where_repetitions_differ_their_spread_is_the_bar(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, last: float, verdict: str
):
    repeated = iter([trace(4, 3, 2.5, 2.0), trace(4, 3, 2.5, 2.003), trace(4, 3, 2.5, 2.002)])
    monkeypatch.setattr(resume, "compiles", lambda config: True)
    monkeypatch.setattr(resume, "train_whole", lambda place, number: next(repeated))
    monkeypatch.setattr(resume, "save_half", lambda place: None)
    monkeypatch.setattr(resume, "resume_elsewhere", lambda folder: trace(4, 3, 2.5, last).after(2))
    found, claim = prove_resume(place)
    assert (found.id, found.verdict, found.threshold) == ("sanity.resume_close", verdict, pytest.approx(0.0015))
    assert claim.startswith("T2")


def test_equal_repetitions_ask_for_an_equal_resume(place: Workplace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resume, "compiles", lambda config: True)
    monkeypatch.setattr(resume, "train_whole", lambda place, number: trace(4, 3, 2.5, 2.0))
    monkeypatch.setattr(resume, "save_half", lambda place: None)
    monkeypatch.setattr(resume, "resume_elsewhere", lambda folder: trace(4, 3, 2.5, 2.0000001).after(2))
    assert prove_resume(place)[0].verdict == "block"


def test_other_documents_are_infinitely_far():
    other = trace(4, 3)
    other.steps[1][3] = "another"
    assert resume.distance(trace(4, 3), other) == float("inf")


# --- cache


def test_generation_with_the_cache_is_generation_without(place: Workplace):
    assert verdicts(prove_cache(place)) == {"cache_logits": "pass", "cache_tokens": "pass"}


def plant_late_token(patch: pytest.MonkeyPatch) -> None:
    """Single tokens are not counted, so that each takes the place of the one before."""
    patch.setattr(KVCache, "advance", lambda self, n: setattr(self, "length", self.length + (n if n > 1 else 0)))


def plant_cached_values_too_large(patch: pytest.MonkeyPatch) -> None:
    extend = KVCache.extend
    patch.setattr(KVCache, "extend", lambda self, layer, k, v: extend(self, layer, k, v * 1.5))


@pytest.mark.parametrize("plant", [plant_late_token, plant_cached_values_too_large])
def test_a_wrong_cache_fails(place: Workplace, monkeypatch: pytest.MonkeyPatch, plant: Plant):
    plant(monkeypatch)
    assert verdicts(prove_cache(place))["cache_logits"] == "block"


def test_a_batch_with_wrong_positions_fails(place: Workplace, monkeypatch: pytest.MonkeyPatch):
    """A padded batch turns its heads wrongly: the logits of single rows stay right, the replies of the batch do not."""
    geometry = transformer.Transformer.build_geometry

    def plain(self, tokens, segments, positions, cache, key_mask):
        far = None if positions is None else (positions * 3) % self.config.max_seq_len
        return geometry(self, tokens, segments, far, cache, key_mask)

    monkeypatch.setattr(transformer.Transformer, "build_geometry", plain)
    assert verdicts(prove_cache(place)) == {"cache_logits": "pass", "cache_tokens": "block"}


# --- precision and accumulation


def test_bf16_is_near_float32(place: Workplace):
    assert verdicts(prove_precision(place)) == {"precision_loss": "pass", "precision_gradient": "pass"}


def test_float32_has_nothing_to_compare(place: Workplace):
    place = replace(place, machine=replace(place.machine, precision="fp32"))
    assert set(verdicts(prove_precision(place)).values()) == {"not_run"}


def test_a_precision_that_distorts_fails(place: Workplace, monkeypatch: pytest.MonkeyPatch):
    forward = RMSNorm.forward

    def scaled(self, x):
        return forward(self, x) * (1.3 if torch.is_autocast_enabled("cpu") else 1.0)

    monkeypatch.setattr(RMSNorm, "forward", scaled)
    assert verdicts(prove_precision(place)) == {"precision_loss": "block", "precision_gradient": "block"}


def test_micro_batches_give_the_gradient_of_the_batch(place: Workplace):
    assert prove_accumulation(place).verdict == "pass"


def test_a_mean_of_means_fails(place: Workplace, monkeypatch: pytest.MonkeyPatch):
    def mean_of_means(self, batches, num_targets):
        loss_sum = torch.zeros(())
        for batch in batches:
            found = self.objective(self.model, batch)
            (found.total_sum / batch.num_targets / len(batches)).backward()
            loss_sum += found.loss_sum
        return loss_sum, {}

    monkeypatch.setattr(Trainer, "_accumulate", mean_of_means)
    assert prove_accumulation(place).verdict == "block"


# --- checkpoint


def test_a_checkpoint_gives_back_what_was_put_in(place: Workplace):
    assert verdicts(prove_saving(place)) == {"checkpoint": "pass", "flipped_bit": "pass"}


def test_a_lossy_save_fails(place: Workplace, monkeypatch: pytest.MonkeyPatch):
    whole = keeper.named_weights
    lossy = {name: value.bfloat16().float() for name, value in whole(place.material.build_model("cpu")).items()}
    monkeypatch.setattr(keeper, "named_weights", lambda model: lossy)
    assert verdicts(prove_saving(place))["checkpoint"] == "block"


def test_a_save_that_drops_optimizer_state_fails(place: Workplace, monkeypatch: pytest.MonkeyPatch):
    tensors = OptimizerSet.state_tensors
    monkeypatch.setattr(OptimizerSet, "state_tensors", lambda self: dict(list(tensors(self).items())[1:]))
    found = prove_saving(place)[0]
    assert (found.verdict, found.measured) == ("block", 1)


def test_a_reader_that_hashes_only_the_weights_fails(place: Workplace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(saving, "load_checkpoint", partial(load_checkpoint, parts={"weights", "train_state"}))
    found = prove_saving(place)[1]
    assert (found.verdict, found.measured) == ("block", 3)


# --- rows


def test_documents_keep_to_themselves(place: Workplace):
    found = prove_boundaries(place)
    assert verdicts(found) == {"document_mask": "pass", "document_targets": "pass"}
    assert all(check.n and check.n > 100 for check in found)


def leave_segments_out(*args: object, **kwargs: object) -> torch.Tensor:
    return build_mask(*args[:4], None, *args[5:])  # type: ignore[arg-type]


def see_nothing_else(*args: object, **kwargs: object) -> torch.Tensor:
    n_new, n_past = args[1:3]
    own = torch.arange(n_past, n_past + n_new).unsqueeze(1) == torch.arange(n_past + n_new)
    return torch.zeros(1, n_new, n_past + n_new).masked_fill_(~own, float("-inf"))


@pytest.mark.parametrize("mask", [leave_segments_out, see_nothing_else])
def test_a_mask_that_leaks_or_hides_everything_fails(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, mask: Callable[..., torch.Tensor]
):
    monkeypatch.setattr(transformer, "build_mask", mask)
    assert verdicts(prove_boundaries(place))["document_mask"] == "block"


def test_without_a_document_mask_nothing_is_claimed(place: Workplace):
    material = replace(place.material, config=build_config(document_mask=False))
    assert verdicts(prove_boundaries(replace(place, material=material)))["document_mask"] == "not_run"


def shift_targets(block: RowBlock) -> RowBlock:
    return replace(block, targets=np.roll(block.targets, -1, axis=1))


def cross_conversations(block: RowBlock) -> RowBlock:
    """The last token of a conversation is trained on the first one of the next."""
    targets = block.targets.copy()
    ends = np.diff(block.segments, axis=1, append=0) > 0
    targets[ends] = np.roll(block.tokens, -1, axis=1)[ends]
    return replace(block, targets=targets)


@pytest.mark.parametrize(
    ("owner", "fault"), [(WindowRows, shift_targets), (PackedRows, cross_conversations)], ids=["windows", "packed"]
)
def test_targets_from_elsewhere_fail(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, owner: type, fault: Callable[[RowBlock], RowBlock]
):
    take = owner.take
    monkeypatch.setattr(owner, "take", lambda self, *which: fault(take(self, *which)))
    assert verdicts(prove_boundaries(place))["document_targets"] == "block"


def test_shards_give_the_rows_of_memory(place: Workplace):
    found = prove_shards(place)
    assert found.verdict == "pass" and found.n is not None and found.n > 50


def write_another_token(monkeypatch: pytest.MonkeyPatch) -> None:
    bounded = ShardWriter._bounded

    def wrong(self, ids):
        found = bounded(self, ids)
        found[len(found) // 2] += 1
        return found

    monkeypatch.setattr(ShardWriter, "_bounded", wrong)


def read_one_place_late(monkeypatch: pytest.MonkeyPatch) -> None:
    read = ShardStream.read
    monkeypatch.setattr(ShardStream, "read", lambda self, begin, end: read(self, begin + 1, end + 1))


def name_the_next_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed rows whose ledger would name other documents than they hold."""
    take = PackedShardRows.take

    def wrong(self, *which):
        block = take(self, *which)
        return replace(block, spans=block.spans + np.array([1, 0, 0]) * (block.spans[:, :1] == 0))

    monkeypatch.setattr(PackedShardRows, "take", wrong)


def count_positions_on(monkeypatch: pytest.MonkeyPatch) -> None:
    take = PackedShardRows.take

    def wrong(self, *which):
        block = take(self, *which)
        return replace(block, positions=np.broadcast_to(np.arange(block.tokens.shape[1]), block.tokens.shape))

    monkeypatch.setattr(PackedShardRows, "take", wrong)


@pytest.mark.parametrize(
    "plant", [write_another_token, read_one_place_late, name_the_next_document, count_positions_on]
)
def test_shards_that_give_back_something_else_fail(place: Workplace, monkeypatch: pytest.MonkeyPatch, plant: Plant):
    plant(monkeypatch)
    assert prove_shards(place).verdict == "block"


def test_only_the_assistant_is_trained_on(place: Workplace):
    found = prove_chat_mask(place)
    assert found.verdict == "pass" and found.n is not None and found.n > 50


def everything(rendered: Rendered, end: int) -> list[bool]:
    return [True] * len(rendered.ids)


def nothing_ends(rendered: Rendered, end: int) -> list[bool]:
    return [kept and token != end for token, kept in zip(rendered.ids, rendered.mask, strict=True)]


def first_word_lost(rendered: Rendered, end: int) -> list[bool]:
    return [kept and before for before, kept in zip([False, *rendered.mask], rendered.mask, strict=False)]


@pytest.mark.parametrize("fault", [everything, nothing_ends, first_word_lost])
def test_a_wrong_chat_mask_fails(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Rendered, int], list[bool]]
):
    def wrong(messages, tok):
        rendered = render(messages, tok)
        return rendered._replace(mask=fault(rendered, tok.end))

    monkeypatch.setattr(sanity_material, "render", wrong)
    assert prove_chat_mask(replace(place, material=make_material(place.material.config))).verdict == "block"


def test_targets_in_padding_fail(place: Workplace, monkeypatch: pytest.MonkeyPatch):
    take = PackedRows.take

    def padded(self, *which):
        block = take(self, *which)
        return replace(block, targets=np.where(block.segments == 0, 5, block.targets))

    monkeypatch.setattr(PackedRows, "take", padded)
    assert prove_chat_mask(place).verdict == "block"
    assert verdicts(prove_boundaries(place))["document_targets"] == "block"


# --- verdicts


@pytest.mark.parametrize(
    ("measured", "n", "verdict"), [(1.0, 1, "pass"), (1.1, 1, "block"), (0.0, 0, "block"), (float("nan"), 1, "block")]
)
def test_a_verdict_needs_values_below_the_bar(measured: float, n: int, verdict: str):
    assert judge("sanity.cache_logits", measured, 1.0, n).verdict == verdict


def test_what_is_not_built_is_never_a_pass():
    assert verdicts(run.missing()) == {"ranks": "not_run"}


def test_some_packed_row_has_padding_and_some_answer_no_weight(made: Material):
    """The made conversations hold what the proofs are there for."""
    rows = made.packed()
    assert (rows.take(np.arange(len(rows))).targets == IGNORE).any()
    turns = [turn for item in made.conversations for turn in item.messages]
    assert {turn.role for turn in turns} == {"system", "user", "assistant", "tool"}
    assert any(turn.role == "assistant" and not turn.weight for turn in turns)
    assert any("<|end|>" in turn.content for turn in turns)
