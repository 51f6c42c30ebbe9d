import json

import pytest

from picochat.core.errors import PicochatError
from picochat.core.jsonio import iter_jsonl
from picochat.evals.harness.arc_rows import read_arc
from picochat.evals.harness.asking import parse_result
from picochat.evals.harness.tasks import (
    ChoiceItem,
    TextItem,
    build_arc_task,
    build_blimp_task,
    build_text_task,
    write_task,
)
from picochat.evals.tasks.blimp import BlimpItem

FLAT = {"question": "Which?", "choices": {"text": ["one", "two"], "label": ["A", "B"]}, "answerKey": "B"}
NESTED = {
    "question": {"stem": "Which?", "choices": [{"text": "one", "label": "1"}, {"text": "two", "label": "2"}]},
    "answerKey": "2",
}


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_both_layouts_of_arc_are_the_same_rows(tmp_path):
    rows, files = read_arc(write(tmp_path / "test.jsonl", FLAT, NESTED))
    assert [row["id"] for row in rows[0]] == ["test/1", "test/2"]
    assert rows[0][0] | {"id": ""} == FLAT | {"id": ""}
    assert rows[0][1]["choices"] == {"text": ["one", "two"], "label": ["1", "2"]}
    assert files[0].n_items == 2 and not files[0].registered
    task = build_arc_task(rows[0])
    assert [item.answer for item in task.items if isinstance(item, ChoiceItem)] == [1, 1]
    assert task.items[0] == ChoiceItem("test/1", "Question: Which?\nAnswer:", ("one", "two"), 1, " ")


@pytest.mark.parametrize(
    "broken",
    [
        FLAT | {"answerKey": "C"},
        FLAT | {"answerKey": 1},
        FLAT | {"question": " "},
        FLAT | {"choices": {"text": ["one"], "label": ["A"]}},
        FLAT | {"choices": {"text": ["one", "two"], "label": ["A", "A"]}},
        FLAT | {"choices": {"text": ["one", "two"], "label": ["A"]}},
        FLAT | {"choices": {"text": ["one", ""], "label": ["A", "B"]}},
        FLAT | {"choices": ["one", "two"]},
        FLAT | {"choices": None},
    ],
)
def test_a_broken_row_is_refused_with_its_number(tmp_path, broken):
    with pytest.raises(PicochatError) as err:
        read_arc(write(tmp_path / "test.jsonl", FLAT, broken))
    assert err.value.code == "benchmark.row" and "row 2" in err.value.detail


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(PicochatError) as err:
        read_arc(tmp_path / "none")
    assert err.value.code == "benchmark.missing"


def test_a_pair_is_scored_without_a_space_before_it(tmp_path):
    task = build_blimp_task([BlimpItem("p/1", "p", "syntax", "It is.", "It are.")])
    assert write_task(task, tmp_path) == "picochat_blimp"
    config = json.loads((tmp_path / "blimp.yaml").read_text())
    assert config["target_delimiter"] == "" and config["doc_to_text"] == "" and config["doc_to_target"] == 0
    assert config["output_type"] == "multiple_choice" and config["num_fewshot"] == 0
    place = config["dataset_kwargs"]["data_files"]["test"]
    assert list(iter_jsonl(tmp_path / "blimp.jsonl")) == list(task.documents) and place == str(tmp_path / "blimp.jsonl")
    assert "dataset_kwargs" not in task.config


def test_a_task_keeps_items_and_documents_together():
    task = build_text_task([TextItem("a", "one"), TextItem("b", "two")]).kept([False, True])
    assert task.items == (TextItem("b", "two"),) and task.documents == ({"id": "b", "text": "two"},)


def sample(name, values, requests, **verdicts):
    return {"doc": {"id": name}, "filtered_resps": values, "arguments": requests, **verdicts}


def test_results_are_read_in_the_order_of_the_items():
    task = build_blimp_task([BlimpItem(f"p/{n}", "p", "syntax", "It is.", "It are.") for n in (1, 2)])
    samples = [
        sample("p/2", [(-3.0, False), (-2.0, True)], [("", "It is."), ("", "It are.")], acc=0.0, acc_bytes=1.0),
        sample("p/1", [(-1.0, True), (-2.0, False)], [("", "It is."), ("", "It are.")], acc=1.0, acc_bytes=1.0),
    ]
    totals = {"acc,none": 0.5, "acc_bytes,none": 1.0}
    found = parse_result(task, {"results": {"picochat_blimp": totals}, "samples": {"picochat_blimp": samples}})
    assert found.reported == {"acc": 0.5, "acc_bytes": 1.0}
    assert [row["theirs"] for row in found.rows] == [[-1.0, -2.0], [-3.0, -2.0]]
    assert found.rows[1] | {"theirs": 0} == {
        "theirs": 0,
        "requests": [["", "It is."], ["", "It are."]],
        "their_acc": 0.0,
        "their_acc_bytes": 1.0,
    }


def test_numbered_arguments_are_read_too():
    task = build_text_task([TextItem("a", "one")])
    totals = {"word_perplexity,none": 2.0, "byte_perplexity,none": 3.0, "bits_per_byte,none": 4.0}
    found = parse_result(
        task,
        {
            "results": {"picochat_text": totals},
            "samples": {"picochat_text": [sample("a", [-4.0], {"gen_args_0": {"arg_0": "one"}})]},
        },
    )
    assert found.rows == [{"theirs": [-4.0], "requests": [["one"]]}]


@pytest.mark.parametrize(
    "result",
    [
        None,
        {},
        {"results": {"picochat_text": {}}, "samples": {"picochat_text": []}},
        {"results": {"picochat_text": {"word_perplexity,none": "x"}}, "samples": {"picochat_text": []}},
        {
            "results": {
                "picochat_text": {"word_perplexity,none": 2.0, "byte_perplexity,none": 3.0, "bits_per_byte,none": 4.0}
            },
            "samples": {"picochat_text": []},
        },
    ],
)
def test_an_answer_of_another_form_is_refused(result):
    with pytest.raises(PicochatError) as err:
        parse_result(build_text_task([TextItem("a", "one")]), result)
    assert err.value.code == "harness.result"
