"""The verdict of a green run under every profile, and each sabotage blocked by the check that is there for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.redteam.signing import edit
from tests.support.green_run import GreenRun

from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.jsonio import canonical_json
from picochat.evals.rows import OptionScore, Reply
from picochat.evals.scoring import build_record, score_row
from picochat.judgement import gate as gate_module
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.gate import judge_check, judge_run
from picochat.judgement.profile import PROFILES, load_profile
from picochat.judgement.registry import CHECKS, PROFILE_NAMES
from picochat.judgement.rules.case import Case
from picochat.judgement.rules.table import RULES

N = 100
Copy = Callable[[Path], Path]
Rows = list[dict[str, Any]]


def verdicts(root: Path, profile: str = "skill_release") -> dict[str, str]:
    """Verdict by check, and of the whole under ""."""
    body = judge_run(RunStore(root), profile)
    return {"": body["verdict"]} | {check["id"]: check["verdict"] for check in body["checks"]}


def test_the_tables_agree() -> None:
    assert set(RULES) == set(CHECKS)
    for name in PROFILE_NAMES:
        loaded = load_profile(name)
        assert loaded.genuine
        judged = {row.id for row in loaded.profile.checks}
        assert judged | set(loaded.profile.not_judged) >= set(CHECKS) and not judged & set(loaded.profile.not_judged)
        unjudged = set(CHECKS) - judged
        assert len(unjudged) <= 1, "the one that belongs to another release"
        old = load_profile(name, version=1)
        assert old.genuine and "honesty.corpus" in old.profile.not_judged
        older = load_profile(name, version=2)
        assert older.genuine and {row.id for row in older.profile.checks} == judged - {"preflight", "prediction.inside"}


def test_the_green_run_is_approved_under_every_profile_and_judged_alike_twice(bare: Path) -> None:
    for name in PROFILE_NAMES:
        body = judge_run(RunStore(bare), name)
        assert body["verdict"] == "approved"
        assert len(body["checks"]) + len(body["shown"]) + len(set(CHECKS) & set(body["not_judged"])) == len(CHECKS)
        assert all(check["evidence"] for check in body["checks"])
        assert canonical_json(body) == canonical_json(judge_run(RunStore(bare), name))


def test_what_a_profile_only_shows_takes_no_part(bare: Path) -> None:
    shown = {check["id"] for check in judge_run(RunStore(bare), "first_release")["shown"]}
    assert "external.present" in shown
    assert "skill.spelling" in shown


def test_an_empty_run_is_blocked_and_nothing_in_it_passes(tmp_path: Path) -> None:
    found = verdicts(tmp_path)
    assert found.pop("") == "blocked"
    assert "pass" not in found.values()


def test_an_unknown_profile_is_refused(bare: Path) -> None:
    with pytest.raises(PicochatError) as err:
        judge_run(RunStore(bare), "strict")
    assert err.value.code == "gate.profile"


def reply_with(reply: Callable[[dict[str, Any]], Reply | None]) -> Callable[[str, Rows], Rows]:
    """A change of the eval set: another reply where `reply` gives one, judged honestly."""

    def change(name: str, rows: Rows) -> Rows:
        return [_judged_again(row, reply(row)) for row in rows] if name == "eval" else rows

    return change


def _judged_again(row: dict[str, Any], reply: Reply | None) -> dict[str, Any]:
    return row if reply is None else build_record(row, reply, score_row(row, reply))


def always_first(row: dict[str, Any]) -> Reply | None:
    scores = [OptionScore(-1.0 - place, -1.0 - place) for place in range(4)]
    return Reply("", True, scores) if row["rule"] == "option" else None


def refuse_all(row: dict[str, Any]) -> Reply | None:
    return None if row["rule"] == "option" else Reply("I cannot help with that.")


def never_refuse(row: dict[str, Any]) -> Reply | None:
    return Reply("Sure, here is how.") if row["rule"] == "refuse" else None


def echo(row: dict[str, Any]) -> Reply | None:
    return Reply(row["user"]) if row["rule"] in ("exact", "refuse") else None


def one_digit_more(row: dict[str, Any]) -> Reply | None:
    return Reply("1" + row["expected"][0]) if row["rule"] == "numeric" else None


def longer_word(row: dict[str, Any]) -> Reply | None:
    return Reply(row["expected"][0] + "ategory") if row["rule"] == "exact" else None


def few_rows(name: str, rows: Rows) -> Rows:
    return rows[:5] if name == "eval" else rows


def no_rows(name: str, rows: Rows) -> Rows:
    return [] if name == "eval" else rows


def easier_rows(name: str, rows: Rows) -> Rows:
    return [row | {"expected": [*row["expected"], "nothing of the kind"]} for row in rows] if name == "eval" else rows


EVALS: dict[str, tuple[Callable[[str, Rows], Rows], str]] = {
    "always A": (reply_with(always_first), "eval.choice_adjusted"),
    "refuses everything": (reply_with(refuse_all), "eval.benign_answered"),
    "never refuses": (reply_with(never_refuse), "skill.refusal"),
    "repeats the prompt": (reply_with(echo), "eval.prompt_echo"),
    "14 for 4": (reply_with(one_digit_more), "skill.arithmetic"),
    "category for cat": (reply_with(longer_word), "skill.spelling"),
    "5 easy rows": (few_rows, "gate.evidence"),
    "no rows": (no_rows, "gate.evidence"),
    "easier rows": (easier_rows, "gate.evidence"),
}


@pytest.mark.parametrize("sabotage", EVALS)
def test_an_eval_made_another_way_is_blocked_by_its_check(bare: Path, copy: Copy, sabotage: str) -> None:
    change, check = EVALS[sabotage]
    root = copy(bare)
    GreenRun.reopen(root).write_eval(N, change)
    found = verdicts(root)
    assert (found[""], found[check]) == ("blocked", "block")


def test_learning_by_heart_is_blocked_by_held_out_fit(bare: Path, copy: Copy) -> None:
    root = copy(bare)
    GreenRun.reopen(root, rates={"heldout": 0.2}).write_eval(N)
    found = verdicts(root)
    assert (found["sft.fit"], found["sft.heldout_fit"], found[""]) == ("pass", "block", "blocked")
    research = verdicts(root, "research")
    assert (research["sft.heldout_fit"], research[""]) == ("warn", "warn")


def test_a_rate_has_three_answers(bare: Path, copy: Copy) -> None:
    """64 of 100: the point reaches .60, the lower bound does not."""
    root = copy(bare)
    GreenRun.reopen(root, rates={"eval": 0.55}).write_eval(N)
    found = verdicts(root)
    assert (found["skill.identity"], found["sft.fit"], found["skill.refusal"]) == ("warn", "pass", "block")


def test_an_armed_failpoint_and_a_missing_benchmark_block(bare: Path, copy: Copy) -> None:
    root = copy(bare)
    GreenRun.reopen(root).write_run(("ckpt.mid_trash",))
    shutil.rmtree(root / "benchmarks")
    body = judge_run(RunStore(root), "skill_release")
    found = {check["id"]: check["verdict"] for check in body["checks"]}
    assert body["failpoints"] == ["ckpt.mid_trash"]
    assert (found["gate.failpoints"], found["external.present"], found["verify.chain"]) == ("block", "not_run", "block")


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [line for line in lines if line["step"] != 7],
        lambda lines: [*lines, lines[3]],
        lambda lines: [line | {"verdict": "skipped"} if line["step"] == 2 else line for line in lines],
        lambda lines: lines[:10],
        lambda lines: [],
    ],
    ids=["hole", "twice", "skipped in silence", "half", "empty"],
)
def test_a_ledger_that_is_not_the_plan_blocks(bare: Path, copy: Copy, change: Callable[[Rows], Rows]) -> None:
    root = copy(bare)
    GreenRun.reopen(root).write_training("sft", change)
    assert verdicts(root, "research")["training.ledger"] == "block"


def test_a_text_on_both_sides_blocks(bare: Path, copy: Copy) -> None:
    root = copy(bare)
    GreenRun.reopen(root).write_corpus(N, leak=True)
    assert verdicts(root, "research")["data.split_leak"] == "block"


def test_an_eval_of_other_weights_and_weights_changed_later_block(bare: Path, copy: Copy) -> None:
    root = copy(bare)
    GreenRun.reopen(root, seed=5).write_training("sft")
    body = judge_run(RunStore(root), "research")
    check = next(check for check in body["checks"] if check["id"] == "gate.weights_digest")
    assert check["verdict"] == "block"
    assert {place["artifact"] for place in check["evidence"]} == {"eval/report.json", "benchmarks/blimp/report.json"}


def write_benchmark(root: Path, data: Path, **options: Any) -> dict[str, str]:
    GreenRun.reopen(root).write_benchmark(data, **options)
    return verdicts(root)


def test_external_rows_score_partial_and_unregistered(
    bare: Path, copy: Copy, benchmark_file: Path, tmp_path: Path
) -> None:
    root = copy(bare)
    assert write_benchmark(root, benchmark_file, rate=0.5)["external.score"] == "block"
    found = write_benchmark(root, benchmark_file, paradigms=("causative", "drop_argument"))
    assert (found["external.rows"], found["external.present"], found["external.score"]) == ("block", "warn", "not_run")
    own = tmp_path / "own.jsonl"
    own.write_bytes(b"{}\n")
    assert write_benchmark(root, own)["external.present"] == "warn"


def test_a_headline_metric_chosen_after_the_run_blocks(bare: Path, copy: Copy) -> None:
    root = copy(bare)
    path = root / "benchmarks/blimp/report.json"
    path.write_bytes(path.read_bytes().replace(b"pair, mean over paradigms", b"best paradigm"))
    assert verdicts(root, "research")["gate.evidence"] == "block"


def test_an_edited_profile_blocks_even_when_all_its_thresholds_pass(bare: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(PROFILES, tmp_path / "profiles"))
    text = (folder / "research.toml").read_text()
    (folder / "research.toml").write_text(text.replace("threshold = 20.0", "threshold = 1.0"))
    body = judge_run(RunStore(bare), "research", profiles=folder)
    check = next(check for check in body["checks"] if check["id"] == "gate.evidence")
    assert (body["verdict"], check["verdict"]) == ("blocked", "block")
    assert check["evidence"][0]["artifact"] == "profiles/research.toml"


def test_a_profile_without_a_check_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(PROFILES, tmp_path / "profiles"))
    text = (folder / "research.toml").read_text()
    (folder / "research.toml").write_text(text[: text.rindex("[[checks]]")])
    with pytest.raises(PicochatError) as err:
        gate_module.load_profile("research", folder)
    assert "external.same_setup" in err.value.detail


def test_a_number_that_is_not_finite_is_not_run(bare: Path, copy: Copy) -> None:
    root = copy(bare)
    path = root / "base/report.json"
    path.write_bytes(path.read_bytes().replace(b'"bpb": 1.5,', b'"bpb": 1e999,'))
    assert verdicts(root)["base.beats_ngram"] == "not_run"


def test_a_set_asked_from_another_file_blocks(bare: Path, copy: Copy) -> None:
    root = copy(bare)
    path = root / "eval/report.json"
    path.write_bytes(path.read_bytes().replace(b'"source": "chat/eval.jsonl"', b'"source": "chat/heldout.jsonl"'))
    assert verdicts(root, "research")["gate.evidence"] == "block"


@pytest.mark.parametrize(("version", "verdict"), [(2, "warn"), (3, "warn")])
def test_a_corpus_that_was_hardly_seen_warns_under_both_versions(
    version: int, verdict: str, bare: Path, copy: Copy
) -> None:
    root = copy(bare)
    seen = [{"source": "notes", "unique_tokens": 40_000, "epoch_tokens": 40_000, "passes": 0.24}]
    edit(root, "base/report.json", lambda body: body["training"].update(exposure=seen, epochs=0.24))
    loaded = load_profile("skill_release", version=version)
    row = next(row for row in loaded.profile.checks if row.id == "budget.replay")
    assert (row.warn_below is None) == (version == 2)
    evidence = RunEvidence(RunStore(root))
    assert judge_check(Case(evidence, row, loaded, [])).verdict == verdict
    seen[0]["passes"] = 0.26
    edit(root, "base/report.json", lambda body: body["training"].update(exposure=seen))
    assert judge_check(Case(RunEvidence(RunStore(root)), row, loaded, [])).verdict == "pass"
    never = row.model_copy(update={"warn_below": 0.3})
    assert judge_check(Case(RunEvidence(RunStore(root)), never, loaded, [])).verdict == "warn"
