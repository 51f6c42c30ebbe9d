"""The table of benchmarks: whole, known everywhere by the same names, and published results that may be compared."""

from typing import get_args

import pytest

from picochat.core.errors import PicochatError
from picochat.evals.benchmark_items import READERS
from picochat.evals.layouts.catalog import LAYOUTS, WITH_EXAMPLES
from picochat.evals.statistics import centred_interval, chance_adjusted
from picochat.evals.tasks.core_tasks import CORE_TASKS
from picochat.evals.tasks.facts import TABLE
from picochat.evals.tasks.references import Reference, find_reference, load_references, references_of
from picochat.judgement.benchmarks import KNOWN, METRICS
from picochat.stages.benchmark.config import Name


def test_every_benchmark_of_the_table_is_read_asked_judged_and_compared():
    assert set(TABLE) == set(get_args(Name)) == set(LAYOUTS) | {"blimp"} == set(KNOWN) == set(READERS) == set(METRICS)
    assert set(WITH_EXAMPLES) < set(TABLE)
    for name, facts in TABLE.items():
        assert facts.name == name and facts.metric and facts.prompt and facts.headline and facts.minimum_n == 50


@pytest.mark.parametrize(
    ("name", "raw"),
    [("blimp", 0.65), ("arc_easy", 0.30), ("arc_challenge", 0.30), ("mmlu", 0.30), ("hellaswag", 0.30), ("piqa", 0.55)],
)
def test_a_threshold_on_the_raw_scale(name: str, raw: float):
    assert TABLE[name].adjusted_threshold == pytest.approx(chance_adjusted(raw, TABLE[name].chance))


def test_core_has_22_tasks_and_two_versions_that_differ_in_three():
    assert len(CORE_TASKS) == 22
    differing = {name: (task.v1, task.v2) for name, task in CORE_TASKS.items() if task.v1 != task.v2}
    assert differing == {
        "commonsense_qa": (20, 40.3),
        "agi_eval_lsat_ar": (20, 25),
        "bigbench_language_identification": (9.1, 25),
    }
    item = 1 / CORE_TASKS["bigbench_repeat_copy_logic"].items / 22
    assert item == pytest.approx(0.00142, abs=1e-5), "one item of the smallest task, on the scale of the score"


def test_published_results_are_whole_and_found_by_name():
    assert [r.value for r in references_of("core") if r.same_setup] == [0.114, 0.185, 0.215, 0.257]
    assert find_reference("core", "GPT-2 355M").value == 0.185
    assert all(r.source and r.harness and r.shots for r in load_references())
    with pytest.raises(PicochatError, match="known are none"):
        find_reference("piqa", "GPT-2 124M")


def test_another_metric_is_never_the_same_setup():
    values = find_reference("core", "GPT-2 124M").as_dict()
    for change in ({"metric": "accuracy"}, {"benchmark": "none"}):
        with pytest.raises(PicochatError) as caught:
            Reference.from_dict(values | change)
        assert caught.value.code == "config.value"


def test_the_interval_of_a_mean_of_centred_rates():
    low, high = centred_interval([(50, 100), (30, 100)], [0.5, 0.0])
    assert low < 0.15 < high and (low, high) == centred_interval([(50, 100), (30, 100)], [0.5, 0.0])
    assert high - low == pytest.approx(2 * 1.96 * ((0.1**2 + 0.0458**2) ** 0.5 / 2), rel=0.05)
    few, many = centred_interval([(0, 10)], [0.0]), centred_interval([(0, 1000)], [0.0])
    assert few[0] == many[0] == 0.0 and few[1] > 0.2 > many[1] > 0
    with pytest.raises(ValueError, match="no tasks"):
        centred_interval([], [])
