"""External benchmarks under judgement: thresholds, digests, claims, and where a run stands with each of them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.redteam.signing import edit
from tests.support import made_benchmarks as made
from tests.support.green_run import GreenRun
from tests.support.made_benchmarks import RIGHT, WRONG, FakeScorer, coin
from tests.support.scored_benchmarks import write_scored

from picochat.artifacts.store import RunStore
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import iter_jsonl, jsonl_bytes
from picochat.evals.tasks import core_numbers
from picochat.evals.tasks.blimp_paradigms import REGISTERED
from picochat.evals.tasks.core_tasks import CORE_TASKS
from picochat.evals.tasks.facts import TABLE
from picochat.judgement import benchmarks
from picochat.judgement.benchmark_status import list_statuses
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.gate import judge_run
from picochat.judgement.profile import ProfileCheck, load_profile
from picochat.judgement.rules import external, external_setup
from picochat.judgement.rules.case import Case, Outcome
from picochat.judgement.verify import verify_run

Copy = Callable[[Path], Path]
FULL_PIQA = 1838


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without a benchmark."""
    return GreenRun(tmp_path_factory.mktemp("plain") / "run").build(n=4).root


@pytest.fixture(scope="module")
def piqa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.write_piqa(tmp_path_factory.mktemp("piqa"), n=FULL_PIQA)


@pytest.fixture
def run(plain: Path, copy: Copy) -> RunStore:
    return RunStore(copy(plain))


def outcome(store: RunStore, rule: Callable[[Case], Outcome], threshold: float | None = None) -> Outcome:
    check = ProfileCheck(id="external.score", column="block", threshold=threshold, minimum_n=50)
    return rule(Case(RunEvidence(store), check, load_profile("skill_release"), []))


def knows(rate: float) -> FakeScorer:
    """Right in the first `rate` of every ten items of two options."""
    seen: list[int] = []

    def by_count(prompt: str, text: str) -> float:
        place = len(seen) // 2 % 10
        seen.append(0)
        likes = RIGHT if place < round(10 * rate) else WRONG
        return -1.0 if likes in text else -60.0

    return FakeScorer(value=by_count)


def test_a_coin_on_piqa_blocks(run: RunStore, piqa: Path):
    write_scored(run, "piqa", piqa, FakeScorer(value=coin()))
    found = outcome(run, external.judge_score)
    assert (found.verdict, found.threshold, found.n) == ("block", 0.10, FULL_PIQA)
    gate = {check["id"]: check["verdict"] for check in judge_run(run, "skill_release")["checks"]}
    assert (gate["external.score"], gate["external.rows"], gate["external.present"]) == ("block", "pass", "warn")


@pytest.mark.parametrize(("rate", "verdict"), [(0.5, "block"), (0.6, "pass"), (0.9, "pass"), (0.1, "block")])
def test_piqa_passes_at_its_threshold(rate: float, verdict: str, run: RunStore, piqa: Path):
    write_scored(run, "piqa", piqa, knows(rate))
    found = outcome(run, external.judge_score)
    assert found.verdict == verdict
    assert isinstance(found.measured, float) and found.measured == pytest.approx(2 * rate - 1, abs=0.005)


def test_a_point_without_a_bound_above_chance_blocks(run: RunStore, tmp_path: Path):
    """.60 of 60 items reaches the point of .10 above chance; its bound does not leave chance behind."""
    write_scored(run, "piqa", made.write_piqa(tmp_path / "few", n=60), knows(0.6))
    found = outcome(run, external.judge_score)
    assert found.verdict == "block" and found.interval and found.interval[0] < 0 < 0.1 < (found.measured or 0)  # type: ignore[operator]


def test_under_50_items_nothing_is_judged(run: RunStore, tmp_path: Path):
    write_scored(run, "piqa", made.write_piqa(tmp_path / "few", n=40), knows(1.0))
    assert outcome(run, external.judge_score).verdict == "not_run"
    assert outcome(run, external.judge_rows, 50.0).verdict == "block"


def test_winogrande_needs_no_more_than_a_bound_above_chance(run: RunStore, tmp_path: Path):
    data = made.write_winogrande(tmp_path / "data", n=400)
    scorer = FakeScorer(value=lambda prompt, text: -1.0 if RIGHT in prompt or ", 1" in text else -9.0)
    write_scored(run, "winogrande", data, scorer)
    found = outcome(run, external.judge_score)
    assert found.verdict == "pass" and found.threshold == 0.0


