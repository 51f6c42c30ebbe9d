import pytest
from tests.support.chat_run import EVAL_ROWS, build_model, chat_run

from picochat.artifacts import layout
from picochat.artifacts.reports import self_digest
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import canonical_json, iter_jsonl
from picochat.evals.scoring import find_changed_verdicts
from picochat.evals.summarise import summarise_rows
from picochat.stages.evaluate.config import EvaluateConfig
from picochat.stages.evaluate.markdown import render_report
from picochat.stages.evaluate.run import run
from picochat.training.config import MachineConfig

CONFIG = EvaluateConfig(batch_size=4, max_new_tokens=6, fit_rows_per_category=5, heldout_rows_per_category=4)
MACHINE = MachineConfig(device="cpu", threads=1)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    with chat_run(tmp_path_factory.mktemp("eval") / "run") as ctx:
        run(ctx, CONFIG, MACHINE)
        yield ctx.store


def rows_of(store, name):
    return list(iter_jsonl(store.path(store.read("eval/report.json")["sets"][name]["rows"])))


def test_every_number_follows_from_the_rows(evaluated):
    report = evaluated.read_report("eval/report.json", "eval_report")
    for name, source in (("eval", "chat/eval.jsonl"), ("fit", "chat/train.jsonl"), ("heldout", "chat/heldout.jsonl")):
        rows = rows_of(evaluated, name)
        assert report["sets"][name]["source"] == source
        assert canonical_json(summarise_rows(rows)) == canonical_json(report["sets"][name]["summary"])
        assert find_changed_verdicts(rows) == []


def test_the_sets_are_whole_or_sampled(evaluated):
    assert [row["id"] for row in rows_of(evaluated, "eval")] == [row.id for row in EVAL_ROWS]
    fit = [row["category"] for row in rows_of(evaluated, "fit")]
    assert {name: fit.count(name) for name in set(fit)} == {"arithmetic": 5, "refusal": 2, "spelling": 1}
    assert len(rows_of(evaluated, "heldout")) == 4


def test_rows_are_canonical_and_hold_everything(evaluated):
    lines = evaluated.path("eval/rows.jsonl").read_bytes().splitlines()
    assert [canonical_json(row) for row in rows_of(evaluated, "eval")] == lines
    for row in rows_of(evaluated, "eval"):
        assert {"id", "rule", "user", "expected", "reply", "normalised", "verdict", "reason"} <= set(row)


def test_the_manifest_names_inputs_and_outputs(evaluated):
    report = evaluated.read("eval/report.json")
    inputs = {ref["path"]: ref["sha256"] for ref in report["manifest"]["inputs"]}
    assert {"sft/report.json", "tokenizer.json", "chat/train.jsonl", "chat/eval.jsonl", "chat/heldout.jsonl"} <= set(
        inputs
    )
    assert {"sft/checkpoint/MANIFEST.json", "sft/checkpoint/model.safetensors"} <= set(inputs)
    outputs = {ref["path"] for ref in report["manifest"]["outputs"]}
    assert outputs == {"eval/rows.jsonl", "eval/fit_rows.jsonl", "eval/heldout_rows.jsonl", "eval/report.md"}
    assert all(sha256_file(evaluated.path(path)) == digest for path, digest in inputs.items())
    assert report["weights_digest"] == evaluated.read("sft/report.json")["weights_digest"]
    assert report["checkpoint"] == "sft/checkpoint"
    assert report["settings"]["precision"] == "fp32" and report["settings"]["greedy"] is True


def test_the_table_shows_three_facts_side_by_side(evaluated):
    text = evaluated.path("eval/report.md").read_text()
    assert text == render_report(evaluated.read("eval/report.json"))
    assert "| skill | fit | held-out fit | eval | fit - eval | held-out - eval |" in text
    assert "benign requests answered" in text and "chance is .33" in text


def test_gaps_are_in_points():
    rate = {"k": 9, "n": 10, "rate": 0.9, "interval": [0.6, 0.98]}
    none = {"k": 0, "n": 0, "rate": None, "interval": [0.0, 1.0]}
    faults = {"echo": none, "repetition": none, "unfinished": none, "benign": None, "choice": None}
    sets = {
        "fit": {"summary": {"categories": {"spelling": rate}, **faults}},
        "eval": {"summary": {"categories": {"spelling": rate | {"k": 5, "rate": 0.5}}, **faults}},
    }
    body = {"weights_digest": "a" * 64, "checkpoint": "c", "sets": sets}
    settings = {"max_new_tokens": 1, "precision": "fp32", "device": "cpu"}
    text = render_report(body | {"settings": settings})
    assert "| spelling | 9/10 = .90 [.60, .98] | - | 5/10 = .50 [.60, .98] | +40.0 | - |" in text


def test_a_set_can_be_left_out_and_is_then_absent(tmp_path):
    with chat_run(tmp_path / "run") as ctx:
        run(ctx, EvaluateConfig(sets=["eval"], max_new_tokens=2), MACHINE)
        assert list(ctx.store.read("eval/report.json")["sets"]) == ["eval"]
        assert not ctx.store.has("eval/fit_rows.jsonl")
        first = sha256_file(ctx.store.path("eval/rows.jsonl"))
        run(ctx, EvaluateConfig(sets=["eval"], max_new_tokens=3), MACHINE)
        assert sha256_file(ctx.store.path("eval/rows.001.jsonl")) == first, "evidence is never overwritten"


@pytest.mark.parametrize(
    "path",
    [
        "chat/eval.jsonl",
        "chat/train.jsonl",
        "tokenizer.json",
        "sft/checkpoint/model.safetensors",
        "sft/checkpoint/model.json",
    ],
)
def test_one_changed_byte_of_an_input_stops_the_stage(tmp_path, path):
    with chat_run(tmp_path / "run") as ctx:
        file = ctx.store.path(path)
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        with pytest.raises(PicochatError) as err:
            run(ctx, CONFIG, MACHINE)
        assert err.value.code == "artifact.changed" and file.name in err.value.detail
        assert not ctx.store.has("eval/report.json")


def test_weights_that_the_report_does_not_speak_of(tmp_path):
    with chat_run(tmp_path / "one", build_model(1)) as other, chat_run(tmp_path / "two") as ctx:
        report = ctx.store.read("sft/report.json")
        report["weights_digest"] = other.store.read("sft/report.json")["weights_digest"]
        report["self_digest"] = self_digest(report)
        ctx.store.write("sft/report.json", canonical_json(report))
        with pytest.raises(PicochatError, match="holds weights") as err:
            run(ctx, CONFIG, MACHINE)
        assert err.value.code == "artifact.changed"


def test_nothing_is_evaluated_before_sft(tmp_path):
    with chat_run(tmp_path / "run") as ctx:
        ctx.store.path(layout.report_path(layout.SFT)).unlink()
        with pytest.raises(PicochatError) as err:
            run(ctx, CONFIG, MACHINE)
        assert err.value.code == "artifact.missing"
