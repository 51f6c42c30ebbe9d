"""Runs on the same rows: known p values, the words for them, and everything that is refused in place of ranked."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.support.green_rows import answer
from tests.support.green_run import GreenRun

from picochat.artifacts import layout
from picochat.artifacts.reports import self_digest
from picochat.cli.app import cli
from picochat.core.errors import PicochatError
from picochat.core.fs import write_atomic
from picochat.core.jsonio import iter_jsonl, jsonl_bytes, pretty_json
from picochat.data.conversations import EvalRow
from picochat.evals.scoring import build_record, score_row
from picochat.judgement.comparison import NOT_TOLD_APART, verdict_of

N = 20
Rows = list[dict[str, Any]]


def failing(*wrong: tuple[str, int]) -> Callable[[str, Rows], Rows]:
    """A scripted model that fails the first so many rows of a skill and passes all others."""
    counts = dict(wrong)

    def change(name: str, rows: Rows) -> Rows:
        seen: dict[str, int] = {}
        out = []
        for old in rows:
            row = EvalRow.model_validate({key: old[key] for key in EvalRow.model_fields if key in old})
            skill = row.category + (" benign" if row.rule == "benign" else "")
            place = seen[skill] = seen.get(skill, -1) + 1
            reply = answer(row, place >= counts.get(skill, 0))
            fields = row.model_dump(mode="json")
            out.append(build_record(fields, reply, score_row(fields, reply)))
        return out

    return change


def make_run(root: Path, *wrong: tuple[str, int], seed: int = 1, n: int = N) -> Path:
    run = GreenRun(root, name="green", seed=seed)
    run.build(n=n)
    run.write_eval(n, failing(*wrong))
    return root


def compare(*argv: object) -> dict[str, Any]:
    done = CliRunner().invoke(
        cli, ["eval", "compare", *map(str, argv), "--json"], catch_exceptions=False, standalone_mode=False
    )
    return json.loads(done.output)


def refused(*argv: object) -> tuple[str, int, str]:
    with pytest.raises(PicochatError) as caught:
        compare(*argv)
    return caught.value.code, caught.value.exit_code, caught.value.detail


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        "all": make_run(folder / "all", seed=1),
        "five": make_run(folder / "five", ("spelling", 5), ("identity", 6), seed=2),
        "ten": make_run(folder / "ten", ("spelling", 10), ("refusal benign", 3), seed=3),
        "other": make_run(folder / "other", n=N + 2),
    }


@pytest.fixture
def copy(runs: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(runs["five"], tmp_path / "copy"))


def test_known_p_values(runs: dict[str, Path]):
    found = compare(runs["all"], runs["five"])
    skills = {entry["skill"]: entry for entry in found["pair"]["skills"]}
    assert set(skills) == {"arithmetic", "choice", "identity", "refusal", "refusal (benign)", "spelling"}
    spelling, identity = skills["spelling"], skills["identity"]
    assert (spelling["only_first"], spelling["only_second"], spelling["p"]) == (5, 0, 0.0625)
    assert (identity["only_first"], identity["only_second"], identity["p"]) == (6, 0, 0.03125)
    assert (identity["p_holm"], spelling["p_holm"]) == (6 * 0.03125, 5 * 0.0625), "over six skills"
    assert identity["difference"] == -0.3 and identity["interval"][0] < -0.3 < identity["interval"][1] < 0
    assert {entry["verdict"] for entry in skills.values()} == {NOT_TOLD_APART}
    assert found["rows"] == 6 * N


def test_a_skill_is_told_apart_when_holm_says_so(runs: dict[str, Path]):
    for order, letter in ((("all", "ten"), "A"), (("ten", "all"), "B")):
        skills = {entry["skill"]: entry for entry in compare(*(runs[name] for name in order))["pair"]["skills"]}
        assert skills["spelling"]["p_holm"] == pytest.approx(6 * 2 / 2**10)
        assert skills["spelling"]["verdict"] == f"{letter} better"
        assert skills["refusal (benign)"]["verdict"] == skills["refusal"]["verdict"] == NOT_TOLD_APART
        assert skills["refusal"]["only_first"] == skills["refusal"]["only_second"] == 0


@pytest.mark.parametrize(
    ("p", "difference", "words"),
    [(0.0501, 0.9, NOT_TOLD_APART), (0.05, 0.1, "B better"), (0.01, -0.1, "A better"), (0.01, 0.0, NOT_TOLD_APART)],
)
def test_better_is_never_said_above_the_level(p: float, difference: float, words: str):
    assert verdict_of(p, difference, ("A", "B")) == words


def test_discordant_rows_are_listed_with_both_replies(runs: dict[str, Path]):
    found = compare(runs["all"], runs["five"], "--limit", 4)["pair"]
    assert found["discordant_rows"] == 11 and len(found["discordant"]) == 4
    assert {row["skill"] for row in found["discordant"]} == {"identity", "spelling"}, "no skill fills the list alone"
    row = next(row for row in found["discordant"] if row["skill"] == "spelling")
    assert row["replies"] == {"A": "a b c", "B": "nothing of the kind"} and row["passed_by"] == "A"
    assert row["expected"] == ["a b c"] and 'spell "abc"' in row["prompt"]
    assert compare(runs["all"], runs["five"], "--limit", 0)["pair"]["discordant"] == []


def test_a_row_that_is_judged_by_likelihoods_shows_the_option(tmp_path: Path, runs: dict[str, Path]):
    other = make_run(tmp_path / "run", ("choice", 1), seed=5)
    (row,) = compare(runs["all"], other)["pair"]["discordant"]
    assert row["replies"] == {"A": "a=one", "B": "b=two"} and row["expected"] == ["a=one"]


def test_losses_stand_beside_and_are_compared_on_one_text_only(runs: dict[str, Path], copy: Path):
    found = compare(runs["all"], runs["five"])
    assert found["base_on_the_same_text"] is True
    assert found["runs"][0]["base"]["bpb"] == 1.5 and found["runs"][1]["base"]["bpb_se"] == 0.01
    assert found["runs"][0]["forgetting"] == {"before_bpb": 1.5, "after_bpb": 1.6}
    assert "seed" not in found["settings_that_differ"]
    rebuilt = GreenRun.reopen(copy, name="another", seed=2)
    rebuilt.write_corpus(N)
    rebuilt.write_training(layout.BASE)
    found = compare(runs["all"], copy)
    assert found["base_on_the_same_text"] is False, "its corpus is another one"


def test_several_runs_are_a_mean_with_its_spread_and_no_best(runs: dict[str, Path]):
    found = compare(runs["all"], runs["five"], runs["ten"])
    assert found["pair"] is None and "better" not in json.dumps(found)
    spelling = found["spread"]["skills"]["spelling"]
    assert spelling == pytest.approx({"mean": 0.75, "sd": 0.25, "min": 0.5, "max": 1.0})
    assert found["spread"]["base_bpb"] == pytest.approx({"mean": 1.5, "sd": 0.0, "min": 1.5, "max": 1.5})
    assert [run["label"] for run in found["runs"]] == ["A", "B", "C"], "in the order they were given"


@pytest.mark.parametrize("name", ["fit", "heldout"])
def test_the_other_sets_are_compared_likewise(runs: dict[str, Path], name: str):
    found = compare(runs["all"], runs["five"], "--set", name)
    assert found["set"] == name and found["rows"] == 6 * N // 2
    assert next(e for e in found["pair"]["skills"] if e["skill"] == "spelling")["only_first"] == 5


def test_other_questions_are_refused_and_not_ranked(runs: dict[str, Path]):
    code, exit_code, detail = refused(runs["all"], runs["other"])
    assert (code, exit_code) == ("compare.questions", 4) and "120 rows" in detail and "132 rows" in detail


def test_one_question_that_differs_is_enough(runs: dict[str, Path], copy: Path):
    """An expected answer is added to one row, in the eval file and in the stored rows alike."""
    questions = list(iter_jsonl(copy / layout.CHAT_EVAL))
    place = next(i for i, row in enumerate(questions) if row["category"] == "spelling")
    questions[place]["expected"].append("abc")
    write_atomic(copy / layout.CHAT_EVAL, jsonl_bytes(questions))

    def change(name: str, rows: Rows) -> Rows:
        for row in rows:
            if row["id"] == questions[place]["id"]:
                row["expected"].append("abc")
        return rows

    run = GreenRun.reopen(copy, name="green", seed=2)
    run.write_eval(N, change)
    assert refused(runs["all"], copy)[:2] == ("compare.questions", 4)


def test_a_verdict_that_does_not_follow_from_its_reply_is_refused(runs: dict[str, Path], copy: Path):
    """The report is signed again over the changed rows: only judging them again finds it."""

    def change(name: str, rows: Rows) -> Rows:
        rows = failing(("spelling", 5))(name, rows)
        next(row for row in rows if row["verdict"] == "fail")["verdict"] = "pass"
        return rows

    GreenRun.reopen(copy, name="green", seed=2).write_eval(N, change)
    code, exit_code, detail = refused(runs["all"], copy)
    assert (code, exit_code) == ("compare.rows", 4) and "does not follow from the reply" in detail
    assert refused(copy, runs["all"])[0] == "compare.rows"


def test_rows_that_are_left_out_are_refused(runs: dict[str, Path], copy: Path):
    GreenRun.reopen(copy, name="green", seed=2).write_eval(N, lambda name, rows: rows[1:])
    code, exit_code, detail = refused(runs["all"], copy)
    assert (code, exit_code) == ("compare.rows", 4) and layout.CHAT_EVAL in detail


def test_a_changed_byte_is_refused(runs: dict[str, Path], copy: Path):
    path = copy / layout.EVAL / layout.ROWS
    write_atomic(path, path.read_bytes().replace(b"nothing of the kind", b"nothing of the mind", 1))
    assert refused(runs["all"], copy)[:2] == ("artifact.changed", 4)


def test_an_edited_rate_is_refused(runs: dict[str, Path], copy: Path):
    report = copy / layout.report_path(layout.EVAL)
    text = report.read_text()
    write_atomic(report, text.replace('"k": 15', '"k": 19', 1).encode())
    assert report.read_text() != text and refused(runs["all"], copy)[:2] == ("artifact.changed", 4)


def test_rates_that_the_rows_do_not_give_are_refused_though_they_are_signed(runs: dict[str, Path], copy: Path):
    path = copy / layout.report_path(layout.EVAL)
    report = json.loads(path.read_text())
    report["sets"]["eval"]["summary"]["categories"]["spelling"]["k"] = 19
    write_atomic(path, pretty_json(report | {"self_digest": self_digest(report)}))
    code, exit_code, detail = refused(runs["all"], copy)
    assert (code, exit_code) == ("compare.rows", 4) and "reports other rates" in detail


@pytest.mark.parametrize("names", [["all"], ["all", "all"], ["all", "five", "all"]])
def test_fewer_than_two_different_runs_are_refused(runs: dict[str, Path], names: list[str]):
    assert refused(*(runs[name] for name in names))[:2] == ("compare.runs", 2)


def test_a_run_without_an_eval_is_refused(runs: dict[str, Path], copy: Path):
    shutil.rmtree(copy / layout.EVAL)
    assert refused(runs["all"], copy)[:2] == ("artifact.missing", 4)


def test_the_tables_say_what_the_document_says(runs: dict[str, Path]):
    def shown(*names: str) -> str:
        argv = ["eval", "compare", *(str(runs[name]) for name in names)]
        return CliRunner().invoke(cli, argv, catch_exceptions=False, standalone_mode=False).output

    pair = shown("all", "five")
    assert "not told apart" in pair and "better" not in pair and "0.0625" in pair
    assert "11 of 120 rows were passed by one run alone" in pair
    told = shown("all", "ten")
    assert told.count("A better") == 1
    spread = shown("all", "five", "ten")
    assert "over 3 runs" in spread and "no run is picked out" in spread and "better" not in spread
