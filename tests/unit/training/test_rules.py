"""Schedule, recipe, guard and ledger: arithmetic without tensors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.core.jsonio import canonical_json, parse_json
from picochat.training import recipe
from picochat.training.config import LoopConfig
from picochat.training.guard import KNOWN_BEFORE_JUDGING, WINDOW, LossGuard
from picochat.training.ledger import Ledger, documents_digest, require_every_step, spliced
from picochat.training.schedule import lr_factor

BILLION = 1_120_985_088


@pytest.mark.parametrize("name", ["linear", "cosine", "wsd", "constant"])
def test_every_schedule_warms_up_in_even_steps_to_its_peak(name):
    assert [lr_factor(step, 100, 4, name) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_linear_falls_evenly_to_its_end():
    factors = [lr_factor(step, 12, 2, "linear", 0.1) for step in range(2, 12)]
    assert factors == pytest.approx([1 - 0.09 * k for k in range(1, 11)])
    assert lr_factor(11, 12, 2, "linear") == 0.0


def test_cosine_is_half_way_in_the_middle():
    assert lr_factor(49, 100, 0, "cosine") == pytest.approx(0.5)
    assert lr_factor(24, 100, 0, "cosine") == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert lr_factor(99, 100, 0, "cosine", 0.1) == pytest.approx(0.1)


def test_wsd_stays_for_four_fifths_and_cools_down_by_one_minus_the_root():
    factors = [lr_factor(step, 100, 0, "wsd") for step in range(100)]
    assert factors[:80] == [1.0] * 80
    assert factors[84] == pytest.approx(1 - math.sqrt(0.25))
    assert factors[99] == pytest.approx(0.0, abs=1e-12)


def test_constant_is_constant():
    assert {lr_factor(step, 10, 0, "constant") for step in range(10)} == {1.0}


@given(
    st.integers(1, 200), st.floats(0, 0.5), st.floats(0, 1), st.sampled_from(["linear", "cosine", "wsd", "constant"])
)
def test_factors_lie_between_the_end_and_one_and_never_rise_after_the_warm_up(total, warm, final, name):
    warmup = round(warm * total)
    factors = [lr_factor(step, total, warmup, name, final) for step in range(total)]
    assert all(-1e-12 <= f <= 1 + 1e-12 for f in factors)
    after = factors[warmup:]
    assert all(final - 1e-12 <= f for f in after)
    assert all(b <= a + 1e-12 for a, b in zip(after, after[1:], strict=False))


def test_figures_of_a_billion_parameters():
    assert recipe.peak_lr(BILLION).value == pytest.approx(1.0774e-3, rel=1e-3)
    assert recipe.tokens_per_step(BILLION, 16 * 2048).value == 1_048_576
    assert recipe.beta2(1_048_576).value == 0.95
    assert recipe.weight_decay(1.0774e-3).value == pytest.approx(0.0928, rel=1e-3)


def test_figures_of_the_reference_size():
    assert recipe.peak_lr(108_000_000).value == pytest.approx(0.00235)
    assert recipe.tokens_per_step(108_000_000, 1).value == 262_144
    assert recipe.peak_lr(1000).value == 0.02
    assert recipe.weight_decay(1e-5).value == 0.1
    assert (recipe.beta2(524_287).value, recipe.beta2(524_288).value) == (0.99, 0.95)


@given(st.integers(1, 10**10), st.integers(1, 10**5))
def test_a_step_is_a_power_of_two_or_the_least_that_fits(parameters, row):
    value = recipe.tokens_per_step(parameters, row).value
    assert value == row or (value & (value - 1) == 0 and value >= row)


def test_a_resolved_recipe_says_where_each_value_comes_from():
    loop = LoopConfig(tokens=100_000, seq_len=128, micro_batch_size=8, tokens_per_step=4096, lr=1e-3, warmup_frac=0.1)
    found = recipe.resolve_recipe(loop, 750_000)
    assert (found.tokens_per_step, found.steps, found.warmup_steps) == (4096, 24, 2)
    assert (found.optim.lr, found.optim.beta2, found.optim.weight_decay) == (1e-3, 0.99, 0.1)
    assert found.rules["lr"] == found.rules["tokens_per_step"] == "given"
    assert "524,288" in found.rules["beta2"]
    assert "100,000 tokens / 4,096" in found.rules["steps"]


def test_a_derived_step_is_a_whole_number_of_micro_batches():
    loop = LoopConfig(tokens=10_000_000, seq_len=96, micro_batch_size=5)
    found = recipe.resolve_recipe(loop, 12_000_000)
    assert found.tokens_per_step % (96 * 5) == 0
    assert found.tokens_per_step == pytest.approx(recipe.tokens_per_step(12_000_000, 480).value, rel=0.01)
    assert "108e6" in found.rules["lr"] and "108e6" in found.rules["tokens_per_step"]


def test_there_is_always_one_step():
    assert recipe.resolve_recipe(LoopConfig(tokens=1, seq_len=128, micro_batch_size=4), 1000).steps == 1


def filled_guard() -> LossGuard:
    guard = LossGuard()
    assert all(guard.accepts(3.0 + 0.01 * (i % 7), 1.0 + 0.01 * (i % 5)) for i in range(60))
    return guard


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_rejected_from_the_first_step(bad):
    guard = LossGuard()
    assert not guard.accepts(bad, 1.0)
    assert not guard.accepts(3.0, bad)
    assert guard.accepts(3.0, 1.0)
    assert guard.rejected == 2


def test_a_spike_is_judged_only_once_enough_is_known():
    guard = LossGuard()
    for i in range(KNOWN_BEFORE_JUDGING - 1):
        assert guard.accepts(3.0 + 0.01 * (i % 3), 1.0)
    assert guard.accepts(50.0, 1.0)
    fresh = LossGuard()
    for i in range(KNOWN_BEFORE_JUDGING):
        assert fresh.accepts(3.0 + 0.01 * (i % 3), 1.0 + 0.01 * (i % 3))
    assert not fresh.accepts(50.0, 1.0)
    assert not fresh.accepts(3.0, 50.0)
    assert fresh.accepts(0.1, 0.1)


def test_the_limit_is_six_sigma_above_the_mean():
    guard = LossGuard()
    for i in range(64):
        guard.accepts(3.0 + (0.1 if i % 2 else -0.1), 1.0)
    assert guard.accepts(3.0 + 0.1 * 5.99, 1.0)
    guard = LossGuard()
    for i in range(64):
        guard.accepts(3.0 + (0.1 if i % 2 else -0.1), 1.0)
    assert not guard.accepts(3.0 + 0.1 * 6.01, 1.0)


def test_equal_values_are_no_spike():
    guard = LossGuard()
    assert all(guard.accepts(0.1, 0.7) for _ in range(300))


def test_a_rejected_value_never_enters_the_window():
    guard = filled_guard()
    before = guard.state_dict()
    for bad in (math.nan, 1e9, math.inf):
        assert not guard.accepts(bad, 1.0)
    after = guard.state_dict()
    assert (after["losses"], after["norms"]) == (before["losses"], before["norms"])
    assert after["rejected"] == 3
    assert guard.accepts(3.0, 1.0) and guard.exhausted() is None


def test_the_window_forgets_the_oldest():
    guard = LossGuard()
    for i in range(WINDOW + 10):
        guard.accepts(1.0 + (i % 2), 1.0)
    assert len(guard.state_dict()["losses"]) == WINDOW


def test_five_rejects_in_a_row_end_the_training_and_four_do_not():
    guard = filled_guard()
    for _ in range(4):
        guard.accepts(math.nan, 1.0)
    assert guard.exhausted() is None
    guard.accepts(3.0, 1.0)
    for _ in range(4):
        guard.accepts(math.nan, 1.0)
    assert guard.exhausted() is None
    guard.accepts(math.nan, 1.0)
    assert guard.exhausted() == "5 steps in a row were rejected (limit 5)"


def test_more_than_one_in_a_hundred_of_the_last_thousand_ends_the_training():
    guard = filled_guard()
    for i in range(940):
        assert guard.accepts(3.0 + 0.01 * (i % 7), 1.0 + 0.01 * (i % 5)) is True
    for _ in range(10):
        guard.accepts(math.nan, 1.0)
        guard.accepts(3.0, 1.0)
    assert guard.exhausted() is None
    guard.accepts(math.nan, 1.0)
    assert guard.exhausted() == "1.1% of the last 1000 steps were rejected (limit 1%)"


@given(st.lists(st.tuples(st.floats(width=32), st.floats(width=32)), max_size=80))
def test_a_guard_that_went_through_json_decides_the_same(values):
    guard = filled_guard()
    for loss, norm in values[: len(values) // 2]:
        guard.accepts(loss, norm)
    again = LossGuard()
    again.load_state_dict(parse_json(canonical_json(guard.state_dict()), "x"))
    for loss, norm in values[len(values) // 2 :]:
        assert guard.accepts(loss, norm) == again.accepts(loss, norm)
    assert again.state_dict() == guard.state_dict()
    assert again.exhausted() == guard.exhausted()


def write(path, lines, resumed_step=None):
    ledger = Ledger(path, resumed_step)
    for line in lines:
        ledger.append(line)
    ledger.close()
    return ledger


def lines_of(*steps, loss="0x1p0"):
    return [{"step": step, "loss": loss} for step in steps]


def test_a_new_ledger_starts_empty(tmp_path):
    path = tmp_path / "ledger.jsonl"
    write(path, lines_of(1, 2, 3))
    assert write(path, lines_of(1)).repeated == 0
    assert spliced(path) == lines_of(1)


def test_a_resumed_ledger_compares_what_it_repeats_and_splices_to_the_uninterrupted_one(tmp_path):
    path, other = tmp_path / "ledger.jsonl", tmp_path / "whole.jsonl"
    write(path, lines_of(1, 2, 3, 4))
    resumed = write(path, lines_of(3, 4, 5), resumed_step=0)
    assert (resumed.repeated, resumed.differing) == (2, [])
    write(other, lines_of(1, 2, 3, 4, 5))
    assert b"".join(canonical_json(line) + b"\n" for line in spliced(path)) == other.read_bytes()


def test_a_step_that_differs_is_found_and_the_last_line_counts(tmp_path):
    path = tmp_path / "ledger.jsonl"
    write(path, lines_of(1, 2, 3))
    resumed = write(path, lines_of(2) + lines_of(3, loss="0x1.8p0"), resumed_step=0)
    assert (resumed.repeated, resumed.differing) == (2, [3])
    assert spliced(path)[-1]["loss"] == "0x1.8p0"


def test_a_digest_that_only_one_of_the_lines_has_is_no_difference(tmp_path):
    path = tmp_path / "ledger.jsonl"
    write(path, [{"step": 1, "loss": "a", "state": "x"}, {"step": 2, "loss": "b"}])
    resumed = write(path, [{"step": 1, "loss": "a"}, {"step": 2, "loss": "b", "state": "y"}], resumed_step=0)
    assert resumed.differing == []


def test_a_torn_last_line_is_cut_on_resume(tmp_path):
    path = tmp_path / "ledger.jsonl"
    write(path, lines_of(1, 2))
    path.write_bytes(path.read_bytes() + b'{"step": 3, "lo')
    assert write(path, lines_of(3), resumed_step=0).repeated == 0
    assert require_every_step(path, 3) == lines_of(1, 2, 3)


def test_a_ledger_is_synced_while_it_is_open_and_goes_on_after_it_was_closed(tmp_path, monkeypatch):
    synced, path = [], tmp_path / "ledger.jsonl"
    monkeypatch.setattr("picochat.training.ledger.sync_stream", lambda stream: synced.append(stream.tell()))
    ledger = Ledger(path)
    ledger.sync()
    assert synced == [] and not path.exists()
    ledger.append(lines_of(1)[0])
    ledger.sync()
    ledger.close()
    ledger.sync()
    assert synced == [path.stat().st_size]
    ledger.append(lines_of(2)[0])
    ledger.close()
    assert spliced(path) == lines_of(1, 2)


def test_a_resume_without_the_lines_of_its_steps_is_refused_before_it_trains(tmp_path):
    path = tmp_path / "ledger.jsonl"
    for lines in ((), (1, 2, 4)):
        write(path, lines_of(*lines))
        with pytest.raises(PicochatError) as caught:
            Ledger(path, 3)
        assert caught.value.code == "training.ledger"
    assert Ledger(path, 2).to_repeat == 4


@pytest.mark.parametrize(("steps", "planned"), [((1, 2, 4), 4), ((1, 2), 3), ((2, 3), 3), ((), 1), ((1, 2, 3), 2)])
def test_a_ledger_with_a_hole_or_a_step_too_many_is_refused(tmp_path, steps, planned):
    path = tmp_path / "ledger.jsonl"
    path.touch()
    write(path, lines_of(*steps))
    with pytest.raises(PicochatError) as caught:
        require_every_step(path, planned)
    assert (caught.value.code, caught.value.exit_code) == ("training.ledger", 4)
    assert f"has {len(steps)} steps, planned were {planned}" in caught.value.detail


def test_a_resume_without_an_old_ledger_starts_one(tmp_path):
    assert write(tmp_path / "ledger.jsonl", lines_of(5), resumed_step=0).repeated == 0


def test_the_documents_of_a_step_are_digested_in_their_order():
    first, second = np.array([[0, 0, 5]]), np.array([[1, 2, 3]])
    assert documents_digest([first, second]) == documents_digest([np.concatenate([first, second])])
    assert documents_digest([first, second]) != documents_digest([second, first])
    assert documents_digest([first.astype(np.int32)]) == documents_digest([first])