@pytest.mark.parametrize("name", ["lambada", "gsm8k"])
def test_what_has_no_threshold_is_shown_and_judged_by_nobody(name: str, run: RunStore, tmp_path: Path):
    data = made.WRITERS[name](tmp_path / name, n=60)
    write_scored(run, name, data, FakeScorer(says=lambda prompt: "no"))
    assert TABLE[name].adjusted_threshold is None
    assert outcome(run, external.judge_score).verdict == "not_run"
    assert outcome(run, external.judge_present, 1.0).verdict == "warn"


def test_the_weakest_benchmark_decides(run: RunStore, piqa: Path, tmp_path: Path):
    write_scored(run, "piqa", piqa, knows(0.9))
    assert outcome(run, external.judge_score).verdict == "pass"
    write_scored(run, "hellaswag", made.write_hellaswag(tmp_path / "h", n=200), FakeScorer(value=coin()))
    assert outcome(run, external.judge_score).verdict == "block"


def test_core_needs_a_lower_bound_above_0(run: RunStore, tmp_path: Path):
    data = made.write_core(tmp_path / "core", n=60)
    write_scored(run, "core", data, FakeScorer())
    assert outcome(run, external.judge_score).verdict == "pass"
    write_scored(run, "core", data, FakeScorer(value=coin(), says=lambda prompt: "no"))
    found = outcome(run, external.judge_score)
    assert found.verdict == "block" and found.interval and found.interval[0] <= 0


def test_a_setup_of_its_own_warns_at_best(run: RunStore, tmp_path: Path):
    data = made.write_mmlu(tmp_path / "mmlu", n=100, dev=0)
    scorer = FakeScorer(value=lambda prompt, text: 0.0 if f"{text.strip()}. {RIGHT}" in prompt else -9.0)
    write_scored(run, "mmlu", data, scorer)
    assert outcome(run, external.judge_score).verdict == "warn"


