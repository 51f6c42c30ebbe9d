"""What a ladder is made of before anything is trained: shapes, lengths, branches, seeds and common rules."""

import math
from pathlib import Path

import pytest

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.model.sizing import count_parameters, flops_per_token
from picochat.pipeline.config import RunConfig, resolve, settings_layer
from picochat.pipeline.prediction.config import LadderConfig
from picochat.pipeline.prediction.plan import TextPaths, choose_keep_every, plan_ladder, size_of
from picochat.pipeline.prediction.predict import parse_numbers
from picochat.pipeline.prediction.rules import differing_rules, rules_of
from picochat.pipeline.prediction.shapes import shrink_model
from picochat.pipeline.profiles import PROFILES, load_profile
from picochat.training.recipe import resolve_recipe
from picochat.training.schedule import cooldown_begin, lr_factor

TEXT = TextPaths(Path("texts/corpus.txt"), Path("texts/tokenizer.json"))


def config_of(profile: str = "tiny", **settings: object) -> RunConfig:
    return resolve(profile, load_profile(profile).build(), [("--set", settings_layer(list(settings.items())))]).config


def plan(profile: str = "tiny", **keys: object):
    return plan_ladder(Path("ladder"), profile, config_of(profile), LadderConfig(**keys), TEXT)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_every_profile_has_a_ladder_of_enough_sizes_below_it(profile: str):
    rungs, (parameters, tokens) = plan(profile), size_of(config_of(profile))
    sizes = sorted({rung.parameters for rung in rungs})
    assert len(sizes) == 5 and sizes[-1] >= 8 * sizes[0]
    assert sizes[-1] == pytest.approx(parameters / 3, rel=0.15)
    assert max(rung.tokens for rung in rungs) <= tokens
    whole = tokens * flops_per_token(config_of(profile).model, config_of(profile).base.loop.seq_len)
    assert sum(rung.flops for rung in rungs) < (0.9 if profile == "tiny" else 0.25) * whole, "it costs a part of it"
    for rung in rungs:
        assert count_parameters(rung.resolved.config.model).total == rung.parameters
        assert size_of(rung.resolved.config) == (rung.parameters, rung.tokens)
        assert rung.resolved.config.base.loop.schedule == "wsd"


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("factor", [2, 5, 12, 30])
def test_a_smaller_shape_is_near_its_size_and_of_the_same_kind(profile: str, factor: int):
    target = config_of(profile).model
    found = shrink_model(target, count_parameters(target).total / factor)
    assert count_parameters(found).total == pytest.approx(count_parameters(target).total / factor, rel=0.25)
    assert found.vocab_size == target.vocab_size and found.residual == target.residual
    assert found.n_heads % found.n_kv_heads == 0 and found.head_dim % 2 == 0
    assert found.dim / found.n_layers == pytest.approx(target.dim / target.n_layers, rel=0.7)


def test_names_purposes_and_the_order_of_training():
    rungs = plan(sizes=4, span=10.0, gap=2.5)
    assert [rung.name for rung in rungs] == [
        *(f"n{size}-d{length}" for size in range(1, 5) for length in (3, 2, 1)),
        "n1-d3-s1",
        "n1-d3-s2",
    ]
    assert [rung.purpose for rung in rungs] == ["fit"] * 12 + ["seed"] * 2
    assert [rung.resolved.config.seed for rung in rungs[-3:]] == [1, 2, 3]
    assert rungs[-1].tokens == rungs[0].tokens and rungs[-1].parameters == rungs[0].parameters
    assert all(rung.resolved.origins["base.loop.tokens"] == "ladder" for rung in rungs)


def test_a_branch_begins_where_a_kept_checkpoint_lies_before_its_rate_falls():
    for rung in plan():
        loop = rung.resolved.config.base.loop
        if rung.branch_step is None:
            assert rung.resolved.config.base.branch is None
            continue
        kept = f"ladder/{rung.name[:-1]}3/base/{layout.kept_checkpoint(rung.branch_step)}"
        assert str(rung.resolved.config.base.branch).endswith(kept)
        steps = rung.tokens // resolve_recipe(loop, rung.parameters).tokens_per_step
        warmup = round(loop.warmup_frac * steps)
        assert 0 < rung.branch_step <= cooldown_begin(steps, warmup)
        assert rung.branch_step > 0.9 * cooldown_begin(steps, warmup), "few steps are taken twice"


