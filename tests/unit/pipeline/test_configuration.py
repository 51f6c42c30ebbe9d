import re

import pytest

from picochat.core.config import flatten
from picochat.core.errors import PicochatError
from picochat.model.sizing import count_parameters
from picochat.pipeline.config import RunConfig, resolve, settings_layer
from picochat.pipeline.profiles import PROFILES, load_profile
from picochat.pipeline.runner import chosen_stages
from picochat.training.recipe import resolve_recipe


def refusal(call, *args) -> PicochatError:
    with pytest.raises(PicochatError) as caught:
        call(*args)
    return caught.value


def tiny(**settings):
    layer = settings_layer([(key.replace("__", "."), value) for key, value in settings.items()])
    return resolve("tiny", load_profile("tiny").build(), [("--set", layer)])


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("tiny", 740_000, 780_000),
        ("small", 10_000_000, 15_000_000),
        ("h100-100m", 106_000_000, 108_000_000),
        ("h100-100m-ddp8", 106_000_000, 108_000_000),
        ("h200-1b-ddp8", 1_120_985_088, 1_120_985_088),
    ],
)
def test_every_profile_builds_and_has_the_size_it_says(name, low, high):
    profile = load_profile(name)
    config = profile.build()
    total = count_parameters(config.model).total
    assert low <= total <= high
    said = re.match(r"(about )?([\d.]+) ([MB])", profile.title)
    assert said is not None
    assert total == pytest.approx(float(said[2]) * {"M": 1e6, "B": 1e9}[said[3]], rel=0.05)
    assert RunConfig.from_dict(config.as_dict()) == config
    assert resolve_recipe(config.base.loop, total).steps > 100


def test_every_profile_is_tested_here():
    assert set(PROFILES) == {"tiny", "small", "h100-100m", "h100-100m-ddp8", "h200-1b-ddp8"}


def test_the_billion_profile_takes_21400_steps_of_a_million_tokens():
    config = load_profile("h200-1b-ddp8").build()
    recipe = resolve_recipe(config.base.loop, 1_120_985_088)
    assert (recipe.tokens_per_step, recipe.steps, recipe.warmup_steps) == (1_048_576, 21_400, 1_070)
    assert recipe.optim.lr == pytest.approx(1.08e-3, rel=0.01)


def test_an_unknown_profile_is_refused_with_the_known_ones():
    err = refusal(load_profile, "tny")
    assert (err.code, err.exit_code) == ("config.value", 2)
    assert "'tny'" in err.detail and "h200-1b-ddp8" in err.detail


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        (
            "tiny",
            ["dataset", "honesty", "tokenizer", "base", "prediction", "sft", "evaluate", "memorisation", "summary"],
        ),
        (
            "small",
            [
                "dataset",
                "honesty",
                "tokenizer",
                "shards",
                "base",
                "prediction",
                "sft",
                "evaluate",
                "memorisation",
                "summary",
            ],
        ),
        (
            "h200-1b-ddp8",
            [
                "dataset",
                "honesty",
                "tokenizer",
                "shards",
                "base",
                "prediction",
                "sft",
                "evaluate",
                "memorisation",
                "summary",
            ],
        ),
    ],
)
def test_a_run_has_the_shards_stage_when_its_data_mode_asks_for_it(name, stages):
    assert [spec.name for spec in chosen_stages(load_profile(name).build(), None)] == stages
    assert [spec.name for spec in chosen_stages(load_profile(name).build(), ("shards", "base"))] == stages[3:-5]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([("shards.boundary_tokens", False)], "every packed row begins with a document"),
        ([("sft.loop.seq_len", 256)], "sft.replay_frac"),
    ],
)
def test_settings_that_packed_rows_cannot_have_are_refused(values, shown):
    err = refusal(resolve, "small", load_profile("small").build(), [("--set", settings_layer(values))])
    assert (err.code, err.exit_code) == ("config.conflict", 2)
    assert shown in err.detail


def test_each_value_knows_where_it_came_from():
    file = {"seed": 7, "base": {"loop": {"lr": 0.1, "clip": 0.5}}}
    flags = settings_layer([("machine.device", "cpu")])
    given = settings_layer([("base.loop.lr", 0.2), ("sft.loop.tokens", 9999)])
    resolved = resolve("tiny", load_profile("tiny").build(), [("a.toml", file), ("flag", flags), ("--set", given)])
    config, origins = resolved
    assert (config.seed, config.base.loop.lr, config.base.loop.clip) == (7, 0.2, 0.5)
    assert {key: origins[key] for key in ("seed", "base.loop.clip")} == {"seed": "a.toml", "base.loop.clip": "a.toml"}
    assert origins["base.loop.lr"] == origins["sft.loop.tokens"] == "--set"
    assert origins["machine.device"] == "flag"
    assert origins["model.dim"] == "profile tiny"
    assert origins.keys() == flatten(config.as_dict()).keys()


def test_a_later_layer_changes_no_neighbour():
    before, after = tiny().config.as_dict(), tiny(base__loop__clip=0.5).config.as_dict()
    assert [k for k, v in flatten(after).items() if flatten(before)[k] != v] == ["base.loop.clip"]


@pytest.mark.parametrize(
    ("settings", "code", "shown"),
    [
        ({"base__loop__tokns": 1}, "config.key", "unknown key 'base.loop.tokns'; did you mean 'base.loop.tokens'?"),
        ({"bse__loop__tokens": 1}, "config.key", "unknown key 'bse'; did you mean 'base'?"),
        ({"base__loop__tokens": "many"}, "config.value", "base.loop.tokens"),
        ({"base__loop__tokens": 0}, "config.value", "base.loop.tokens"),
        ({"base__loop": 3}, "config.value", "base.loop"),
        ({"base__loop__lr__x": 3}, "config.value", "base.loop.lr"),
        ({"machine__precision": "fp8"}, "config.value", "machine.precision"),
        ({"model__vocab_size": 600}, "config.conflict", "model.vocab_size is 600, tokenizer.vocab_size is 512"),
        ({"base__loop__seq_len": 512}, "config.conflict", "base.loop.seq_len is 512, model.max_seq_len is 256"),
        ({"sft__loop__seq_len": 512}, "config.conflict", "sft.loop.seq_len is 512, model.max_seq_len is 256"),
        ({"base__text__corpus": "/a"}, "config.conflict", "text.corpus and text.tokenizer"),
        ({"base__loop__optimizer": "adamw"}, "config.conflict", "adamw (base.loop.optimizer) in muon"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_key(settings, code, shown):
    with pytest.raises(PicochatError) as caught:
        tiny(**settings)
    assert (caught.value.code, caught.value.exit_code) == (code, 2)
    assert shown in caught.value.detail


def test_two_optimizers_are_fine_when_no_state_is_carried():
    assert tiny(base__loop__optimizer="adamw", sft__carry_optimizer=False).config.base.loop.optimizer == "adamw"
    assert tiny(base__loop__optimizer="adamw", sft__base="/other").config.sft.loop.optimizer == "muon"


def test_the_last_of_two_settings_wins():
    assert settings_layer([("a.b", 1), ("a.c", 2), ("a.b", 3)]) == {"a": {"b": 3, "c": 2}}
