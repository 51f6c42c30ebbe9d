"""The repair queue: what is mended first, by which command, how long it takes, and what goes stale."""

from __future__ import annotations

from typing import Any

from picochat.judgement.registry import CHECKS
from picochat.judgement.repair_queue import build_repairs
from picochat.views.gate.repairs import repair_lines
from picochat.views.runs.rework import Rework

FACTS = Rework(
    run="runs/demo-1",
    next_run="runs/demo-2",
    profile="tiny",
    pack="builtin",
    record={"profile": "tiny", "config": {"seed": 7}, "origins": {"seed": "--set"}},
    config={"base.loop.tokens": 1_000, "sft.loop.tokens": 600, "summary.gate_profile": "research"},
    seconds={"data": 10.0, "tokenizer": 1.0, "base": 20.0, "sft": 30.0, "evaluate": 4.0, "gate": 2.0},
    planned={"base": (1_000, 64), "sft": (600, 64)},
    parameters=100,
    usd_per_hour=None,
)


def result(check: str, verdict: str = "block", artifact: str = "eval/rows.jsonl", **more: Any) -> dict[str, Any]:
    facts = CHECKS[check]
    body = {"id": check, "verdict": verdict, "measured": 0.1, "threshold": 0.5, "unit": facts.unit, "required": True}
    return body | {"why": facts.why, "fix": facts.fix, "evidence": [{"artifact": artifact, "pointer": ""}]} | more


def queue(*checks: dict[str, Any], facts: Rework = FACTS, profile: str = "research") -> dict[str, Any]:
    return build_repairs(checks, facts, profile)


def test_data_before_base_before_sft_before_evaluation_before_benchmarks() -> None:
    found = queue(
        result("external.present", "not_run", "benchmarks"),
        result("gate.evidence"),
        result("skill.spelling"),
        result("base.beats_ngram", artifact="base/report.json"),
        result("honesty.corpus", artifact="honesty.json"),
        result("preflight", "not_run", "preflight.json"),
    )
    rooms = [step["room"] for step in found["steps"]]
    assert rooms == ["data", "preflight", "base", "sft", "evaluate", "benchmark"]


def test_what_one_act_mends_is_one_step() -> None:
    found = queue(result("skill.spelling"), result("sft.fit"), result("skill.choice", "warn"))
    (step,) = found["steps"]
    assert step["checks"] == ["skill.spelling", "sft.fit", "skill.choice"] and step["blocks"]
    assert step["changes"] == {"sft.loop.tokens": 1_200} and found["together"] is None
    assert step["stale"] == ["evaluate", "gate"]
    # The whole run is made again, and its fine-tuning is twice as long.
    assert step["seconds"] == 10 + 1 + 20 + 60 + 4 + 2


def test_enough_tokens_reach_the_ratio_in_whole_steps_and_the_most_is_taken() -> None:
    ratio = result("budget.target_ratio", measured=10.0, threshold=20.0, artifact="base/report.json")
    (step,) = queue(ratio)["steps"]
    tokens = step["changes"]["base.loop.tokens"]
    assert tokens % 64 == 0 and 2_000 <= tokens < 2_064
    command = f"picochat run tiny --out-dir runs/demo-2 --set base.loop.tokens={tokens} --set seed=7"
    assert step["commands"] == [command, "picochat gate runs/demo-2 --profile research"]
    both = queue(ratio, result("external.score", artifact="benchmarks/blimp/report.json"))["steps"]
    assert {step["changes"]["base.loop.tokens"] for step in both} == {tokens, 2_000} or len(both) == 1


def test_several_changes_are_one_new_run_under_the_gate_that_was_asked() -> None:
    found = queue(
        result("skill.spelling"),
        result("base.beats_ngram", artifact="base/report.json"),
        result("preflight", "not_run", "preflight.json"),
        profile="skill_release",
    )
    together = found["together"]
    assert together["changes"] == {"base.loop.tokens": 2_000, "sft.loop.tokens": 1_200}
    first, second, third = together["commands"]
    settings = "--set base.loop.tokens=2000 --set seed=7 --set sft.loop.tokens=1200"
    asked = f"{settings} --set summary.gate_profile=skill_release"
    assert first == f"picochat run tiny --out-dir runs/demo-2 --preflight-only {asked}"
    assert second == f"picochat run tiny --out-dir runs/demo-2 --resume {asked}"
    assert third == "picochat gate runs/demo-2 --profile skill_release"
    assert together["seconds"] == 10 + 1 + 40 + 60 + 4 + 2


def test_a_run_that_is_not_trained_is_made_anew_and_judged_before_it_trains() -> None:
    facts = FACTS._replace(planned={})
    checks = [
        result("honesty.benchmarks", "not_run", "honesty.json"),
        result("sft.exposure", artifact="chat/train.jsonl"),
    ]
    (step,) = build_repairs(checks, facts, "research", before=True)["steps"]
    assert step["room"] == "data" and "--preflight-only" in step["commands"][0] and "--resume" in step["commands"][1]
    (step,) = build_repairs([result("sft.fit", "not_run")], facts, "research")["steps"]
    assert step["room"] == "sft" and step["new_run"]
    (step,) = build_repairs([result("gate.evidence", "not_run")], facts, "research")["steps"]
    assert step["commands"] == ["picochat run tiny --out-dir runs/demo-1 --resume --set seed=7"]


def test_what_passes_is_waived_or_advisory_needs_nothing() -> None:
    checks = [result("sft.fit", "pass"), result("skill.choice", "waived")]
    assert queue(*checks, result("honesty.exposure", "not_run", "memorisation.json", required=False))["steps"] == []


def test_only_a_person_knows_the_text() -> None:
    (step,) = queue(result("honesty.corpus", artifact="honesty.json"))["steps"]
    assert step["edits_pack"] and step["blanks"] == ["PACK"]
    assert step["commands"][0] == "picochat run tiny --pack PACK --out-dir runs/demo-2 --set seed=7"
    (step,) = queue(result("honesty.corpus", artifact="honesty.json"), facts=FACTS._replace(pack="/t/p.toml"))["steps"]
    assert step["blanks"] == [] and "--pack /t/p.toml" in step["commands"][0]


def test_money_and_time_are_unknown_where_nobody_said() -> None:
    rich = FACTS._replace(usd_per_hour=36.0)
    (step,) = queue(result("skill.spelling"), facts=rich)["steps"]
    assert step["usd"] == 36.0 * 97 / 3600
    (step,) = queue(result("skill.spelling"), facts=FACTS._replace(seconds={"base": 1.0}))["steps"]
    assert step["seconds"] is None and step["usd"] is None


def test_words_stand_where_no_command_mends() -> None:
    (step,) = queue(result("prediction.inside", "warn", "prediction.json"))["steps"]
    assert step["commands"] == [] and step["fix"] == [CHECKS["prediction.inside"].fix]
    assert repair_lines({"steps": [step], "together": None}) == [
        "1. base training: prediction.inside",
        f"   {CHECKS['prediction.inside'].fix}",
    ]


def test_lines_for_a_terminal() -> None:
    lines = repair_lines(queue(result("skill.spelling"), result("external.present", "not_run", "benchmarks")))
    assert lines[0] == "1. fine-tuning: skill.spelling (about 1 m 37 s)"
    assert lines[3] == "2. benchmarks: external.present (fill in FOLDER_WITH_BLIMP)"
    assert lines[4] == "   picochat eval benchmark blimp --data FOLDER_WITH_BLIMP --run runs/demo-1"
