"""CORE: the bundle's files, the order of rows, the examples and the texts that are fixed for everybody."""

import random
from pathlib import Path

import pytest
from tests.support import made_benchmarks as made
from tests.support.made_benchmarks import CORE_BASELINES, CORE_YAML, RIGHT, FakeScorer, write_core

from picochat.core.errors import PicochatError
from picochat.evals.layouts.catalog import read_items
from picochat.evals.tasks.asking import ask_items
from picochat.evals.tasks.core_numbers import recompute_core
from picochat.evals.tasks.facts import TABLE

FACTS = TABLE["core"]


def refusal(root: Path) -> PicochatError:
    with pytest.raises(PicochatError) as caught:
        read_items("core", root)
    return caught.value


def of_task(root: Path, task: str):
    return [item for item in read_items("core", root).items if item.group == task]


def test_rows_are_shuffled_with_1337_and_examples_are_drawn_with_1234_and_the_place(tmp_path: Path):
    items = of_task(write_core(tmp_path, n=12), "arc_easy")
    order = list(range(12))
    random.Random(1337).shuffle(order)
    assert [item.id for item in items] == [f"arc_easy/{number + 1}" for number in order]
    for place in (0, 5, 11):
        others = [number for at, number in enumerate(order) if at != place]
        drawn = random.Random(1234 + place).sample(others, 10)
        wanted = tuple(f"Question: which, {k}?\nAnswer: right {k} {k % 4}\n\n" for k in drawn)
        assert items[place].examples == wanted


def test_a_multiple_choice_prompt_to_the_letter(tmp_path: Path):
    item = of_task(write_core(tmp_path), "agi_eval_lsat_ar")[0]
    number = int(item.id.rpartition("/")[2]) - 1
    scorer = FakeScorer()
    ask_items([item], FACTS, scorer)
    whole = "".join(scorer.seen[0])
    assert whole == "".join(item.examples) + f"Question: which, {number}? {item.options[0].text}"
    assert len(item.examples) == 3 and item.examples[0].endswith("\n\n")
    prefixes = {prompt for prompt, _ in scorer.seen}
    assert len(prefixes) == 1 and prefixes.pop().endswith(f"{number}? "), "what all options share is not scored"


def test_a_schema_scores_the_continuation_that_its_contexts_share(tmp_path: Path):
    item = of_task(write_core(tmp_path), "winograd")[0]
    scorer = FakeScorer()
    ask_items([item], FACTS, scorer)
    number = int(item.id.rpartition("/")[2]) - 1
    assert {continuation for _, continuation in scorer.seen} == {f" is too big, {number}."}
    assert {prompt for prompt, _ in scorer.seen} == {option.context for option in item.options}


def test_a_language_modeling_context_loses_the_space_at_its_ends(tmp_path: Path):
    item = of_task(write_core(tmp_path), "jeopardy")[0]
    scorer = FakeScorer()
    ask_items([item], FACTS, scorer)
    number = int(item.id.rpartition("/")[2]) - 1
    (prompt, continuation) = scorer.seen[0]
    assert prompt.endswith(f"\n\nCATEGORY {number}: who?\nAnswer:") and continuation == f" {RIGHT}"
    assert prompt.startswith("CATEGORY ") and f"who?\nAnswer: {RIGHT}\n\nCATEGORY" in prompt


@pytest.mark.parametrize(("third", "named"), [(20, "v1"), (25, "v2"), (33, "other")])
def test_the_version_of_the_bundles_own_baselines_is_named(third: float, named: str, tmp_path: Path):
    data = read_items("core", write_core(tmp_path, baselines=CORE_BASELINES | {"agi_eval_lsat_ar": third}))
    assert f"version {named};" in data.notes[0]


BROKEN = [
    (CORE_YAML.replace("arc_easy\n", "my_task\n", 1), "my_task"),
    (CORE_YAML.replace("schema", "ranking"), "ranking"),
    (CORE_YAML.replace("[10]", "10", 1), "num_fewshot"),
    (CORE_YAML.replace("world_knowledge/arc_easy.jsonl", "../../secret.jsonl"), "dataset_uri"),
    (CORE_YAML.replace("winograd\n", "arc_easy\n"), "stands twice"),
    ("icl_tasks: []\n", "icl_tasks"),
    ("icl_tasks: [\n", "not YAML"),
]


