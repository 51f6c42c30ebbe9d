"""What the stage does before, beside and without lm-eval."""

import math

import pytest
import torch
from tests.support.chat_run import build_model, build_tokenizer, chat_run

from picochat.core import extras
from picochat.core.errors import PicochatError
from picochat.evals.harness.tasks import ChoiceItem, TextItem, build_arc_task, build_text_task
from picochat.stages.harness.config import HarnessConfig
from picochat.stages.harness.markdown import render_report
from picochat.stages.harness.own import encode_option, leave_out_long, score_own
from picochat.stages.harness.rows import read_rows_of
from picochat.stages.harness.run import run
from picochat.stages.subject import open_subject
from picochat.training.config import MachineConfig

MACHINE = MachineConfig(device="cpu", threads=1)
TOK = build_tokenizer()[1]


def test_without_lm_eval_the_extra_is_named(tmp_path, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(extras.importlib, "import_module", missing)
    with chat_run(tmp_path / "run") as ctx, pytest.raises(PicochatError) as err:
        run(ctx, HarnessConfig(task="text"), MACHINE)
    assert err.value.code == "usage.extra" and "lm_eval is not installed" in err.value.detail
    assert err.value.fix == "pip install 'picochat[harness]'"


def test_a_continuation_begins_where_the_ids_first_differ():
    item = ChoiceItem("a", "the cat", ("s sat", "sat"), 0, " ")
    prompt, rest = encode_option(TOK, item, "sat")
    assert prompt == [TOK.bos, *TOK.encode("the cat")] and TOK.decode(rest) == " sat"
    merged = ChoiceItem("b", "the c", ("at",), 0)
    prompt, rest = encode_option(TOK, merged, "at")
    assert [*prompt, *rest] == [TOK.bos, *TOK.encode("the cat")]
    assert len(prompt) < 1 + len(TOK.encode("the c"))


def test_an_empty_prompt_is_bos_alone():
    prompt, rest = encode_option(TOK, ChoiceItem("a", "", ("the cat",), 0), "the cat")
    assert prompt == [TOK.bos] and rest == TOK.encode("the cat")


def test_items_that_do_not_fit_are_left_out_and_named():
    rows = [
        {"id": name, "question": "cat " * words, "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "A"}
        for name, words in (("short", 2), ("long", 200))
    ]
    task, left_out = leave_out_long(build_arc_task(rows), TOK, 96)
    assert [item.id for item in task.items] == ["short"] and left_out == ["long"]
    with pytest.raises(PicochatError) as err:
        leave_out_long(build_arc_task(rows), TOK, 4)
    assert err.value.code == "eval.too_long"


@torch.no_grad()
def test_a_document_scores_the_sum_of_its_tokens_with_a_window_that_sees_itself_alone(tmp_path):
    text = "the cat sat on the mat and the dog ran to the house, " * 8
    with chat_run(tmp_path / "run") as ctx:
        subject = open_subject(ctx.store, ctx.record("harness", HarnessConfig(task="text")), MACHINE, ctx.ranks)
        (row,), own = score_own(subject, build_text_task([TextItem("a", text)]), lambda done: None)
    model, ids = build_model(), [TOK.bos, *TOK.encode(text)]
    context, wanted = model.config.max_seq_len, 0.0
    assert len(ids) > context
    for begin in range(0, len(ids) - 1, context):
        part = torch.tensor([ids[begin : begin + context + 1]])
        logs = model.logits(model(part[:, :-1]))[0].log_softmax(-1)
        wanted += float(logs.gather(1, part[0, 1:, None]).sum())
    assert row["ours"][0] == pytest.approx(wanted, abs=1e-3)
    assert row["bytes"] == len(text.encode()) and row["our_tokens"] == [len(ids) - 1]
    assert own["bits_per_byte"] == pytest.approx(-wanted / len(text.encode()) / math.log(2), rel=1e-6)


@pytest.mark.parametrize(
    ("files", "code"),
    [({}, "benchmark.empty"), ({"a.txt": b"\xff"}, "benchmark.row"), ({"a.md": b" \n"}, "benchmark.row")],
)
def test_texts_are_read_strictly(tmp_path, files, code):
    folder = tmp_path / "texts"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with chat_run(tmp_path / "run") as ctx, pytest.raises(PicochatError) as err:
        config = HarnessConfig(task="text", data=str(folder))
        read_rows_of(ctx.store, ctx.record("harness", config), config)
    assert err.value.code == code


def test_files_are_inputs_with_their_digests_and_a_limit_is_one_of_each_file(tmp_path):
    folder = tmp_path / "arc"
    folder.mkdir()
    row = '{"question": "Which?", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "A"}\n'
    for name in ("easy", "hard"):
        (folder / f"{name}.jsonl").write_text(row * 3)
    with chat_run(tmp_path / "run") as ctx:
        config = HarnessConfig(task="arc", data=str(folder), limit=2)
        record = ctx.record("harness", config)
        rows = read_rows_of(ctx.store, record, config)
    assert [item.id for item in rows.task.items] == ["easy/1", "easy/2", "hard/1", "hard/2"]
    assert [ref.sha256 for ref in record.inputs] == [file["sha256"] for file in rows.files]
    assert all(ref.external for ref in record.inputs)


def test_the_page_says_what_differs():
    metric = {"ours": 0.5, "theirs": 0.25, "near_ties": 1, "decided_otherwise": ["a", "b"]}
    body = {
        "name": "arc",
        "weights_digest": "0" * 64,
        "checkpoint": "sft/checkpoint",
        "lm_eval": {"version": "1", "task_digest": "1" * 64},
        "too_long": ["c"],
        "comparison": {
            "agree": False,
            "problems": ["acc"],
            "items": 4,
            "tolerance": 1e-3,
            "max_difference": 2e-3,
            "worst": "a",
            "beyond_tolerance": 1,
            "other_boundary": 0,
            "metrics": {"acc": metric},
        },
    }
    text = render_report(body)
    assert "**differ in acc**" in text and "| acc | 0.500000 | 0.250000 | 1 | 2 |" in text
    assert "1 items too long" in text
    body["comparison"] |= {"agree": True, "problems": []}
    assert "**agree**" in render_report(body)
