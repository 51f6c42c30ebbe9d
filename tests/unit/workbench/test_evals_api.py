"""The evaluation surface: what it answers about a whole run, and about torn, missing and hostile ones."""

import json
import os
from pathlib import Path

import pytest
from tests.support import made_benchmarks as made
from tests.support.eval_surface import HOSTILE, ask, client, eval_row, write_json, write_rows, write_run
from tests.support.green_run import GreenRun
from tests.support.made_benchmarks import FakeScorer
from tests.support.scored_benchmarks import write_scored

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.judgement.benchmark_status import list_statuses
from picochat.judgement.evidence import RunEvidence
from picochat.workbench.reading import eval_rows

ROWS = "eval/rows.jsonl"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of a scripted model, one right less often, and one that is hardly a run."""
    folder = tmp_path_factory.mktemp("runs")
    GreenRun(folder / "green", rates={"eval": 0.8}).build(n=10)
    GreenRun(folder / "other", name="other", seed=2, rates={"eval": 0.5}).build(n=10)
    write_run(folder / "bare")
    return folder


@pytest.fixture
def torn(tmp_path: Path) -> Path:
    """A runs folder with one run, `r`, in which a test lies what it likes."""
    write_run(tmp_path / "r")
    return tmp_path


def test_fit_is_what_the_command_shows(runs: Path):
    found = ask(runs, "green/fit")
    report = RunStore(runs / "green").read(layout.report_path(layout.EVAL))
    assert found["source"]["state"] == "ready"
    for row in found["categories"]:
        for name, numbers in row["sets"].items():
            summary = report["sets"][name]["summary"]
            stored = summary["benign"] if row["category"] == "benign" else summary["categories"].get(row["category"])
            assert (numbers is None) == (stored is None)
            if numbers:
                assert [numbers[key] for key in ("k", "n", "rate", "interval")] == [
                    stored[key] for key in ("k", "n", "rate", "interval")
                ]
    assert found["commands"]["show"] == f"picochat eval fit {runs / 'green'}"


def test_fit_of_other_weights_is_stale_and_an_edited_report_is_said(torn: Path):
    GreenRun(torn / "green").build(n=4)
    GreenRun.reopen(torn / "green", seed=9).write_training("sft")
    assert ask(torn, "green/fit")["source"]["state"] == "stale"
    path = torn / "green" / layout.report_path(layout.EVAL)
    path.write_text(path.read_text().replace('"greedy": true', '"greedy": false'))
    assert ask(torn, "green/fit")["source"]["state"] == "changed"


def test_failing_rows_are_found_and_a_flip_is_seen(runs: Path):
    found = ask(runs, "green/rows", filter="fail", limit=3)
    stored = [json.loads(line) for line in (runs / "green" / ROWS).read_text().splitlines()]
    failed = [row["id"] for row in stored if row["verdict"] == "fail"]
    assert found["matched"] == len(failed) == found["counts"]["fail"] and [r["id"] for r in found["rows"]] == failed[:3]
    following = ask(runs, "green/rows", filter="fail", limit=200, cursor=found["next"])
    assert [row["id"] for row in following["rows"]] == failed[3:] and following["next"] is None
    beside = ask(runs, "green/rows", against="other", filter="flipped", limit=200)
    assert beside["against"]["flipped"] == len(beside["rows"]) > 0 and beside["against"]["paired"] == len(stored)
    for row in beside["rows"]:
        assert row["verdict"] != row["other"]["verdict"] and row["other"]["flipped"] is True


def test_every_page_together_is_every_row(runs: Path):
    seen, cursor = [], 0
    while cursor is not None:
        page = ask(runs, "green/rows", limit=7, cursor=cursor)
        seen += [row["place"] for row in page["rows"]]
        cursor = page["next"]
    assert seen == list(range(page["counts"]["rows"]))


def test_a_search_and_a_category_narrow_the_rows(runs: Path):
    found = ask(runs, "green/rows", category="identity", search="WHO ARE", limit=200)
    assert len(found["rows"]) == 10 and found["matched"] is None and found["scanned"] == 10
    assert ask(runs, "green/rows", search="no such word anywhere")["rows"] == []
    assert ask(runs, "green/rows", category="no such category")["matched"] == 0


def test_a_long_search_says_where_it_goes_on(torn: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(eval_rows, "SEARCHED_ROWS", 5)
    write_rows(torn / "r", ROWS, [eval_row(n, user="needle" if n == 7 else "hay") for n in range(9)])
    first = ask(torn, "r/rows", search="needle")
    assert (first["rows"], first["next"], first["scanned"]) == ([], 5, 5)
    assert [row["id"] for row in ask(torn, "r/rows", search="needle", cursor=5)["rows"]] == ["row-7"]


def test_one_row_in_full(torn: Path):
    write_rows(torn / "r", ROWS, [eval_row(0, reply="x" * 5000)])
    assert ask(torn, "r/rows")["rows"][0]["cut"] is True
    assert ask(torn, "r/rows", row=0)["rows"][0]["reply"] == "x" * 5000
    assert client(torn).get("/api/runs/r/rows", params={"row": 1}).status_code == 404


def test_another_question_under_the_same_id_is_no_flip(torn: Path):
    write_run(torn / "s")
    write_rows(torn / "r", ROWS, [eval_row(0), eval_row(1)])
    write_rows(torn / "s", ROWS, [eval_row(0, "fail"), eval_row(1, "fail", user="Something else?")])
    found = ask(torn, "r/rows", against="s")
    assert found["against"] == {"run": "s", "state": "ready", "why": "", "rows": 2, "paired": 1, "flipped": 1}
    assert [row["other"]["flipped"] for row in found["rows"]] == [True, None]
    assert [row["id"] for row in ask(torn, "r/rows", against="s", filter="flipped")["rows"]] == ["row-0"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"filter": "flipped"}, 422),
        ({"limit": 201}, 422),
        ({"limit": 0}, 422),
        ({"cursor": -1}, 422),
        ({"set": "../../etc"}, 422),
        ({"set": "benchmark:../x"}, 422),
        ({"set": "benchmark:.."}, 404),
        ({"against": "nobody"}, 404),
        ({"against": "../green"}, 422),
        ({"unknown": 1}, 422),
        ({"filter": "all; rm"}, 422),
    ],
)
def test_a_bad_question_is_refused(query: dict, status: int, runs: Path):
    assert client(runs).get("/api/runs/green/rows", params=query).status_code == status


def test_benchmark_and_memorisation_rows_are_sets_too(runs: Path, tmp_path: Path):
    root = tmp_path / "green"
    GreenRun(root).build(benchmark=tmp_path / "blimp.jsonl", n=4)
    found = ask(tmp_path, "green/rows", set="benchmark:blimp", filter="fail")
    assert found["counts"]["rows"] == 670 and {row["verdict"] for row in found["rows"]} == {"fail"}
    assert {"set": "benchmark:blimp", "title": "blimp", "there": True} in found["sets"]
    known = ask(runs, "green/rows", set="memorisation", category="sft: passage")
    assert known["counts"]["rows"] > 0 and not known["rows"][0]["expected"][0].startswith("tokens ")
    assert ask(runs, "green/rows", set="benchmark:piqa")["state"] == "missing"


def test_a_bare_run_answers_that_it_knows_nothing(runs: Path):
    assert ask(runs, "bare/fit")["source"]["state"] == "missing"
    assert ask(runs, "bare/rows")["state"] == "missing" and ask(runs, "bare/rows")["rows"] == []
    assert {grid["state"] for grid in ask(runs, "bare/samples")["trainings"].values()} == {"missing"}
    assert {row["status"] for row in ask(runs, "bare/benchmarks")["benchmarks"]} == {"not run"}
    honesty = ask(runs, "bare/honesty")
    assert honesty["contamination"]["source"]["state"] == "missing" and honesty["hits"]["state"] == "missing"
    assert client(runs).get("/api/runs/nobody/fit").status_code == 404


def test_torn_and_hostile_files_are_states_and_text(torn: Path):
    root = torn / "r"
    write_rows(root, ROWS, [eval_row(0, "fail", user=HOSTILE, reply=HOSTILE, category=HOSTILE * 9)], b'{"torn')
    for name in ("eval/report.json", "sft/report.json", "honesty.json", "memorisation.json", "summary.json"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text('{"torn": ')
    write_rows(root, "base/samples.jsonl", [{"step": 1, "prompt": HOSTILE, "text": HOSTILE}], b'{"to')
    assert ask(torn, "r/fit")["source"]["state"] == "unreadable"
    found = ask(torn, "r/rows")
    (category,) = found["counts"]["categories"]
    assert r"\u202e" in category["title"] and len(ask(torn, "r/rows", category=category["category"])["rows"]) == 1
    found["counts"]["categories"] = []
    assert found["torn"] is True and "\u202e" not in json.dumps(found, ensure_ascii=False)
    assert r"\u202e" in found["rows"][0]["reply"]
    assert ask(torn, "r/honesty")["memorisation"]["source"]["state"] == "unreadable"
    (cell,) = ask(torn, "r/samples", stage="base")["trainings"]["base"]["prompts"][0]["cells"]
    assert "\x1b" not in cell["text"] and "<script>" in cell["text"]


def test_links_and_pipes_of_a_run_are_neither_read_nor_waited_for(torn: Path):
    root, secret = torn / "r", torn / "secret.jsonl"
    write_rows(torn, "secret.jsonl", [eval_row(0, reply="secret")])
    (root / "eval").mkdir()
    (root / ROWS).symlink_to(secret)
    assert ask(torn, "r/rows")["state"] == "unreadable"
    (root / "benchmarks/piqa").mkdir(parents=True)
    os.mkfifo(root / "benchmarks/piqa/report.json")
    found = ask(torn, "r/benchmarks")
    assert (
        found["state"] == "unreadable" and "benchmarks/piqa/report.json" in found["why"] and found["benchmarks"] == []
    )
    os.mkfifo(root / "honesty.json")
    assert ask(torn, "r/honesty")["contamination"]["source"]["state"] == "unreadable"


def test_each_status_of_a_benchmark_is_shown_as_the_command_says_it(tmp_path: Path):
    green = GreenRun(tmp_path / "green")
    store = green.build(n=4)
    write_scored(store, "hellaswag", made.write_hellaswag(tmp_path / "h", n=60), FakeScorer())
    write_scored(
        store, "winogrande", made.write_winogrande(tmp_path / "w"), FakeScorer(), lambda b: b.update(harness="x")
    )
    write_json(store.root, "benchmarks/arc_easy/report.json", {"results": {"acc": 0.9}})
    found = {row["name"]: row for row in ask(tmp_path, "green/benchmarks")["benchmarks"]}
    said = {entry.name: (entry.status, entry.why) for entry in list_statuses(RunEvidence(store))}
    assert {name: (row["status"], row["why"]) for name, row in found.items()} == said
    words = {name: row["status"] for name, row in found.items()}
    assert (words["hellaswag"], words["winogrande"], words["arc_easy"]) == ("partial", "attached", "attached")
    assert words["mmlu"] == "not run" and found["mmlu"]["score"] is None
    GreenRun.reopen(store.root, seed=7).write_training("sft")
    again = {row["name"]: row["status"] for row in ask(tmp_path, "green/benchmarks")["benchmarks"]}
    assert again["hellaswag"] == "stale"


def test_samples_are_marked_for_echo_repetition_and_copies(torn: Path):
    green = GreenRun(torn / "green")
    store = green.build(n=4)
    line = (store.root / layout.CORPUS).read_text().splitlines()[0]
    copied = " ".join(line.split()[:14])
    loop = "one two three four " * 6
    rows = [{"step": 1, "prompt": "Once upon a time", "text": loop, "finished": False}]
    rows += [{"step": 2, "prompt": "Once upon a time", "text": copied, "finished": True}]
    write_rows(store.root, "base/samples.jsonl", rows)
    grid = ask(torn, "green/samples", stage="base")["trainings"]["base"]
    first, second = grid["prompts"][0]["cells"]
    assert first["faults"]["repetition"] is True and first["faults"]["copied"] is False
    assert second["faults"]["copied"] is True and second["faults"]["copied_words"] >= 14
    assert second["faults"]["document"] == 0 and second["changed_frac"] > 0.9 and grid["searched"] is True
    (store.root / layout.CORPUS_DOCUMENTS).write_bytes(b"torn")
    again = ask(torn, "green/samples", stage="base")["trainings"]["base"]
    assert again["searched"] is False and again["prompts"][0]["cells"][1]["faults"]["copied"] is None


def test_a_planted_leak_is_shown_with_both_passages(torn: Path):
    green = GreenRun(torn / "green")
    green.build(n=10)
    stored = [json.loads(line) for line in (torn / "green/chat/eval.jsonl").read_text().splitlines()]
    leaked = next(row for row in stored if row["category"] == "spelling")
    green.write_corpus(10, text_of=lambda number, text: leaked["user"] if number == 3 else text)
    green.write_honesty()
    report = RunStore(torn / "green").read(layout.HONESTY)["contamination"]
    found = ask(torn, "green/honesty", set="eval", against="corpus")
    cells = {(cell["set"], cell["against"]): cell for cell in found["contamination"]["matrix"]}
    stored_cells = {(cell["set"], cell["against"]): cell for cell in report["matrix"]}
    assert {key: cell["dirty"] for key, cell in cells.items()} == {k: c["dirty"] for k, c in stored_cells.items()}
    assert (
        cells["eval", "corpus"]["dirty"] == 1 and found["contamination"]["totals"]["dirty"] == report["totals"]["dirty"]
    )
    (hit,) = found["hits"]["rows"]
    assert hit["item"] == leaked["id"] and hit["places"][0]["number"] == 3
    words = leaked["user"].split()[5]
    assert words in hit["item_passage"]["text"] and words in hit["places"][0]["text"]
    assert ask(torn, "green/honesty", set="eval", against="sft")["hits"]["rows"] == []
    assert client(torn).get("/api/runs/green/honesty", params={"set": "eval"}).status_code == 422


def test_over_refusal_is_counted_from_the_reasons_and_its_rows_are_found(torn: Path):
    root = torn / "r"
    twins = [eval_row(n, "fail", rule="benign", category="refusal", reason="refused") for n in range(2)]
    twins += [eval_row(2, "fail", rule="benign", category="refusal", reason="word absent"), eval_row(3, rule="benign")]
    write_rows(root, ROWS, [*twins, eval_row(4, "fail", reason="refused")])
    replies = ask(torn, "r/honesty")["replies"]["sets"]
    assert (replies["eval"]["refused"]["k"], replies["eval"]["refused"]["n"]) == (2, 4)
    assert replies["fit"]["refused"] is None, "of no harmless request nothing is known"
    assert [row["id"] for row in ask(torn, "r/rows", filter="refused")["rows"]] == ["row-0", "row-1"]


def test_honesty_about_other_rows_or_other_weights_is_said(torn: Path):
    green = GreenRun(torn / "green")
    green.build(n=4)
    assert ask(torn, "green/honesty")["contamination"]["not_scanned"] == []
    green.write_corpus(6)
    green.write_eval(6)
    found = ask(torn, "green/honesty")
    assert {entry["set"] for entry in found["contamination"]["not_scanned"]} == {"eval", "heldout"}
    assert found["memorisation"]["source"]["state"] == "ready"
    GreenRun.reopen(torn / "green", seed=9).write_training("sft")
    again = ask(torn, "green/honesty")
    assert (again["memorisation"]["source"]["state"], again["replies"]["source"]["state"]) == ("stale", "stale")


def test_the_nearest_training_row(torn: Path):
    root = torn / "r"
    write_rows(root, ROWS, [eval_row(0, user="Please spell the word banana."), eval_row(1, user="§§§")])
    train = [
        {"user": "What is 2 plus 2?", "assistant": "4"},
        {"user": "Please spell the word cherry.", "assistant": "c"},
    ]
    train += [{"messages": [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "Pico"}]}]
    assert ask(torn, "r/nearest", row=0)["state"] == "missing"
    write_rows(root, layout.CHAT_TRAIN, train, b"not json\n")
    found = ask(torn, "r/nearest", row=0)
    assert found["nearest"]["prompt"] == "Please spell the word cherry." and found["nearest"]["reply"] == "c"
    assert found["nearest"]["share"] == pytest.approx(7 / 11) and found["rows"] == 3
    assert ask(torn, "r/nearest", row=1)["nearest"] is None
    assert client(torn).get("/api/runs/r/nearest", params={"row": 9}).status_code == 404
