"""Published layouts: what is read, which prompt it becomes, to the letter, and what is refused."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from tests.support import made_benchmarks as made
from tests.support.made_benchmarks import WRITERS, FakeScorer, write_jsonl

from picochat.core.errors import PicochatError
from picochat.evals.layouts.catalog import LAYOUTS, read_items
from picochat.evals.layouts.files import Options
from picochat.evals.tasks.asking import ask_items
from picochat.evals.tasks.facts import REGISTERED, TABLE
from picochat.evals.tasks.items import TaskItem


def refusal(name: str, root: Path, **options: Any) -> PicochatError:
    with pytest.raises(PicochatError) as caught:
        read_items(name, root, Options(**options))
    return caught.value


def prompts(item: TaskItem) -> list[tuple[str, str]]:
    """(prompt, scored continuation) of each option as the model is asked."""
    scorer = FakeScorer()
    ask_items([item], TABLE["hellaswag"], scorer)
    return scorer.seen


def edit(path: Path, number: int, **changes: Any) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[number - 1] |= changes
    write_jsonl(path, rows)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_read_whole_with_its_files(name: str, tmp_path: Path):
    data = read_items(name, WRITERS[name](tmp_path / "data", n=12))
    assert len(data.items) == (48 if name == "core" else 12)
    assert len({item.id for item in data.items}) == len(data.items)
    assert all(item.question and item.options for item in data.items)
    assert [file.registered for file in data.files] == [False] * len(data.files)
    assert all((tmp_path / "data" / file.name).is_file() for file in data.files)
    assert REGISTERED[name] == {}, "nobody has measured a published file of this benchmark yet"


@pytest.mark.parametrize("name", LAYOUTS)
def test_missing_and_empty_folders_are_refused(name: str, tmp_path: Path):
    missing = refusal(name, tmp_path / "none")
    assert (missing.code, missing.exit_code) == ("benchmark.missing", 2)
    empty = refusal(name, tmp_path)
    assert empty.code == ("benchmark.missing" if name == "core" else "benchmark.empty")
    if name != "core":
        (tmp_path / "test.jsonl").write_text("\n")
        assert refusal(name, tmp_path).code in ("benchmark.empty", "benchmark.layout")


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_truncated_file_stops_with_its_row(name: str, tmp_path: Path):
    WRITERS[name](tmp_path, n=12)
    path = max((p for p in tmp_path.rglob("*.jsonl") if "train" not in p.name), key=lambda p: p.stat().st_size)
    path.write_bytes(path.read_bytes()[:-20])
    error = refusal(name, tmp_path)
    assert (error.code, error.exit_code) == ("benchmark.row", 4)
    assert f"{path.name} row 12" in error.detail


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("labels", ["ABCD", "1234", "ABC", "ABCDE"])
def test_arc_in_both_layouts_and_with_both_kinds_of_labels(nested: bool, labels: str, tmp_path: Path):
    data = read_items("arc_easy", made.write_arc(tmp_path, n=5, nested=nested, labels=labels))
    assert [item.answer for item in data.items] == [number % len(labels) for number in range(5)]
    assert data.items[1].answers == (f"right 1 {1 % len(labels)}",)
    assert prompts(data.items[0])[:2] == [
        ("Question: Which one is it, 0?\nAnswer:", " right 0 0"),
        ("Question: Which one is it, 0?\nAnswer:", " wrong 0 1"),
    ]


def test_an_arc_prompt_to_the_letter(tmp_path: Path):
    made.write_arc(tmp_path, n=3)
    write_jsonl(tmp_path / "ARC-Easy-Train.jsonl", made.arc_rows(2))
    plain = read_items("arc_easy", tmp_path).items[2]
    assert [o.context + o.continuation for o in plain.options][:2] == [
        "Question: Which one is it, 2?\nAnswer: wrong 2 0",
        "Question: Which one is it, 2?\nAnswer: wrong 2 1",
    ]
    shown = read_items("arc_easy", tmp_path, Options(shots=2)).items[2]
    before = "".join(shown.examples)
    assert before == (
        "Question: Which one is it, 0?\nAnswer: right 0 0\n\nQuestion: Which one is it, 1?\nAnswer: right 1 1\n\n"
    )
    assert refusal("arc_easy", tmp_path, shots=3).code == "benchmark.shots"


def test_the_two_halves_of_arc_are_told_apart(tmp_path: Path):
    made.write_arc(tmp_path, n=3)
    made.write_arc(tmp_path, n=5, name="ARC-Challenge-Test")
    assert len(read_items("arc_easy", tmp_path).items) == 3
    assert len(read_items("arc_challenge", tmp_path).items) == 5
    (tmp_path / "ARC-Easy-Test.jsonl").unlink()
    assert refusal("arc_easy", tmp_path).code == "benchmark.empty"


@pytest.mark.parametrize("change", [{"answerKey": "E"}, {"answerKey": 1}, {"question": {"stem": "x", "choices": []}}])
def test_an_arc_row_outside_its_labels_stops(change: dict[str, Any], tmp_path: Path):
    made.write_arc(tmp_path, n=4)
    edit(tmp_path / "ARC-Easy-Test.jsonl", 3, **change)
    error = refusal("arc_easy", tmp_path)
    assert error.code == "benchmark.row" and "row 3" in error.detail


def test_two_files_that_may_both_be_meant_are_refused(tmp_path: Path):
    made.write_arc(tmp_path, n=3)
    made.write_arc(tmp_path / "copy", n=3)
    error = refusal("arc_easy", tmp_path)
    assert error.code == "benchmark.layout" and "may all be meant" in error.detail
    assert len(read_items("arc_easy", tmp_path / "ARC-Easy-Test.jsonl").items) == 3


def test_mmlu_prompts_to_the_letter_in_both_layouts(tmp_path: Path):
    cells = made.write_mmlu_csv(tmp_path / "csv", n=6)
    rows = made.write_mmlu(tmp_path / "rows", n=6)
    first, second = read_items("mmlu", cells), read_items("mmlu", rows)
    assert [i.options for i in first.items] == [i.options for i in second.items]
    assert [i.answer for i in first.items] == [i.answer for i in second.items] == [0, 1, 2, 3, 0, 1]
    item = first.items[1]
    assert item.head == "The following are multiple choice questions (with answers) about abstract algebra.\n\n"
    assert len(item.examples) == 5
    assert item.examples[0] == ("What is it, 0?\nA. right 0 0\nB. wrong 0 1\nC. wrong 0 2\nD. wrong 0 3\nAnswer: A\n\n")
    assert item.options[1].context + item.options[1].continuation == (
        "What is it, 1?\nA. wrong 1 0\nB. right 1 1\nC. wrong 1 2\nD. wrong 1 3\nAnswer: B"
    )
    asked = prompts(item)
    assert asked[0][0] == item.head + "".join(item.examples) + item.options[0].context
    assert [continuation for _, continuation in asked] == [" A", " B", " C", " D"]


def test_mmlu_examples_are_of_the_same_subject(tmp_path: Path):
    data = read_items("mmlu", made.write_mmlu_csv(tmp_path, n=2, subjects=("anatomy", "virology"), dev=6))
    assert {item.group for item in data.items} == {"anatomy", "virology"}
    assert all(len(item.examples) == 5 for item in data.items)
    (tmp_path / "dev" / "virology_dev.csv").unlink()
    error = refusal("mmlu", tmp_path)
    assert error.code == "benchmark.shots" and "virology" in error.detail


def test_mmlu_without_a_dev_split_has_no_examples_and_says_so(tmp_path: Path):
    data = read_items("mmlu", made.write_mmlu(tmp_path, dev=0))
    assert {len(item.examples) for item in data.items} == {0}
    assert "No dev split" in data.notes[0]


@pytest.mark.parametrize("head", ["question,A,B,C,D,answer\n", "0,1,2,3,4,5\n", ",A,B,C,D,target\n"])
def test_a_junk_header_is_named_and_dropped(head: str, tmp_path: Path):
    data = read_items("mmlu", made.write_mmlu_csv(tmp_path, n=4, head=head))
    assert len(data.items) == 4
    assert "Header rows left out: test/abstract_algebra_test.csv: row 1 (" in data.notes[0]


@pytest.mark.parametrize("line", ['"q","a","b","c","d","E"\n', '"q","a","b","c","A"\n', '"q","a","","c","d","A"\n'])
def test_an_mmlu_row_that_is_no_header_stops(line: str, tmp_path: Path):
    made.write_mmlu_csv(tmp_path, n=4, head=line)
    error = refusal("mmlu", tmp_path)
    assert error.code == "benchmark.row" and "row 1" in error.detail


def test_integers_with_a_4_and_without_a_0_need_an_answer_base(tmp_path: Path):
    made.write_mmlu(tmp_path, base=1)
    error = refusal("mmlu", tmp_path)
    assert (error.code, error.exit_code) == ("benchmark.answer_base", 4) and "answer_base=1" in error.fix
    told = read_items("mmlu", tmp_path, Options(answer_base=1))
    assert [item.answer for item in told.items] == [number % 4 for number in range(8)]
    wrong = refusal("mmlu", tmp_path, answer_base=0)
    assert wrong.code == "benchmark.row" and "row 4" in wrong.detail


def test_mmlu_takes_letters_and_parquet(tmp_path: Path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = made.mmlu_rows(6)
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "test-00000-of-00001.parquet")
    data = read_items("mmlu", tmp_path)
    assert [item.answer for item in data.items] == [0, 1, 2, 3, 0, 1]
    write_jsonl(tmp_path / "letters" / "test.jsonl", [row | {"answer": "ABCD"[row["answer"]]} for row in rows])
    assert [item.answer for item in read_items("mmlu", tmp_path / "letters").items] == [0, 1, 2, 3, 0, 1]
    (tmp_path / "test-00000-of-00001.parquet").write_bytes(b"PAR1 torn")
    assert refusal("mmlu", tmp_path / "test-00000-of-00001.parquet").code == "benchmark.row"


@pytest.mark.parametrize("label", [lambda n: n % 4, lambda n: str(n % 4)])
def test_hellaswag_labels_as_numbers_or_texts_and_its_prompt(label: Any, tmp_path: Path):
    data = read_items("hellaswag", made.write_hellaswag(tmp_path, n=5, label=label))
    assert [item.answer for item in data.items] == [0, 1, 2, 3, 0]
    assert prompts(data.items[0])[0] == ("Standing: A man stands there 0. times. He then", " right 0 0")


@pytest.mark.parametrize("label", [4, -1, "", None, True, "4", 1.0])
def test_a_hellaswag_label_outside_its_endings_stops(label: Any, tmp_path: Path):
    made.write_hellaswag(tmp_path, n=4, label=lambda n: label if n == 2 else 0)
    error = refusal("hellaswag", tmp_path)
    assert error.code == "benchmark.row" and "row 3" in error.detail


def test_piqa_reads_its_labels_beside(tmp_path: Path):
    data = read_items("piqa", made.write_piqa(tmp_path, n=4))
    assert [item.answer for item in data.items] == [0, 1, 0, 1]
    assert [file.key for file in data.files] == ["validation", "validation labels"]
    assert prompts(data.items[1]) == [
        ("Question: Do it 1 times.\nAnswer:", " wrong 1 0"),
        ("Question: Do it 1 times.\nAnswer:", " right 1 1"),
    ]
    made.write_piqa(tmp_path, n=4, labels=[0, 1, 2, 0])
    assert "row 3" in refusal("piqa", tmp_path).detail
    made.write_piqa(tmp_path, n=4, labels=[0, 1])
    assert "2 labels for 4 rows" in refusal("piqa", tmp_path).detail
    (tmp_path / "valid-labels.lst").unlink()
    assert refusal("piqa", tmp_path).code == "benchmark.missing"


def test_winogrande_scores_what_follows_the_blank(tmp_path: Path):
    data = read_items("winogrande", made.write_winogrande(tmp_path, n=2))
    assert prompts(data.items[1]) == [
        ("The cup did not fit because wrong 1 0", " was too big, 1."),
        ("The cup did not fit because right 1 1", " was too big, 1."),
    ]
    assert data.items[1].question == "The cup did not fit because right 1 1 was too big, 1."
    made.write_winogrande(tmp_path, n=3, answer=lambda n: "0")
    assert "row 1" in refusal("winogrande", tmp_path).detail
    made.write_winogrande(tmp_path, n=3)
    edit(tmp_path / "dev.jsonl", 2, sentence="No blank at all.")
    assert "0 blanks" in refusal("winogrande", tmp_path).detail


def test_lambada_asks_for_the_last_word(tmp_path: Path):
    data = read_items("lambada", made.write_lambada(tmp_path, n=1))
    assert prompts(data.items[0]) == [("He said it 0 times, and the last word was", " right")]
    write_jsonl(tmp_path / "lambada_test.jsonl", [{"text": "Word"}])
    assert "two words" in refusal("lambada", tmp_path).detail


def test_gsm8k_prompt_with_examples_of_its_train_split(tmp_path: Path):
    item = read_items("gsm8k", made.write_gsm8k(tmp_path, n=2)).items[1]
    scorer = FakeScorer()
    ask_items([item], TABLE["gsm8k"], scorer)
    prompt = scorer.seen[0][0]
    assert prompt.startswith("Question: What is 0 plus 1000?\nAnswer: 0 + 1000 = <<0+1000=1000>>\n#### 1,000\n\n")
    assert prompt.endswith("\n\nQuestion: What is 1 plus 1000?\nAnswer:") and prompt.count("Question:") == 6
    assert item.expected == "1,001"
    edit(tmp_path / "test.jsonl", 2, answer="It is 4.")
    assert "row 2" in refusal("gsm8k", tmp_path).detail


def test_options_that_a_benchmark_lacks_are_refused(tmp_path: Path):
    assert refusal("lambada", tmp_path, shots=1).code == "config.value"
    assert refusal("core", tmp_path, shots=1).code == "config.value"
    assert refusal("piqa", tmp_path, answer_base=1).code == "config.value"


def test_a_split_named_alone_goes_before_one_with_more_to_its_name(tmp_path: Path):
    made.write_gsm8k(tmp_path, n=3)
    write_jsonl(tmp_path / "test_socratic.jsonl", [{"question": "q", "answer": "#### 1"}])
    write_jsonl(tmp_path / "train_socratic.jsonl", [{"question": "q", "answer": "#### 1"}])
    data = read_items("gsm8k", tmp_path)
    assert len(data.items) == 3 and [file.name for file in data.files] == ["test.jsonl", "train.jsonl"]


def test_piqa_takes_labels_inside_of_its_rows(tmp_path: Path):
    made.write_piqa(tmp_path, n=2)
    (tmp_path / "valid-labels.lst").unlink()
    rows = [
        json.loads(line) | {"label": k} for k, line in enumerate((tmp_path / "valid.jsonl").read_text().splitlines())
    ]
    write_jsonl(tmp_path / "valid.jsonl", rows)
    assert [item.answer for item in read_items("piqa", tmp_path).items] == [0, 1]
    write_jsonl(tmp_path / "valid.jsonl", [rows[0], {k: v for k, v in rows[1].items() if k != "label"}])
    assert "row 2: label is None" in refusal("piqa", tmp_path).detail


def test_a_header_that_was_saved_as_a_row_is_named_and_dropped(tmp_path: Path):
    made.write_mmlu(tmp_path, n=4, dev=0)
    head = {"question": "question", "subject": "subject", "choices": "choices", "answer": "answer"}
    write_jsonl(tmp_path / "test.jsonl", [head, *made.mmlu_rows(4)])
    data = read_items("mmlu", tmp_path)
    assert len(data.items) == 4 and data.notes[0] == "Header rows left out: test.jsonl: row 1."


def test_a_csv_line_is_what_a_csv_reader_reads():
    assert next(csv.reader(io.StringIO(made.csv_line("a, b", "c")))) == ["a, b", "c"]
