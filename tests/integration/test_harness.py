"""lm-eval and our own scorer on the same weights and rows. NOT RUN where lm-eval is not installed."""

import copy
import dataclasses
import importlib.util
import json
import os
import random
import shutil
from typing import Any, NamedTuple

import pytest
import torch
from click.testing import CliRunner
from tests.support.chat_run import build_model, build_tokenizer, chat_run
from tests.support.tiny_run import flip_byte, picochat

from picochat.artifacts.store import RunStore
from picochat.cli.app import cli
from picochat.core.jsonio import iter_jsonl, jsonl_bytes
from picochat.evals.harness.adapter import build_lm
from picochat.evals.harness.compare import TOLERANCE
from picochat.evals.harness.library import load_library
from picochat.evals.harness.tasks import ChoiceItem
from picochat.inference.loader import load_model
from picochat.inference.sampling import SamplingParams, generate_batch
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.verify import verify_run
from picochat.stages.harness.config import HarnessConfig
from picochat.stages.harness.own import encode_option
from picochat.stages.harness.run import run
from picochat.training.config import MachineConfig

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("lm_eval") is None, reason="NOT RUN: lm_eval is given with picochat[harness]"
    ),
    # lm-eval's dependencies, not ours to mend
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::SyntaxWarning"),
]
MACHINE = MachineConfig(device="cpu", threads=1, precision="bf16")
"""As a run on GPUs has it; a cross-check computes in float32 all the same."""
WORDS = ["cat", "dog", "mat", "house", "process", "word", "name", "sat", "ran", "kill", "spell", "Überlänge", "東京"]
PAIRS, QUESTIONS, DOCUMENTS = 40, 40, 12
TASKS = ("blimp", "arc", "text")


class Request(NamedTuple):
    """What of an lm-eval instance a model looks at."""

    args: tuple[Any, ...]


