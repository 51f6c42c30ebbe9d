import json

import pytest
import torch
from tests.support.chat_run import build_model, build_tokenizer, chat_run

from picochat.core.errors import PicochatError
from picochat.core.jsonio import canonical_json, iter_jsonl
from picochat.evals.tasks.blimp import recompute_blimp
from picochat.stages.benchmark.config import BenchmarkConfig
from picochat.stages.benchmark.markdown import render_report
from picochat.stages.benchmark.report import report_numbers
from picochat.stages.benchmark.run import run
from picochat.training.config import MachineConfig

MACHINE = MachineConfig(device="cpu", threads=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blimp")
    for paradigm, count in (("passive_1", 6), ("wh_island", 4)):
        rows = [
            {
                "sentence_good": f"The cat sat on mat {number}.",
                "sentence_bad": f"The cat mat on sat the {number}.",
                "UID": paradigm,
                "field": "syntax",
            }
            for number in range(count)
        ]
        (folder / f"{paradigm}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


@pytest.fixture(scope="module")
def scored(tmp_path_factory, data):
    with chat_run(tmp_path_factory.mktemp("benchmark") / "run") as ctx:
        run(ctx, BenchmarkConfig(data=str(data)), MACHINE)
        yield ctx.store


def rows_of(store):
    return list(iter_jsonl(store.path("benchmarks/blimp/rows.jsonl")))


@torch.no_grad()
def test_a_sentence_scores_the_sum_of_its_tokens_after_bos(scored):
    model, tok = build_model(), build_tokenizer()[1]
    rows = rows_of(scored)
    assert len(rows) == 10
    for row in rows[::3]:
        for side in ("good", "bad"):
            ids = [tok.bos, *tok.encode(row[side])]
            logs = model.logits(model(torch.tensor([ids[:-1]])))[0].log_softmax(-1)
            wanted = sum(float(logs[place, token]) for place, token in enumerate(ids[1:]))
            assert row[f"{side}_logprob"] == pytest.approx(wanted, rel=1e-5)


def test_the_report_follows_from_the_rows(scored):
    report = scored.read_report("benchmarks/blimp/report.json", "benchmark_report")
    numbers = report_numbers(recompute_blimp(rows_of(scored)))
    assert canonical_json({key: report[key] for key in numbers}) == canonical_json(numbers)
    assert report["items"] == report["headline"]["n"] == 10
    assert report["groups"]["passive_1"]["n"] == 6
    assert report["partial"] is True and report["registered"] is False
    assert report["weights_digest"] == scored.read("sft/report.json")["weights_digest"]
    assert report["rows"] == "benchmarks/blimp/rows.jsonl"


def test_data_files_are_external_inputs_with_their_digests(scored, data):
    report = scored.read("benchmarks/blimp/report.json")
    external = {ref["path"]: ref["sha256"] for ref in report["manifest"]["inputs"] if ref["external"]}
    assert external == {str(data / file["name"]): file["sha256"] for file in report["files"]}
    assert {ref["path"] for ref in report["manifest"]["outputs"]} == {
        "benchmarks/blimp/rows.jsonl",
        "benchmarks/blimp/report.md",
    }


def test_the_page_says_what_limits_the_score(scored):
    text = scored.path("benchmarks/blimp/report.md").read_text()
    assert text == render_report(scored.read("benchmarks/blimp/report.json"))
    assert "Partial: 2 of 67 paradigms, 10 items" in text
    assert "Unregistered files" in text and "passive_1.jsonl, wh_island.jsonl" in text


def test_a_limit_takes_the_first_items_of_each_paradigm(tmp_path, data):
    with chat_run(tmp_path / "run") as ctx:
        run(ctx, BenchmarkConfig(data=str(data), limit=2), MACHINE)
        ids = [row["id"] for row in rows_of(ctx.store)]
        assert ids == ["passive_1/1", "passive_1/2", "wh_island/1", "wh_island/2"]
        report = ctx.store.read("benchmarks/blimp/report.json")
        assert report["partial"] is True and report["settings"]["limit"] == 2


def test_bad_data_is_refused_before_the_model_is_loaded(tmp_path):
    with chat_run(tmp_path / "run") as ctx:
        with pytest.raises(PicochatError) as err:
            run(ctx, BenchmarkConfig(data=str(tmp_path / "none")), MACHINE)
        assert err.value.code == "benchmark.missing"


def test_a_sentence_longer_than_the_context_is_refused(tmp_path):
    row = {"sentence_good": "the " * 300, "sentence_bad": "on " * 300, "UID": "passive_1", "field": "syntax"}
    (tmp_path / "passive_1.jsonl").write_text(json.dumps(row) + "\n")
    with chat_run(tmp_path / "run") as ctx:
        with pytest.raises(PicochatError) as err:
            run(ctx, BenchmarkConfig(data=str(tmp_path)), MACHINE)
        assert err.value.code == "eval.too_long"
