"""BLiMP: strict reading, pair scoring, and a report that follows from its rows."""

import json
from pathlib import Path

import pytest

from picochat.core.errors import PicochatError
from picochat.evals.tasks.blimp import read_blimp, recompute_blimp, score_blimp
from picochat.evals.tasks.blimp_paradigms import PAIRS, PARADIGMS, REGISTERED
from picochat.evals.tasks.facts import GROUP_ITEMS


def pair(number: int, uid: str = "passive_1", **fields: object) -> dict[str, object]:
    good, bad = f"The cat {number} was seen.", f"The cat {number} was slept."
    return {"sentence_good": good, "sentence_bad": bad, "UID": uid, "field": "syntax", **fields}


def write(folder: Path, name: str, rows: list[dict[str, object]]) -> Path:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def by_length(texts: list[str]) -> list[float]:
    return [-float(len(text)) for text in texts]


def refusal(folder: Path) -> PicochatError:
    with pytest.raises(PicochatError) as caught:
        read_blimp(folder)
    return caught.value


def test_a_missing_folder_is_a_usage_error_and_an_empty_one_is_unusable(tmp_path: Path) -> None:
    missing = refusal(tmp_path / "none")
    assert (missing.code, missing.exit_code) == ("benchmark.missing", 2)
    empty = refusal(tmp_path)
    assert (empty.code, empty.exit_code) == ("benchmark.empty", 4)
    (tmp_path / "passive_1.jsonl").write_text("\n")
    assert refusal(tmp_path).code == "benchmark.empty"


@pytest.mark.parametrize(
    "broken",
    [
        b"{not json}",
        b"[1]",
        b"",
        b"\xff",
        json.dumps(pair(2, sentence_good=" ")).encode(),
        json.dumps(pair(2, sentence_bad=3)).encode(),
        json.dumps({"sentence_good": "a", "sentence_bad": "b"}).encode(),
        json.dumps(pair(2, uid="passive_2")).encode(),
    ],
)
def test_a_broken_row_stops_with_its_number(tmp_path: Path, broken: bytes) -> None:
    lines = [json.dumps(pair(1)).encode(), broken, json.dumps(pair(3)).encode()]
    (tmp_path / "passive_1.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    error = refusal(tmp_path)
    assert (error.code, error.exit_code) == ("benchmark.row", 4)
    assert "passive_1.jsonl row 2" in error.detail


def test_one_paradigm_in_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a", [pair(1)])
    write(tmp_path, "b", [pair(1)])
    assert "a.jsonl" in refusal(tmp_path).detail


def test_made_files_are_unregistered(tmp_path: Path) -> None:
    write(tmp_path, "passive_1", [pair(i) for i in range(3)])
    data = read_blimp(tmp_path)
    assert [(f.name, f.n_items, f.registered) for f in data.files] == [("passive_1.jsonl", 3, False)]
    assert len(data.files[0].sha256) == 64 and [item.id for item in data.items] == [f"passive_1/{i}" for i in (1, 2, 3)]


def test_the_likelier_sentence_must_be_the_good_one_and_a_tie_fails(tmp_path: Path) -> None:
    write(tmp_path, "passive_1", [pair(1), pair(2, sentence_bad="Short."), pair(3, sentence_bad="The cat 3 was SEEN.")])
    rows = score_blimp(read_blimp(tmp_path).items, by_length)
    assert [row["passed"] for row in rows] == [True, False, False]
    assert set(rows[0]) == {"id", "paradigm", "field", "good", "bad", "good_logprob", "bad_logprob", "passed"}
    report = recompute_blimp(rows)
    assert (report["ties"], report["n"], report["pooled"]["k"]) == (1, 3, 1)


def test_the_headline_is_the_mean_over_paradigms_not_over_items(tmp_path: Path) -> None:
    write(tmp_path, "passive_1", [pair(i) for i in range(6)])
    write(tmp_path, "passive_2", [pair(i, "passive_2", sentence_bad="Short.") for i in range(2)])
    report = recompute_blimp(score_blimp(read_blimp(tmp_path).items, by_length))
    assert report["rate"] == 0.5 and report["pooled"]["rate"] == 0.75
    assert report["adjusted"] == 0.0 and report["adjusted_threshold"] == 0.30 and report["chance"] == 0.5
    assert (report["n_paradigms"], report["partial"]) == (2, True)
    first = report["paradigms"]["passive_1"]
    assert (first["field"], first["k"], first["n"]) == ("syntax", 6, 6) and first["interval"][0] < 1


def test_a_stored_pass_that_its_numbers_deny_is_counted_and_ignored(tmp_path: Path) -> None:
    write(tmp_path, "passive_1", [pair(i, sentence_bad="Short.") for i in range(4)])
    rows = score_blimp(read_blimp(tmp_path).items, by_length)
    assert recompute_blimp(rows)["disagreements"] == 0
    forged = recompute_blimp([row | {"passed": True} for row in rows])
    assert (forged["disagreements"], forged["rate"]) == (4, 0.0)


def test_all_pairs_of_67_paradigms_are_a_whole_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PAIRS == 1000 and set(GROUP_ITEMS["blimp"]) == set(PARADIGMS)
    monkeypatch.setitem(GROUP_ITEMS, "blimp", dict.fromkeys(PARADIGMS, 2))
    row = {"field": "syntax", "good": "a", "bad": "b", "good_logprob": -1.0, "bad_logprob": -2.0, "passed": True}
    rows = [{**row, "paradigm": name} for name in PARADIGMS * 2]
    assert len(set(PARADIGMS)) == 67 and set(REGISTERED) < set(PARADIGMS)
    assert recompute_blimp(rows)["partial"] is False
    assert recompute_blimp(rows[1:])["partial"] is True
    assert recompute_blimp(rows[:67])["partial"] is True, "each paradigm is there, and half of its pairs"


def test_numbers_that_are_none_and_counts_that_differ_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "passive_1", [pair(1)])
    items = read_blimp(tmp_path).items
    with pytest.raises(PicochatError) as caught:
        score_blimp(items, lambda texts: [float("nan")] * len(texts))
    assert caught.value.code == "eval.not_finite"
    with pytest.raises(ValueError, match="zip"):
        score_blimp(items, lambda texts: [0.0] * (len(texts) + 2))
    with pytest.raises(PicochatError, match="0 rows"):
        recompute_blimp([])


def test_the_published_files_are_registered_and_whole(real_data: Path) -> None:
    data = read_blimp(real_data / "blimp")
    assert len(data.files) == 26 and all(f.registered and f.n_items == 1000 for f in data.files)
    assert len(data.items) == 26_000
    report = recompute_blimp(score_blimp(data.items, by_length))
    assert report["partial"] and report["n_paradigms"] == 26 and 0.2 < report["rate"] < 0.8
    assert report["same_text"] == 2
