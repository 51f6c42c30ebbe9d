from tests.support.eval_surface import eval_row, write_rows

from picochat.views.evals import row_index
from picochat.views.evals.row_index import build_index, pair_places, read_rows, same_question

NAME = "eval/rows.jsonl"


def test_rows_are_found_by_verdict_fault_and_category(tmp_path):
    rows = [eval_row(0), eval_row(1, "fail", echo=True), eval_row(2, "fail", category="refusal", rule="benign")]
    write_rows(tmp_path, NAME, rows)
    index = build_index(tmp_path, NAME)
    assert [index.verdict(place) for place in range(3)] == ["pass", "fail", "fail"]
    assert [index.has_flag(place, "echo") for place in range(3)] == [False, True, False]
    assert index.in_category(2, "refusal (benign)") and not index.in_category(2, "refusal")
    assert not index.in_category(0, "nothing")
    counts = index.counts()
    assert (counts["rows"], counts["pass"], counts["fail"], counts["echo"], counts["repetition"]) == (3, 1, 2, 1, 0)
    assert counts["categories"] == [
        {"category": "refusal (benign)", "title": "refusal (benign)", "n": 1, "pass": 0, "fail": 1},
        {"category": "spelling", "title": "spelling", "n": 2, "pass": 1, "fail": 1},
    ]


def test_a_row_is_read_from_its_place_alone(tmp_path):
    write_rows(tmp_path, NAME, [eval_row(number) for number in range(50)])
    index = build_index(tmp_path, NAME)
    found = dict(read_rows(tmp_path, index, [49, 0, 17]))
    assert {place: row["id"] for place, row in found.items() if row} == {49: "row-49", 0: "row-0", 17: "row-17"}


def test_torn_broken_and_missing_files_are_states(tmp_path):
    assert build_index(tmp_path, NAME).state == "missing"
    write_rows(tmp_path, NAME, [eval_row(0)], b'not json\n[1]\n\n{"id": "half')
    index = build_index(tmp_path, NAME)
    assert (len(index), index.unreadable, index.torn, index.state) == (1, 2, True, "ready")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / NAME)
    assert build_index(tmp_path, "link.jsonl").state == "unreadable"


def test_an_endless_line_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(row_index, "MAX_LINE_BYTES", 1024)
    write_rows(tmp_path, NAME, [eval_row(0), eval_row(1, reply="x" * 5000), eval_row(2)])
    index = build_index(tmp_path, NAME)
    assert (len(index), index.unreadable) == (2, 1)
    assert [row["id"] for _, row in read_rows(tmp_path, index, [0, 1]) if row] == ["row-0", "row-2"]


def test_more_rows_than_are_indexed_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(row_index, "MAX_ROWS", 2)
    write_rows(tmp_path, NAME, [eval_row(number) for number in range(3)])
    index = build_index(tmp_path, NAME)
    assert (len(index), index.whole) == (2, False)


def test_another_row_at_a_place_is_not_taken_for_the_old_one(tmp_path):
    write_rows(tmp_path, NAME, [eval_row(0), eval_row(1)])
    index = build_index(tmp_path, NAME)
    write_rows(tmp_path, NAME, [eval_row(7), eval_row(8)])
    assert [row for _, row in read_rows(tmp_path, index, [0, 1])] == [None, None]


def test_many_categories_share_one_name(tmp_path, monkeypatch):
    monkeypatch.setattr(row_index, "MAX_CATEGORIES", 2)
    write_rows(tmp_path, NAME, [eval_row(number, category=f"c{number}") for number in range(5)])
    found = {entry["category"]: entry["n"] for entry in build_index(tmp_path, NAME).counts()["categories"]}
    assert found == {"c0": 1, "c1": 1, "(other)": 3}


def test_the_same_row_of_another_run(tmp_path):
    write_rows(tmp_path, NAME, [eval_row(0), eval_row(1), eval_row(2)])
    write_rows(tmp_path, "other.jsonl", [eval_row(2, "fail"), eval_row(1, user="Another question."), eval_row(9)])
    first, second = build_index(tmp_path, NAME), build_index(tmp_path, "other.jsonl")
    pairs = pair_places(first, second, range(3))
    assert pairs == {1: 1, 2: 0}
    assert same_question(first, 2, second, 0) and not same_question(first, 1, second, 1)