@pytest.mark.parametrize(("yaml", "what"), BROKEN)
def test_a_broken_core_yaml_is_refused(yaml: str, what: str, tmp_path: Path):
    error = refusal(write_core(tmp_path, yaml=yaml))
    assert (error.code, error.exit_code) == ("benchmark.layout", 4) and what in error.detail


def test_broken_baselines_and_rows_are_refused(tmp_path: Path):
    assert refusal(write_core(tmp_path, baselines={"arc_easy": 25})).code == "benchmark.layout"
    assert refusal(write_core(tmp_path, baselines=CORE_BASELINES | {"arc_easy": "x"})).code == "benchmark.layout"
    few = refusal(write_core(tmp_path, n=10))
    assert few.code == "benchmark.shots" and "arc_easy" in few.detail
    write_core(tmp_path)
    path = tmp_path / "eval_data/world_knowledge/arc_easy.jsonl"
    path.write_text(path.read_text().replace('"gold": 3', '"gold": 4', 1))
    error = refusal(tmp_path)
    assert error.code == "benchmark.row" and "row 4: gold is 4" in error.detail
    path.unlink()
    assert refusal(tmp_path).code == "benchmark.missing"


def rows_of(root: Path, **model):
    return ask_items(read_items("core", root).items, FACTS, FakeScorer(**model))


def test_a_perfect_model_has_1_and_both_versions_are_computed(tmp_path: Path):
    numbers = recompute_core(FACTS, rows_of(write_core(tmp_path)))
    assert numbers["rate"] == numbers["adjusted"] == 1.0
    assert numbers["shown"]["versions"]["v1"]["score"] == numbers["shown"]["versions"]["v2"]["score"] == 1.0
    assert (numbers["shown"]["tasks"], numbers["shown"]["tasks_published"], numbers["partial"]) == (4, 22, True)
    assert numbers["disagreements"] == 0 and not numbers["own_setup"]


def test_a_golden_score_by_hand(tmp_path: Path):
    """Everything in the first place: a quarter of the choices, half of the schemas, no cloze."""
    rows = rows_of(write_core(tmp_path), says=lambda prompt: "no", value=first_option)
    numbers = recompute_core(FACTS, rows)
    rates = {name: group["rate"] for name, group in numbers["groups"].items()}
    assert rates == {"arc_easy": 0.25, "agi_eval_lsat_ar": 0.25, "winograd": 0.5, "jeopardy": 0.0}
    versions = numbers["shown"]["versions"]
    assert versions["v1"]["score"] == pytest.approx((0 + 0 + 0 + (0.25 - 0.20) / 0.80) / 4)
    assert versions["v2"]["score"] == pytest.approx(0)
    assert numbers["rate"] == versions["v1"]["score"]
    low, high = numbers["interval"]
    assert low < numbers["rate"] < high and low < 0


def first_option(prompt: str, continuation: str) -> float:
    """Likes the option in the first place, which ends in 0; of a schema, the first context."""
    whole = prompt if "too big" in continuation else continuation
    return -1.0 if whole.endswith("0") else -100.0


def test_other_shots_than_the_tables_are_another_setup(tmp_path: Path):
    rows = rows_of(write_core(tmp_path, yaml=CORE_YAML.replace("[3]", "[5]")))
    numbers = recompute_core(FACTS, rows)
    assert numbers["own_setup"] and numbers["shown"]["deviations"] == [
        "agi_eval_lsat_ar: choice, 5 shots; the table has choice, 3"
    ]


def test_the_lowest_mean_loss_wins_not_the_lowest_sum(tmp_path: Path):
    yaml = CORE_YAML.partition("-\n  label: winograd")[0]
    write_core(tmp_path, yaml=yaml)
    rows = [{"query": f"q{k}", "choices": ["long long long long", "x"], "gold": 0} for k in range(12)]
    made.write_jsonl(tmp_path / "eval_data/world_knowledge/arc_easy.jsonl", rows)
    found = rows_of(tmp_path, value=lambda prompt, text: -6.0 if "long" in text else -2.0)
    assert all(row["passed"] for row in found)
    assert found[0]["scores"][0]["tokens"] > 4 * found[0]["scores"][1]["tokens"]