@pytest.mark.parametrize(("steps", "warmup"), [(100, 0), (100, 10), (293, 6), (25, 1), (7, 3), (1, 1), (1000, 999)])
def test_the_rate_is_flat_before_the_cooldown_and_falls_after(steps: int, warmup: int):
    begin = cooldown_begin(steps, warmup)
    rates = [lr_factor(step, steps, warmup, "wsd") for step in range(steps)]
    assert warmup <= begin <= steps
    assert all(rate == 1.0 for rate in rates[warmup:begin])
    assert all(rate < 1.0 for rate in rates[begin:])
    assert not rates[begin:] or rates[-1] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("begins", [[50, 100], [59, 118], [7], [1, 3], [333, 700, 1001]])
def test_few_checkpoints_serve_all_branches(begins: list[int]):
    longest = max(begins) * 2
    every = choose_keep_every(begins, longest)
    assert 1 <= every <= begins[0]
    assert longest / every <= 12 or every == begins[0]
    assert sum(begin % every for begin in begins) <= 0.1 * sum(begins)


def test_the_longest_training_has_20_tokens_a_parameter_and_never_more_than_the_profile():
    rungs = plan()
    _, tokens = size_of(config_of())
    for rung in rungs:
        if rung.name.endswith("-d3"):
            assert rung.tokens == pytest.approx(min(tokens, 20 * rung.parameters), rel=0.01)
    given = plan(tokens_per_parameter=10.0, gap=2.0)
    assert all(
        r.tokens == pytest.approx(min(tokens, 10 * r.parameters), rel=0.05) for r in given if r.name.endswith("-d3")
    )


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"cuts": [0.01, 1.0]}, "ladder.lengths"),
        ({"tokens_per_parameter": 0.5}, "ladder.lengths"),
        ({"gap": 100.0}, "ladder.sizes"),
        ({"sizes": 20}, "ladder.sizes"),
    ],
)
def test_ladders_that_cannot_be_laid_are_refused(keys: dict, code: str):
    with pytest.raises(PicochatError) as caught:
        plan(**keys)
    assert caught.value.code == code


@pytest.mark.parametrize("cuts", [[], [1.0], [0.5, 0.9], [0.5, 0.25, 1.0], [0.0, 1.0], [-0.5, 1.0], [0.5, 0.5, 1.0]])
def test_cuts_rise_to_the_whole(cuts: list[float]):
    with pytest.raises(PicochatError) as caught:
        LadderConfig(cuts=cuts)
    assert caught.value.code == "config.conflict"


@pytest.mark.parametrize(
    "values", [{"sizes": 3}, {"span": 7.9}, {"seeds": 1}, {"gap": 0.5}, {"tokens_per_parameter": 0.0}, {"size": 4}]
)
def test_settings_outside_of_their_range_are_refused(values: dict):
    with pytest.raises(PicochatError) as caught:
        LadderConfig.from_dict(values, "--set ladder")
    assert caught.value.code in ("config.value", "config.key")


def test_rungs_share_their_rules_and_a_target_differs_where_it_was_set_otherwise():
    rungs = plan()
    rules = [rules_of(rung.resolved.config) for rung in rungs]
    assert all(found == rules[0] for found in rules)
    assert differing_rules(rules[0], config_of(**{"base.loop.schedule": "wsd"})) == []
    (one,) = differing_rules(rules[0], config_of())
    assert one == {"key": "base.loop.schedule", "ladder": "wsd", "target": "linear"}
    (two,) = differing_rules(rules[0], config_of(**{"base.loop.schedule": "wsd", "base.loop.lr": 1e-3}))
    assert (two["key"], two["target"]) == ("base.loop.lr", 1e-3)
    assert math.isclose(two["ladder"], 3e-3)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1.1e9,22e9", (1_100_000_000, 22_000_000_000)), ("755_000, 1_200_000", (755_000, 1_200_000)), ("tiny", None)],
)
def test_a_target_may_be_two_numbers(text: str, numbers: tuple[int, int] | None):
    assert parse_numbers(text) == numbers


@pytest.mark.parametrize("text", ["1e9,", ",1", "1,2,3", "a,b", "1e999,1", "nan,1", "0,5", "5,0.1", "-1,5", "1e,1"])
def test_a_target_that_is_no_pair_is_refused(text: str):
    with pytest.raises(PicochatError) as caught:
        parse_numbers(text)
    assert caught.value.code == "prediction.target"