def sentence(rng, count):
    return " ".join(rng.choice(WORDS) for _ in range(count))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Made pairs, questions in both layouts of ARC, and documents shorter and longer than the context of 96."""
    folder, rng = tmp_path_factory.mktemp("rows"), random.Random(3)
    pairs = []
    for _ in range(PAIRS):
        words = sentence(rng, 8).split()
        bad = rng.sample(words, len(words))
        pairs.append({"sentence_good": f"The {' '.join(words)}.", "sentence_bad": f"The {' '.join(bad)}."})
    pairs.append({"sentence_good": "The cat sat.", "sentence_bad": "The cat sat."})
    write(folder / "blimp" / "passive_1.jsonl", [pair | {"UID": "passive_1", "field": "syntax"} for pair in pairs])
    questions = []
    for number in range(QUESTIONS):
        labels = list("ABCD") if number % 3 else list("1234")
        texts, question = [sentence(rng, 1 + n % 3) for n in range(4)], sentence(rng, 5) + "?"
        key = labels[number % 4]
        if number % 2:
            choices = [{"text": text, "label": label} for text, label in zip(texts, labels, strict=True)]
            questions.append({"question": {"stem": question, "choices": choices}, "answerKey": key})
        else:
            questions.append({"question": question, "choices": {"text": texts, "label": labels}, "answerKey": key})
    questions.append(
        {"question": "the cat " * 90, "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "A"}
    )
    write(folder / "arc" / "test.jsonl", questions)
    (folder / "text").mkdir()
    texts = [sentence(rng, 5 + 12 * number) + ".\n" for number in range(DOCUMENTS)] + ["[1, 2, 3]", '  {"a": 1} ']
    for number, text in enumerate(texts):
        (folder / "text" / f"{number:02d}.txt").write_text(text)
    return folder


def write(path, rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module", autouse=True)
def _no_network():
    """The library below lm-eval counts every dataset that is read at a server, unless it is told not to."""
    import datasets

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", False)
        yield


@pytest.fixture(scope="module")
def checked(tmp_path_factory, data):
    """The context of a run with made weights, after its three cross-checks."""
    with chat_run(tmp_path_factory.mktemp("harness") / "run", sharp_model()) as ctx:
        for task in TASKS:
            run(ctx, HarnessConfig(task=task, data=str(data / task)), MACHINE)
        yield ctx


def sharp_model():
    """Fresh weights say almost the same of every token; these do not."""
    model = build_model()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.6)
    return model


def report_of(store: RunStore, task: str):
    return store.read_report(f"harness/{task}/report.json", "harness_report")


def rows_of(store: RunStore, task: str):
    return {row["id"]: row for row in iter_jsonl(store.path(f"harness/{task}/rows.jsonl"))}


@pytest.mark.parametrize("task", TASKS)
def test_both_scorers_agree(checked, task):
    report = report_of(checked.store, task)
    found = report["comparison"]
    assert found["problems"] == [] and found["agree"] is True
    assert found["max_difference"] <= TOLERANCE and found["other_boundary"] == 0
    assert report["status"] == "attached" and report["settings"]["precision"] == "fp32"
    assert report["weights_digest"] == checked.store.read("sft/report.json")["weights_digest"]
    assert report["lm_eval"]["version"] == report["manifest"]["environment"]["lm_eval"]


def test_choices_have_equal_accuracy_outside_near_ties(checked):
    for task, items in (("blimp", PAIRS + 1), ("arc", QUESTIONS)):
        found = report_of(checked.store, task)["comparison"]
        for metric in found["metrics"].values():
            assert metric["decided_otherwise"] == []
            assert abs(metric["ours"] - metric["reported"]) <= metric["near_ties"] / items + TOLERANCE
            assert 0 < metric["ours"] < 1
        assert found["items"] == items


def test_a_pair_of_equal_sentences_is_a_near_tie_that_lm_eval_passes_and_we_fail(checked):
    row = rows_of(checked.store, "blimp")[f"passive_1/{PAIRS + 1}"]
    assert row["ours"][0] == row["ours"][1] and row["their_acc"] == 1.0
    metric = report_of(checked.store, "blimp")["comparison"]["metrics"]["acc"]
    assert metric["near_ties"] >= 1 and metric["theirs"] > metric["ours"]


def test_a_question_longer_than_the_context_is_in_neither(checked):
    report = report_of(checked.store, "arc")
    assert report["too_long"] == [f"test/{QUESTIONS + 1}"]
    assert report["too_long"][0] not in rows_of(checked.store, "arc")


def test_bits_per_byte_are_those_of_a_validation_of_the_same_documents(checked):
    found = report_of(checked.store, "text")["comparison"]["metrics"]["bits_per_byte"]
    assert found["validation"] == pytest.approx(found["reported"], abs=TOLERANCE)
    rows = rows_of(checked.store, "text")
    context = sharp_model().config.max_seq_len
    assert max(row["our_tokens"][0] for row in rows.values()) > 3 * context
    assert all(row["our_tokens"] == row["their_tokens"] for row in rows.values())


def test_verify_compares_the_rows_again(checked, tmp_path):
    assert [(one.problem, one.differing, one.agrees) for one in RunEvidence(checked.store).harness] == [
        ("", [], True)
    ] * len(TASKS)
    root = tmp_path / "copy"
    shutil.copytree(checked.store.root, root)
    path = root / "harness" / "arc" / "rows.jsonl"
    rows = list(iter_jsonl(path))
    rows[0]["theirs"][0] -= 0.01
    path.write_bytes(jsonl_bytes(rows))
    changed = {one.name: one for one in RunEvidence(RunStore(root)).harness}["arc"]
    assert not changed.agrees and {"agree", "problems", "max_difference"} <= set(changed.differing)


@pytest.mark.parametrize("task", TASKS)
def test_shifted_weights_are_reported_as_differing(tmp_path, data, monkeypatch, task):
    """A control: the other scorer is given weights that are one in a hundred off."""

    def shifted(library, loaded, tokenizer):
        model = copy.deepcopy(loaded.model)
        for weight in model.parameters():
            weight.mul_(1.01)
        return build_lm(library, dataclasses.replace(loaded, model=model), tokenizer)

    found = compared_with(monkeypatch, tmp_path, data, task, shifted)
    assert found["agree"] is False and "log-likelihood" in found["problems"]
    assert found["max_difference"] > TOLERANCE and found["beyond_tolerance"] > 0


def test_another_beginning_of_a_text_is_reported_as_differing(tmp_path, data, monkeypatch):
    """A control: the other scorer begins a text with EOS."""

    def other(library, loaded, tokenizer):
        lm = build_lm(library, loaded, tokenizer)
        type(lm).prefix_token_id = property(lambda self: tokenizer.eos)
        return lm

    found = compared_with(monkeypatch, tmp_path, data, "text", other)
    assert "log-likelihood" in found["problems"] and "bits_per_byte" in found["problems"]


def compared_with(monkeypatch, tmp_path, data, task, build):
    monkeypatch.setattr("picochat.stages.harness.run.build_lm", build)
    with chat_run(tmp_path / "run", sharp_model()) as ctx:
        run(ctx, HarnessConfig(task=task, data=str(data / task)), MACHINE)
        assert not RunEvidence(ctx.store).harness[0].agrees
        return report_of(ctx.store, task)["comparison"]


def test_where_context_and_continuation_merge_lm_eval_leaves_the_merged_token_to_the_context(checked):
    """Ours counts it to the continuation. No task here does that; a report counts such items."""
    tok = build_tokenizer()[1]
    lm = build_lm(load_library(), load_model(checked.store.path("sft/checkpoint")), tok)
    for prompt, option, same in (
        ("the c", "at", False),
        ("Question: the?\nAnswer:", " cat", True),
        ("", "the cat", True),
    ):
        _, ours = encode_option(tok, ChoiceItem("a", prompt, (option,), 0), option)
        _, theirs = lm.encode_request(prompt, option)
        assert (ours == theirs) is same


def test_real_pairs(real_data, tmp_path):
    """200 and a few, from every file that is there."""
    with chat_run(tmp_path / "run", sharp_model()) as ctx:
        run(ctx, HarnessConfig(task="blimp", data=str(real_data / "blimp"), limit=8), MACHINE)
        report = report_of(ctx.store, "blimp")
    assert report["comparison"]["agree"] and report["comparison"]["items"] >= 100
    assert all(file["registered"] for file in report["files"])


def test_a_generation_ends_before_the_first_of_its_stops(checked):
    tok = build_tokenizer()[1]
    loaded = load_model(checked.store.path("sft/checkpoint"))
    lm = build_lm(load_library(), loaded, tok)
    prompts = ["the cat sat", "my name is"]
    greedy = generate_batch(
        loaded.model,
        [[tok.bos, *tok.encode(prompt)] for prompt in prompts],
        SamplingParams(max_new_tokens=12),
        {tok.eos},
    )
    whole = [tok.decode(reply.ids, skip_special=True) for reply in greedy]
    asked = [Request((prompt, {"until": [], "max_gen_toks": 12})) for prompt in prompts]
    assert lm.generate_until(asked) == whole
    stop = whole[0][3:5]
    assert lm.generate_until([Request((prompts[0], {"until": [stop], "max_gen_toks": 12}))]) == [
        whole[0][: whole[0].index(stop)]
    ]


def test_the_command_adds_a_comparison_that_gate_and_verify_read(copy_of, data):
    store = copy_of()
    places = ["--data", f"arc={data / 'arc'}"]
    done = picochat("eval", "harness", store.root, "--tasks", "text,arc", *places, "--limit", 5, "--json")
    assert done.returncode == 0, done.stderr
    reports = json.loads(done.stdout)
    assert reports["text"]["comparison"]["items"] == reports["arc"]["comparison"]["items"] == 5
    picochat("gate", store.root, "--quiet")
    assert [result.id for result in verify_run(store) if result.verdict != "pass"] == []
    flip_byte(store.path("harness/text/rows.jsonl"))
    broken = [result for result in verify_run(store) if result.verdict == "block"]
    assert "harness/text/rows.jsonl" in {evidence.artifact for result in broken for evidence in result.evidence}


def test_a_difference_is_the_exit_code_of_the_command(copy_of, data, monkeypatch):
    """A control: the other scorer begins a text with EOS."""
    store = copy_of()

    def other(library, loaded, tokenizer):
        lm = build_lm(library, loaded, tokenizer)
        type(lm).prefix_token_id = property(lambda self: tokenizer.eos)
        return lm

    monkeypatch.setattr("picochat.stages.harness.run.build_lm", other)
    done = CliRunner().invoke(cli, ["eval", "harness", str(store.root), "--tasks", "text"])
    assert done.exit_code == 3, done.output
    assert "text differs in log-likelihood" in done.output
    assert "HF_HUB_OFFLINE" not in os.environ