@pytest.fixture
def registered(piqa: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The made PIQA counts as the published one."""
    table = {
        "validation": sha256_file(piqa / "valid.jsonl"),
        "validation labels": sha256_file(piqa / "valid-labels.lst"),
    }
    monkeypatch.setitem(benchmarks.REGISTERED, "piqa", table)
    monkeypatch.setitem(benchmarks.PUBLISHED, "piqa", frozenset(table.values()))


def test_published_files_pass_and_make_the_whole_benchmark_strong(run: RunStore, piqa: Path, registered: None):
    write_scored(run, "piqa", piqa, knows(0.9))
    found = outcome(run, external_setup.judge_digest)
    assert (found.verdict, found.measured, found.n) == ("pass", 0.0, 2)
    assert outcome(run, external.judge_present, 1.0).verdict == "pass"


def test_keys_shifted_by_one_block(run: RunStore, piqa: Path, registered: None, tmp_path: Path):
    shifted = made.write_piqa(tmp_path / "shifted", n=FULL_PIQA, labels=[1 - k % 2 for k in range(FULL_PIQA)])
    write_scored(run, "piqa", shifted, FakeScorer(value=lambda p, text: -1.0 if WRONG in text else -60.0))
    found = outcome(run, external_setup.judge_digest)
    assert found.verdict == "block" and found.artifacts == (("benchmarks/piqa/report.json", "/files/1/sha256"),)
    assert outcome(run, external.judge_score).verdict == "pass", "the score alone does not show it"


def test_a_report_that_lists_other_files_than_were_read_blocks(run: RunStore, piqa: Path, registered: None):
    other = benchmarks.REGISTERED["piqa"] | {"validation": "0" * 64}
    wrong: Callable[[dict], None] = lambda body: body["files"][0].update(sha256=other["validation"])  # noqa: E731
    write_scored(run, "piqa", piqa, knows(0.9), wrong)
    found = outcome(run, external_setup.judge_digest)
    assert found.verdict == "block" and ("benchmarks/piqa/report.json", "/manifest/inputs") in found.artifacts


def test_files_that_nobody_registered_warn_and_no_benchmark_is_not_run(run: RunStore, piqa: Path):
    assert outcome(run, external_setup.judge_digest).verdict == "not_run"
    assert outcome(run, external_setup.judge_setup).verdict == "not_run"
    write_scored(run, "piqa", piqa, knows(0.9))
    assert outcome(run, external_setup.judge_digest).verdict == "warn"


def test_a_renamed_paradigm_with_other_bytes_blocks(bare: Path, copy: Copy, tmp_path: Path):
    """The green run's file is not that of the paradigms that its rows are of."""
    root = copy(bare)
    own = tmp_path / "renamed.jsonl"
    own.write_bytes(b"{}\n")
    GreenRun.reopen(root).write_benchmark(own)
    found = outcome(RunStore(root), external_setup.judge_digest)
    assert found.verdict == "block" and any("/groups/passive_1" in pointer for _, pointer in found.artifacts)
    assert outcome(RunStore(bare), external_setup.judge_digest).verdict == "pass"


def test_a_claim_against_another_setup_warns(run: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = made.write_core(tmp_path / "core", n=30)
    write_scored(run, "core", data, FakeScorer())
    assert outcome(run, external_setup.judge_setup).verdict == "pass"
    write_scored(run, "core", data, FakeScorer(), against=["GPT-2 124M"])
    found = outcome(run, external_setup.judge_setup)
    assert (found.verdict, found.measured, found.n) == ("warn", 1.0, 1), "a part is held against the whole"
    asked = ("arc_easy", "winograd", "jeopardy", "agi_eval_lsat_ar")
    monkeypatch.setattr(core_numbers, "CORE_TASKS", {name: CORE_TASKS[name]._replace(items=30) for name in asked})
    write_scored(run, "core", data, FakeScorer(), against=["GPT-2 124M"])
    assert outcome(run, external_setup.judge_setup).verdict == "pass"
    range_ = "1.12 B parameters, good text (expected)"
    write_scored(run, "core", data, FakeScorer(), against=["GPT-2 124M", range_])
    found = outcome(run, external_setup.judge_setup)
    assert (found.verdict, found.artifacts) == ("warn", (("benchmarks/core/report.json", "/against/1"),))


CHANGES: dict[str, Callable[[dict], Any]] = {
    "headline": lambda body: body["headline"].update(point=0.99),
    "group": lambda body: body["groups"]["jeopardy"].update(centred_v1=1.5),
    "version": lambda body: body["versions"]["v2"].update(score=0.5),
    "long items": lambda body: body["long_items"].update(cut=7),
    "whole": lambda body: body.update(partial=False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_core_report_that_says_more_than_its_rows_is_found(change: str, run: RunStore, tmp_path: Path):
    data = made.write_core(tmp_path / "core", n=12)
    scorer = FakeScorer(value=coin(), says=lambda prompt: "no")
    write_scored(run, "core", data, scorer, CHANGES[change])
    (found,) = RunEvidence(run).benchmarks
    assert found.differing
    wrong = [r for r in verify_run(run) if r.id == "verify.rates" and "benchmarks/core" in r.evidence[0].artifact]
    assert len(wrong) == 1


def test_a_changed_log_likelihood_is_found(run: RunStore, tmp_path: Path):
    write_scored(run, "piqa", made.write_piqa(tmp_path / "p", n=60), FakeScorer())
    assert [r for r in verify_run(run) if "piqa" in r.evidence[0].artifact and r.verdict == "block"] == []
    path = run.path("benchmarks/piqa/rows.jsonl")
    rows = list(iter_jsonl(path))
    rows[0]["scores"][0]["raw"] = -99.0
    path.write_bytes(jsonl_bytes(rows))
    blocked = {r.id for r in verify_run(run) if "piqa" in r.evidence[0].artifact and r.verdict == "block"}
    assert blocked == {"verify.chain", "verify.rates"}
    assert status(run)["piqa"] == "broken"


def status(store: RunStore) -> dict[str, str]:
    return {entry.name: entry.status for entry in list_statuses(RunEvidence(store))}


def test_where_a_run_stands_with_each_benchmark(run: RunStore, piqa: Path, tmp_path: Path):
    assert status(run) == dict.fromkeys(TABLE, "not run")
    write_scored(run, "piqa", piqa, knows(0.9))
    write_scored(run, "hellaswag", made.write_hellaswag(tmp_path / "h", n=60), FakeScorer())
    found = status(run)
    assert (found["piqa"], found["hellaswag"], found["mmlu"]) == ("verified", "partial", "not run")
    GreenRun.reopen(run.root, seed=7).write_training("sft")
    assert (status(run)["piqa"], status(run)["hellaswag"]) == ("stale", "stale")
    other = GreenRun(tmp_path / "other", name="other").build(n=4)
    shutil.copytree(run.path("benchmarks"), other.path("benchmarks"))
    assert (status(other)["piqa"], status(other)["hellaswag"]) == ("attached", "attached")
    run.path("benchmarks/piqa/rows.jsonl").unlink()
    assert status(run)["piqa"] == "broken"


def test_a_report_of_another_program_is_attached(run: RunStore, tmp_path: Path):
    data = made.write_piqa(tmp_path / "p", n=60)
    write_scored(run, "piqa", data, FakeScorer(), lambda body: body.update(harness="another"))
    run.write("benchmarks/arc_easy/report.json", b'{"results": {"arc_easy": {"acc": 0.9}}}')
    assert (status(run)["piqa"], status(run)["arc_easy"]) == ("attached", "attached")


def test_another_sum_of_bytes_is_another_file(run: RunStore, tmp_path: Path):
    """A report whose rows were written by somebody else, though they say the same."""
    write_scored(run, "piqa", made.write_piqa(tmp_path / "p", n=60), FakeScorer())
    path = run.path("benchmarks/piqa/rows.jsonl")
    path.write_bytes(path.read_bytes() + b"\n")
    entry = next(entry for entry in list_statuses(RunEvidence(run)) if entry.name == "piqa")
    assert entry.status == "broken" and "not the file" in entry.why


def blimp_of(root: Path, keep: Callable[[dict], bool], **body: Any) -> list[str]:
    """The green run's BLiMP with some of its rows; the groups that lack items."""
    rows = [row for row in iter_jsonl(root / "benchmarks/blimp/rows.jsonl") if keep(row)]
    (root / "benchmarks/blimp/rows.jsonl").write_bytes(jsonl_bytes(rows))
    edit(root, "benchmarks/blimp/report.json", lambda report: report.update(body))
    (found,) = RunEvidence(RunStore(root)).benchmarks
    assert not found.problem
    return found.left_out


def number_of(row: dict) -> int:
    return int(row["id"].rpartition("/")[2])


@pytest.mark.parametrize(
    ("keep", "limit", "groups"),
    [
        (lambda row: True, None, 0),
        (lambda row: number_of(row) <= 4, 4, 0),
        (lambda row: True, 400, 0),
        (lambda row: number_of(row) <= 4, None, 67),
        (lambda row: number_of(row) > 6, 4, 67),
        (lambda row: row["id"] != "passive_1/3", None, 1),
        (lambda row: row["paradigm"] != "passive_1", None, 0),
        (lambda row: True, 4, 67),
    ],
    ids=["all", "first", "high limit", "no limit said", "last", "one gone", "a paradigm gone", "more than the limit"],
)
def test_the_items_that_are_shown_are_fixed_before_they_are_scored(
    keep: Callable[[dict], bool], limit: int | None, groups: int, bare: Path, copy: Copy
):
    assert len(blimp_of(copy(bare), keep, settings={"limit": limit})) == groups


def test_a_registered_file_that_was_read_has_rows(bare: Path, copy: Copy):
    """A file of one paradigm by its digest; a file that nobody published holds what it holds."""
    files = [{"name": "passive_1.jsonl", "key": "passive_1", "sha256": REGISTERED["passive_1"], "registered": True}]
    own = {"name": "own.jsonl", "key": "own", "sha256": "0" * 64, "registered": False}
    root = copy(bare)
    gone: Callable[[dict], bool] = lambda row: row["paradigm"] != "passive_1" and number_of(row) < 3  # noqa: E731
    assert blimp_of(root, gone, files=[*files, own]) == ["passive_1"]
    assert blimp_of(root, gone, files=[own]) == []


@pytest.mark.parametrize("files", [7, [7], [{"sha256": []}], [{"sha256": None}]])
def test_files_of_another_kind_are_no_crash(files: Any, bare: Path, copy: Copy):
    root = copy(bare)
    edit(root, "benchmarks/blimp/report.json", lambda report: report.update(files=files))
    assert verify_run(RunStore(root))
