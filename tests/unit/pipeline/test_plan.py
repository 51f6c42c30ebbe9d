"""A plan's figures against published and hand-made ones; what is chosen, refused and said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.core.units import format_hours, money_of, tokens_per_s
from picochat.model.sizing import GIB
from picochat.pipeline.config import resolve, settings_layer
from picochat.pipeline.plan.build import build_plan, require_fits
from picochat.pipeline.plan.cards import Fleet, cards, find_card, parse_gpus, this_machine_bytes
from picochat.pipeline.plan.disk import checkpoint_bytes
from picochat.pipeline.plan.records import Plan
from picochat.pipeline.profiles import PROFILES, load_profile


def plan(profile="h200-1b-ddp8", gpus="8xH100", rate=None, strategy=None, **settings) -> Plan:
    layer = settings_layer([(key.replace("__", "."), value) for key, value in settings.items()])
    config = resolve(profile, load_profile(profile).build(), [("--set", layer)]).config
    return build_plan(config, parse_gpus(gpus), rate, strategy, profile=profile)


def refusal(**chosen) -> PicochatError:
    with pytest.raises(PicochatError) as caught:
        plan(**chosen)
    return caught.value


@pytest.fixture(scope="module")
def billion() -> Plan:
    return plan(rate=3.0)


def test_parameters_and_steps_are_exact(billion):
    assert billion.parameters == 1_120_985_088 == sum(billion.parameters_by_part.values())
    assert (billion.base.steps, billion.base.tokens_per_step) == (21_400, 1_048_576)
    assert billion.base.tokens == 21_400 * 1_048_576 == 22_439_526_400
    assert (billion.base.batch.micro_batch_size, billion.base.batch.grad_accum_steps) == (16, 4)


def test_flops_are_within_a_tenth_of_a_percent(billion):
    assert billion.base.flops_per_token == pytest.approx(7.934e9, rel=1e-3)
    assert billion.base.flops_total == billion.base.flops_per_token * billion.base.tokens
    assert billion.base.flops_per_token - billion.base.flops_per_token_causal == pytest.approx(0.604e9, rel=1e-3)
    assert 0.23 < billion.base.recompute_frac < 0.32
    assert billion.dominates.flops == "mlp"


def test_hours_and_money_are_within_a_percent(billion):
    assert [found.mfu_frac for found in billion.estimates] == [0.40, 0.45, 0.50]
    assert [found.training_hours for found in billion.estimates] == pytest.approx([15.6, 13.9, 12.5], rel=0.01)
    for found in billion.estimates:
        assert found.tokens_per_s == pytest.approx(997_300 * found.mfu_frac, rel=0.01)
        assert found.lines[0].money == pytest.approx(found.training_hours * 8 * 3.0)
    assert billion.estimates[0].lines[0].money == pytest.approx(374.4, rel=0.01)


def test_extras_are_lines_of_their_own(billion):
    found = billion.estimates[1]
    hours = {line.name: line.hours for line in found.lines}
    trained = hours["base training"] + hours["sft training"]
    assert hours["evaluation, 3%"] == pytest.approx(0.03 * trained)
    assert hours["checkpoints, 2%"] == pytest.approx(0.02 * trained)
    assert hours["set-up, 10 min"] == pytest.approx(1 / 6)
    assert hours["contingency, 5%"] == pytest.approx(0.05 * (1.05 * trained + 1 / 6))
    assert found.total.hours == pytest.approx(sum(hours.values()))
    assert found.total.money == pytest.approx(found.total.hours * 24)


def test_recomputed_blocks_are_reckoned_at_40_percent_and_kept_ones_at_50(billion):
    assert billion.estimate is billion.estimates[0]
    kept = plan(gpus="8xH200", base__loop__checkpoint_blocks=False)
    assert kept.estimate == kept.estimates[2]
    assert kept.base.recompute_frac == 0.0


def test_without_a_rate_there_is_no_money():
    assert all(line.money is None for found in plan().estimates for line in (*found.lines, found.total))


@pytest.mark.parametrize(("rows", "gib"), [(8, 26.45), (16, 29.83), (32, 36.58)])
def test_memory_is_that_of_the_step_and_needed_has_its_margin(rows, gib):
    memory = plan(gpus="8xH200", base__loop__micro_batch_size=rows, machine__compile="off").base.batch.memory
    assert memory.peak_bytes / GIB == pytest.approx(gib, rel=0.03)
    assert memory.needed_bytes == round(memory.peak_bytes * 1.08 + 1.5 * GIB)
    parts = memory.model_dump(exclude={"phase", "peak_bytes", "needed_bytes"})
    assert sum(parts.values()) == memory.needed_bytes


def test_slices_need_less_and_whole_gradients_while_they_accumulate():
    replicas, slices = plan(), plan(strategy="fsdp")
    assert slices.base.batch.memory.needed_bytes < 0.6 * replicas.base.batch.memory.needed_bytes
    n = slices.parameters
    assert slices.base.batch.memory.gradients_bytes == pytest.approx(4 * n, rel=0.01)
    assert slices.base.batch.memory.weights_bytes == 4 * n // 8


def test_what_is_configured_stays_where_it_fits(billion):
    assert billion.fits and billion.base.as_configured and billion.base.batch.checkpoint_blocks
    assert billion.base.why.startswith("as configured")
    assert not billion.base.widest.checkpoint_blocks
    assert billion.base.widest.micro_batch_size == 8
    assert any("also fits without recomputing blocks, at micro-batch 8" in note for note in billion.notes)


def test_otherwise_the_largest_that_fits_is_taken_kept_blocks_first():
    smaller = plan(gpus="8xA100-80", base__loop__checkpoint_blocks=False, base__loop__micro_batch_size=16)
    chosen = smaller.base.batch
    assert smaller.fits and not smaller.base.as_configured
    assert (chosen.micro_batch_size, chosen.grad_accum_steps, chosen.checkpoint_blocks) == (8, 8, False)
    assert "micro-batch 16 as configured needs" in smaller.base.why
    assert any("--set base.loop.micro_batch_size=8" in note for note in smaller.notes)
    tight = plan(gpus="8xA100-40", base__loop__checkpoint_blocks=False)
    assert (tight.base.batch.micro_batch_size, tight.base.batch.checkpoint_blocks) == (2, False)
    assert tight.base.batch.memory.needed_bytes <= 40e9


def test_what_does_not_fit_is_told_with_what_would():
    found = plan(gpus="8xRTX-4090")
    assert not found.fits and found.base.widest is None
    assert found.remedies[0] == "--gpus 8xrtx-4090 --distributed-strategy fsdp"
    assert plan(gpus="8xRTX-4090", strategy="fsdp").fits
    with pytest.raises(PicochatError) as caught:
        require_fits(found)
    assert caught.value.exit_code == 3
    assert "22.4 GiB" in caught.value.detail and "fsdp" in caught.value.fix


def test_the_first_remedy_really_fits():
    alone = plan(gpus="rtx-4090", base__loop__micro_batch_size=1)
    assert not alone.fits
    gpus = alone.remedies[0].split()[1]
    assert plan(gpus=gpus, strategy="fsdp").fits


def test_ranks_that_cannot_share_a_step_are_refused():
    err = refusal(gpus="7xH100")
    assert err.code == "config.conflict" and "512 rows cannot be shared by 7 ranks" in err.detail


def test_a_step_of_no_whole_micro_batches_is_noted():
    notes = plan(base__loop__tokens_per_step=1_000_000).notes
    assert any("tokens_per_step 1,000,000 becomes 1,015,808" in note for note in notes)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_is_a_number_above_zero(rate):
    assert refusal(rate=rate).code == "plan.rate"


def test_strategies_that_cannot_be_are_refused():
    assert refusal(gpus="H100", strategy="fsdp").code == "strategy.refused"
    assert refusal(profile="tiny", gpus="2xcpu", strategy="fsdp").code == "strategy.refused"


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_has_a_plan_on_its_own_cards_that_fits(name):
    own = load_profile(name)
    found = plan(name, f"{own.ranks}x{own.card}")
    assert found.fits
    assert found.strategy == ("ddp" if own.ranks > 1 else "single")
    assert Plan.from_json(found.to_json(), name) == found


def test_processors_have_no_speed_before_a_probe():
    found = plan("tiny", "cpu", rate=1.0)
    assert found.estimates == () and found.estimate is None
    assert any("--probe" in note for note in found.notes)
    assert found.fleet.rank_bytes == this_machine_bytes()
    assert plan("tiny", "2xcpu").fleet.rank_bytes == this_machine_bytes() // 2


def test_disk_is_corpus_shards_and_three_checkpoints_a_stage(billion, tmp_path):
    disk, n = billion.disk, billion.parameters
    assert disk.checkpoint_bytes == 12 * n
    assert disk.shards_bytes == 2 * billion.base.tokens
    assert disk.total_bytes == disk.corpus_bytes + disk.shards_bytes + 6 * 12 * n
    corpus = tmp_path / "text"
    corpus.write_bytes(b"x" * 1234)
    own = plan("tiny", "cpu", base__text__corpus=str(corpus), base__text__tokenizer="t").disk
    assert (own.corpus_bytes, own.shards_bytes) == (1234, 0)
    kept = plan(base__loop__keep_every=5000).disk
    assert kept.kept_bytes == 4 * 12 * n
    assert kept.saves == 21_400 // 500


def test_a_checkpoint_is_as_large_as_the_one_that_is_written():
    tiny = load_profile("tiny").build()
    assert checkpoint_bytes(tiny.model, tiny.base.loop) == pytest.approx(6_305_280)
    averaged = tiny.base.loop.model_copy(update={"ema_decay": 0.9})
    assert checkpoint_bytes(tiny.model, averaged) - checkpoint_bytes(tiny.model, tiny.base.loop) == 4 * 754_816


@pytest.mark.parametrize(
    ("text", "count", "name"),
    [
        ("8xH100", 8, "h100-sxm"),
        ("8xh200", 8, "h200"),
        ("H100", 1, "h100-sxm"),
        (" 2 x NVIDIA A100 ", 2, "a100-80"),
        ("4*RTX_4090", 4, "rtx-4090"),
        ("2X4090", 2, "rtx-4090"),
        ("cpu", 1, "cpu"),
    ],
)
def test_gpus_are_a_count_and_a_card(text, count, name):
    fleet = parse_gpus(text)
    assert (fleet.count, fleet.card.name) == (count, name)


@pytest.mark.parametrize(
    "text", ["", "8x", "0xH100", "-1xH100", "99999999xH100", "8x H100\n; rm", "x" * 5000, "８xH100"]
)
def test_anything_else_is_refused(text):
    with pytest.raises(PicochatError) as caught:
        parse_gpus(text)
    assert caught.value.code in ("plan.gpus", "plan.card")
    assert len(caught.value.detail) < 300


def test_an_unknown_card_gets_its_nearest_name():
    with pytest.raises(PicochatError) as caught:
        find_card("H10")
    assert "did you mean h100?" in caught.value.detail and "b200" in caught.value.fix


def test_facts_of_the_cards():
    facts = {name: (card.bf16_tflops, card.memory_gb) for name, card in cards().items()}
    assert facts["h100-sxm"] == (989.0, 80) and facts["h200"] == (989.0, 141)
    assert facts["a100-80"] == (312.0, 80) and facts["a100-40"] == (312.0, 40)
    assert facts["cpu"] == (None, None)
    for card in cards().values():
        assert card.source and (card.name == "cpu" or card.bandwidth_gb_per_s)
    names = [name for card in cards().values() for name in (card.name, *card.aliases)]
    assert len(names) == len(set(names))


@given(st.floats(0.01, 1e4), st.integers(1, 10_000), st.floats(0.01, 100))
def test_money_is_hours_times_cards_times_rate(hours, gpus, rate):
    assert money_of(hours, gpus, rate) == pytest.approx(hours * gpus * rate)
    assert money_of(hours, gpus, None) is None
    assert tokens_per_s(hours * 1e12, rate) == pytest.approx(hours * 1e12 / rate)


def test_hours_for_people():
    assert (format_hours(15.634), format_hours(1.0), format_hours(0.05)) == ("15.6 h", "1.0 h", "3 m 0 s")


def test_the_fleet_counts():
    fleet = Fleet(count=8, card=find_card("h100"))
    assert fleet.peak_flops == 8 * 989e12
    assert fleet.rank_bytes == 80_000_000_000
    assert str(fleet) == "8 x NVIDIA H100 SXM 80 GB"
