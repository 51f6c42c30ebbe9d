"""Every benchmark through the stage with a real tokenizer and a small network of random weights."""

from functools import partial
from pathlib import Path

import pytest
import torch
from tests.support import made_benchmarks as made
from tests.support.chat_run import build_model, build_tokenizer, chat_run
from tests.support.made_benchmarks import WRITERS

from picochat.core.errors import PicochatError
from picochat.core.jsonio import canonical_json, iter_jsonl
from picochat.evals.benchmark_items import READERS
from picochat.evals.layouts.catalog import LAYOUTS
from picochat.judgement.benchmarks import KNOWN, load_benchmark
from picochat.judgement.documents import load_document
from picochat.stages.benchmark.config import BenchmarkConfig
from picochat.stages.benchmark.markdown import render_report
from picochat.stages.benchmark.report import report_numbers
from picochat.stages.benchmark.run import run
from picochat.training.config import MachineConfig

MACHINE = MachineConfig(device="cpu", threads=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One run with all benchmarks in it."""
    root = tmp_path_factory.mktemp("all")
    with chat_run(root / "run") as ctx:
        for name in LAYOUTS:
            data = WRITERS[name](root / name, n=12)
            run(ctx, BenchmarkConfig(name=name, data=str(data), max_new_tokens=6), MACHINE)  # type: ignore[arg-type]
        yield ctx.store


def report_of(store, name: str) -> dict:
    return store.read_report(f"benchmarks/{name}/report.json", "benchmark_report")


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_report_follows_from_the_rows_and_judgement_agrees(store, name: str):
    rows = list(iter_jsonl(store.path(f"benchmarks/{name}/rows.jsonl")))
    report, numbers = report_of(store, name), report_numbers(KNOWN[name][1](rows))
    assert canonical_json({key: report[key] for key in numbers}) == canonical_json(numbers)
    assert len(rows) == report["items"] == (48 if name == "core" else 12)
    path = f"benchmarks/{name}/report.json"
    found = load_benchmark(store, name, load_document(store, path, "benchmark_report"))
    assert (found.problem, found.differing, found.moved) == ("", [], [])
    assert found.weak and not found.registered and found.partial and not found.own_setup


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_data_files_are_external_inputs(store, name: str):
    report = report_of(store, name)
    read = {ref["sha256"] for ref in report["manifest"]["inputs"] if ref["external"]}
    assert read == {file["sha256"] for file in report["files"]} and len(read) >= 1


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_page_is_made_of_the_report(store, name: str):
    text = store.path(f"benchmarks/{name}/report.md").read_text()
    assert text == render_report(report_of(store, name))
    assert f"# Benchmark: {name}" in text and "Partial: " in text and "Unregistered files" in text


def test_the_context_of_96_tokens_is_too_short_for_five_examples_and_the_page_says_so(store):
    report = report_of(store, "mmlu")
    assert report["long_items"]["lost_examples"] == 12 and report["shots"] == 5
    assert "12 items lost examples" in store.path("benchmarks/mmlu/report.md").read_text()


def test_core_shows_both_versions_and_published_results_beside(store):
    report, text = report_of(store, "core"), store.path("benchmarks/core/report.md").read_text()
    assert set(report["versions"]) == {"v1", "v2"} and report["tasks"] == 4
    assert "4 of 22 tasks" in text and "| v1 |" in text and "| v2 |" in text
    same, _, other = text.partition("published, another setup")
    assert "GPT-2 124M" in same and "1.12 B parameters" in other and "GPT-2" not in other
    assert report["against"] == [] and len(report["references"]) == 5


def test_what_training_text_is_compared_with_is_the_same_from_files_and_from_rows(store):
    for name in LAYOUTS:
        report = report_of(store, name)
        items, files = READERS[name].published(Path(report["settings"]["data"]))
        rows = iter_jsonl(store.path(f"benchmarks/{name}/rows.jsonl"))
        assert [READERS[name].scored(row) for row in rows] == items
        assert [file.name for file in files] == [Path(file["name"]).name for file in report["files"]]
        assert all(file.is_file() for file in files)


@torch.no_grad()
def test_the_scores_are_those_of_the_network_on_the_whole_text(store):
    """By hand: the text encoded as a whole, BOS before it, the sum over the ids after those of the context."""
    model, tok = build_model(), build_tokenizer()[1]
    for row in list(iter_jsonl(store.path("benchmarks/piqa/rows.jsonl")))[:3]:
        for text, score in zip(row["options"], row["scores"], strict=True):
            ids, begin = [tok.bos, *tok.encode(f"{row['prompt']} {text}")], 1 + len(tok.encode(row["prompt"]))
            logs = model.logits(model(torch.tensor([ids[:-1]])))[0].log_softmax(-1)
            wanted = sum(float(logs[place - 1, ids[place]]) for place in range(begin, len(ids)))
            assert score["raw"] == pytest.approx(wanted, rel=1e-5)
            assert score["tokens"] == len(ids) - begin and score["per_byte"] == score["raw"] / len(text.encode())
    for row in list(iter_jsonl(store.path("benchmarks/lambada/rows.jsonl")))[:3]:
        ids, begin = [tok.bos, *tok.encode(row["prompt"] + row["continuation"])], 1 + len(tok.encode(row["prompt"]))
        likeliest = model.logits(model(torch.tensor([ids[:-1]])))[0].argmax(-1).tolist()
        assert (row["wanted"], row["predicted"]) == (ids[begin:], likeliest[begin - 1 :])


def test_a_claim_is_said_in_words_and_never_across_setups(store):
    report = report_of(store, "core") | {"partial": False, "against": ["GPT-2 124M", "GPT-2 1558M"]}
    report["headline"] = report["headline"] | {"interval": [0.12, 0.20]}
    text = render_report(report)
    assert "| higher |" in text and "| lower |" in text and "| not comparable |" not in text
    assert render_report(report | {"partial": True}).count("| not comparable |") == 2


def test_a_limit_is_a_part_and_takes_the_first_of_each_subject(tmp_path):
    data = made.write_mmlu_csv(tmp_path / "mmlu", n=4, subjects=("anatomy", "virology"))
    with chat_run(tmp_path / "run") as ctx:
        run(ctx, BenchmarkConfig(name="mmlu", data=str(data), limit=1, shots=1), MACHINE)
        rows = list(iter_jsonl(ctx.store.path("benchmarks/mmlu/rows.jsonl")))
        report = report_of(ctx.store, "mmlu")
    assert [row["id"] for row in rows] == ["anatomy/1", "virology/1"]
    assert report["partial"] and report["own_setup"] and report["shots"] == 1
    assert "Another setup than the table's: 1 shots" in render_report(report)


REFUSED = [
    ({"name": "core", "against": ["GPT-5"]}, "config.value", "GPT-2 124M"),
    ({"name": "piqa", "against": ["GPT-2 124M"]}, "config.value", "known are none"),
    ({"name": "lambada", "shots": 3}, "config.value", "lambada"),
    ({"name": "blimp", "shots": 3}, "config.value", "blimp"),
]


@pytest.mark.parametrize(("values", "code", "what"), REFUSED)
def test_what_cannot_be_asked_is_refused_before_the_model_is_loaded(values, code, what, tmp_path):
    with chat_run(tmp_path / "run") as ctx:
        start = partial(run, ctx, BenchmarkConfig.from_dict({"data": str(tmp_path)} | values), MACHINE)
        with pytest.raises(PicochatError) as err:
            start()
    assert err.value.code == code and what in err.value.detail


def test_a_reader_of_texts_takes_a_4_without_a_0_to_count_from_1(tmp_path):
    items, _ = READERS["mmlu"].published(made.write_mmlu(tmp_path, n=8, base=1))
    assert [item.answers for item in items] == [(f"right {k} {k % 4}",) for k in range(8)]
