"""Every check of preflight: one set of facts that passes it, one that does not, and one that cannot say."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from picochat.artifacts import layout
from picochat.artifacts.reports import self_digest
from picochat.artifacts.store import RunStore
from picochat.core.jsonio import pretty_json
from picochat.judgement.preflight.facts import (
    ChatFacts,
    LaunchFacts,
    MachineFacts,
    PreflightFacts,
    RecipeFacts,
    TokenFacts,
)
from picochat.judgement.preflight.judge import judge_preflight
from picochat.judgement.preflight.registry import PREFLIGHT_CHECKS

SKILLS = ("identity", "refusal", "choice", "arithmetic", "spelling")
GIB = 2**30
Edit = Callable[[Path], None]


def facts() -> PreflightFacts:
    """A sound plan on a sound machine that is rented."""
    return PreflightFacts(
        recipe=RecipeFacts(
            parameters=1_000_000,
            target_tokens=20e6,
            planned_tokens=22_000_000,
            steps=100,
            lr=1e-3,
            rule_lr=1e-3,
            step_tokens=4096,
            rule_step_tokens=4096,
            sft_lr=1e-4,
            long=True,
            data_mode="memory",
        ),
        tokens=TokenFacts(10e6, (9e6, 11e6), layout.CORPUS, 400),
        machine=MachineFacts(
            name="this machine",
            seen=True,
            ranks=8,
            profile_ranks=8,
            precision="bf16",
            precision_fault="",
            attention_fault="",
            needed_memory_bytes=40 * GIB,
            memory_bytes=80 * GIB,
            needed_disk_bytes=10 * GIB,
            free_disk_bytes=100 * GIB,
        ),
        chat=ChatFacts(
            rows=1_000,
            categories=dict.fromkeys(SKILLS, 200),
            mean_answer_words={"own": 9.0},
            duplicate_prompts_frac=0.0,
            tokenised_rows=1_000,
            too_long_frac=0.0,
            epochs=3.0,
            eval_rows=1_000,
            eval_unanswerable=5,
            eval_by_category=dict.fromkeys(SKILLS, 200),
        ),
        launch=LaunchFacts(estimate_usd=100.0, cap_usd=200.0, prediction="present", tokenises=False),
    )


def part(name: str, **changes: Any) -> PreflightFacts:
    """The sound facts with one part changed."""
    found = facts()
    return dataclasses.replace(found, **{name: dataclasses.replace(getattr(found, name), **changes)})


@pytest.fixture
def root(bare: Path, tmp_path: Path) -> Path:
    """A run with data and every count that preflight reads."""
    path = Path(shutil.copytree(bare, tmp_path / "run"))
    rewrite(path, layout.CORPUS_MANIFEST, lambda body: body["counts"].update(chars=2_000_000, documents=500))
    rewrite(path, layout.TOKENIZER_REPORT, lambda body: body.update(vocab_size=4096, bytes_per_token=3.0))
    rewrite(
        path,
        layout.HONESTY,
        lambda body: body["contamination"]["sets"].setdefault("benchmarks/made", {"items": 100, "dirty": 0}),
    )
    return path


def rewrite(root: Path, name: str, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Changes a report and signs it again, as whoever writes one does."""
    body = json.loads((root / name).read_text())
    edit(body)
    if "self_digest" in body:
        body["self_digest"] = self_digest(body)
    (root / name).write_bytes(pretty_json(body))


def verdicts(root: Path, found: PreflightFacts, profile: str = "skill_release") -> dict[str, dict[str, Any]]:
    body = judge_preflight(RunStore(root), found, profile, {})
    return {check["id"]: check for check in body["checks"]}


def counts(**changes: Any) -> Edit:
    return lambda root: rewrite(root, layout.CORPUS_MANIFEST, lambda body: body["counts"].update(changes))


def corpus(edit: Callable[[dict[str, Any]], Any]) -> Edit:
    return lambda root: rewrite(root, layout.CORPUS_MANIFEST, edit)


def tokenizer(**changes: Any) -> Edit:
    return lambda root: rewrite(root, layout.TOKENIZER_REPORT, lambda body: body.update(changes))


def honesty(edit: Callable[[dict[str, Any]], Any]) -> Edit:
    return lambda root: rewrite(root, layout.HONESTY, lambda body: edit(body["contamination"]))


def dirty(name: str, against: str) -> Edit:
    def edit(body: dict[str, Any]) -> None:
        row = next(row for row in body["matrix"] if row["set"] == name and row["against"] == against)
        row["dirty"] = 3

    return honesty(edit)


def removed(reason: str, count: int) -> Edit:
    def edit(body: dict[str, Any]) -> None:
        body["dropped"]["by_reason"][reason] = count
        body["sources"][0]["read"] = 1000

    return corpus(edit)


def audit(near: int) -> Edit:
    return corpus(lambda body: body["checks"].update(audit_near=near, audited=100, exact_left=0))


def delete(name: str) -> Edit:
    return lambda root: (root / name).unlink()


def overlap(root: Path) -> None:
    """A question that is also trained on, word for word."""
    rows = (root / layout.CHAT_EVAL).read_text().splitlines()
    asked = json.loads(rows[0])
    row = {"category": asked["category"], "user": asked["user"], "assistant": "so"}
    with (root / layout.CHAT_TRAIN).open("a") as stream:
        stream.write(json.dumps(row) + "\n")


def leak(root: Path) -> None:
    """Makes the records name another text than the one that stands in the corpus."""
    data = bytearray((root / layout.CORPUS).read_bytes())
    data[0] ^= 1
    (root / layout.CORPUS).write_bytes(bytes(data))


BAD_MACHINE: dict[str, tuple[str, PreflightFacts, PreflightFacts]] = {
    "budget.target_ratio": ("block", part("recipe", planned_tokens=5_000_000), part("recipe", parameters=0)),
    "budget.planned": ("block", part("recipe", planned_tokens=90_000_000), part("recipe", target_tokens=0.0)),
    "budget.replay": ("block", part("tokens", unique=0.5e6), part("tokens", unique=None)),
    "optim.lr": ("block", part("recipe", lr=0.02), part("recipe", rule_lr=0.0)),
    "batch.tokens": ("warn", part("recipe", step_tokens=256), part("recipe", rule_step_tokens=0)),
    "sft.rows": ("block", part("chat", rows=100), dataclasses.replace(facts(), chat=None)),
    "sft.categories": ("warn", part("chat", categories={"own": 3}), dataclasses.replace(facts(), chat=None)),
    "sft.skills": ("block", part("chat", categories={"own": 3}), dataclasses.replace(facts(), chat=None)),
    "sft.answer_words": ("warn", part("chat", mean_answer_words={"own": 2.0}), part("chat", mean_answer_words={})),
    "sft.duplicate_prompts": (
        "block",
        part("chat", duplicate_prompts_frac=0.4),
        dataclasses.replace(facts(), chat=None),
    ),
    "sft.too_long": ("block", part("chat", too_long_frac=0.2), part("chat", too_long_frac=None)),
    "sft.exposure": ("block", part("chat", epochs=90.0), part("chat", epochs=None)),
    "sft.lr": ("warn", part("recipe", sft_lr=2e-3), part("recipe", lr=0.0)),
    "eval.rows": ("block", part("chat", eval_rows=20), dataclasses.replace(facts(), chat=None)),
    "eval.rules": ("block", part("chat", eval_without_rule=1), dataclasses.replace(facts(), chat=None)),
    "eval.unanswerable": ("warn", part("chat", eval_unanswerable=1), dataclasses.replace(facts(), chat=None)),
    "eval.skills": ("block", part("chat", eval_by_category={"identity": 200}), part("chat", eval_rows=0)),
    "device.kind": ("block", part("machine", device_fault="no GPU"), part("machine", device_fault=None)),
    "device.precision": ("block", part("machine", precision_fault="none"), part("machine", precision_fault=None)),
    "device.attention": ("block", part("machine", attention_fault="none"), part("machine", attention_fault=None)),
    "world.size": ("block", part("machine", ranks=4), part("machine", profile_ranks=None)),
    "memory.fits": ("block", part("machine", needed_memory_bytes=81 * GIB), part("machine", memory_bytes=None)),
    "disk.fits": ("warn", part("machine", needed_disk_bytes=95 * GIB), part("machine", free_disk_bytes=None)),
    "cost.cap": ("block", part("launch", estimate_usd=201.0), part("launch", cap_usd=None)),
    "prediction.present": ("block", part("launch", prediction="absent"), part("launch", prediction=None)),
    "launch.tokenises_on_gpu": ("block", part("launch", tokenises=True), part("launch", tokenises=None)),
}
"""Check -> verdict of the bad facts, the bad facts, and facts that cannot say."""

BAD_DATA: dict[str, tuple[str, Edit, Edit]] = {
    "data.documents": ("block", counts(documents=20), corpus(lambda body: body["counts"].pop("documents"))),
    "data.chars": ("warn", counts(chars=5_000), corpus(lambda body: body["counts"].pop("chars"))),
    "data.granularity": (
        "block",
        corpus(lambda body: body["sources"][0].update(read=7_777)),
        corpus(lambda body: body.update(sources=[])),
    ),
    "data.split_leak": ("block", leak, delete(layout.CORPUS)),
    "data.exact_left": (
        "block",
        corpus(lambda body: body["checks"].update(exact_left=2)),
        corpus(lambda body: body["checks"].pop("exact_left", None)),
    ),
    "skills.disjoint": ("block", overlap, delete(layout.CHAT_TRAIN)),
    "data.near_left": ("block", audit(5), corpus(lambda body: body["checks"].update(audited=0))),
    "data.removed.exact": (
        "warn",
        removed("exact_duplicate", 100),
        corpus(lambda body: body.update(sources=[])),
    ),
    "data.removed.near": ("warn", removed("near_duplicate", 100), corpus(lambda body: body.update(sources=[]))),
    "data.removed.lines": ("block", removed("repeated_lines", 400), corpus(lambda body: body.update(sources=[]))),
    "data.guessed": (
        "block",
        corpus(lambda body: body["sources"][0].update(documents_are="guessed")),
        corpus(lambda body: body.update(sources=[])),
    ),
    "data.licence": (
        "block",
        corpus(lambda body: body["sources"][0].update(licence="unknown")),
        corpus(lambda body: body.update(sources=[])),
    ),
    "data.revision": (
        "block",
        corpus(lambda body: body["sources"][0].update(revision="unknown")),
        corpus(lambda body: body.update(sources=[])),
    ),
    "tokenizer.vocab": ("block", tokenizer(vocab_size=300), delete(layout.TOKENIZER_REPORT)),
    "tokenizer.bytes_per_token": ("warn", tokenizer(bytes_per_token=1.2), delete(layout.TOKENIZER_REPORT)),
    "honesty.corpus": ("block", dirty("eval", "corpus"), delete(layout.HONESTY)),
    "honesty.sft": ("block", dirty("eval", "sft"), delete(layout.HONESTY)),
    "honesty.heldout": ("block", dirty("heldout", "sft"), delete(layout.HONESTY)),
    "honesty.benchmarks": (
        "block",
        honesty(lambda body: body["sets"]["benchmarks/made"].update(dirty=50)),
        delete(layout.HONESTY),
    ),
}


@pytest.mark.parametrize("check", sorted(set(BAD_DATA) - {"data.near_left"} | set(BAD_MACHINE)))
def test_a_sound_plan_passes(root: Path, check: str):
    assert verdicts(root, facts())[check]["verdict"] == "pass"


def test_a_sound_audit_passes(root: Path):
    audit(0)(root)
    assert verdicts(root, facts())["data.near_left"]["verdict"] == "pass"


@pytest.mark.parametrize("check", sorted(BAD_DATA))
def test_faulty_data_is_found(root: Path, check: str):
    verdict, edit, _ = BAD_DATA[check]
    edit(root)
    found = verdicts(root, facts())[check]
    assert found["verdict"] == verdict and found["measured"] is not None and found["fix"]


@pytest.mark.parametrize("check", sorted(BAD_DATA))
def test_data_that_is_not_there_was_not_run(root: Path, check: str):
    BAD_DATA[check][2](root)
    found = verdicts(root, facts())[check]
    assert found["verdict"] == "not_run" and found["measured"] is None


@pytest.mark.parametrize("check", sorted(BAD_MACHINE))
def test_a_faulty_plan_is_found(root: Path, check: str):
    verdict, bad, _ = BAD_MACHINE[check]
    found = verdicts(root, bad)[check]
    assert found["verdict"] == verdict and found["fix"]


@pytest.mark.parametrize("check", sorted(BAD_MACHINE))
def test_a_fact_that_nobody_knows_was_not_run(root: Path, check: str):
    assert verdicts(root, BAD_MACHINE[check][2])[check]["verdict"] == "not_run"


def test_every_check_is_in_one_of_the_tables():
    assert set(BAD_DATA) | set(BAD_MACHINE) | {"data.boundaries"} == set(PREFLIGHT_CHECKS)


def test_a_recorded_refusal_meets_the_prediction(root: Path):
    assert verdicts(root, part("launch", prediction="refused"))["prediction.present"]["verdict"] == "pass"


@pytest.mark.parametrize(("marked", "verdict"), [(True, "pass"), (None, "block")])
def test_packed_shards_need_their_boundaries(root: Path, marked: bool | None, verdict: str):
    body = {
        "dtype": "uint16",
        "layout": "rows",
        "row_tokens": 8,
        "packing": "no_crop",
        "boundary_tokens": marked,
        "bos_id": 1,
        "eos_id": 2,
        "pad_id": 3,
        "vocab_size": 300,
        "tokenizer_sha256": "",
        "corpus_sha256": "",
        "documents_sha256": "",
        "train": [],
        "val": [],
        "exposure": [],
    }
    source = json.loads((root / layout.TOKENIZER_REPORT).read_text())
    report = {"schema": {"name": "shards_manifest", "version": 1}, "manifest": source["manifest"], **body}
    (root / layout.SHARDS_MANIFEST).parent.mkdir(exist_ok=True)
    (root / layout.SHARDS_MANIFEST).write_bytes(pretty_json(report))
    assert verdicts(root, part("recipe", data_mode="packed"))["data.boundaries"]["verdict"] == verdict


def test_packed_shards_that_are_not_there_were_not_judged(root: Path):
    assert verdicts(root, part("recipe", data_mode="packed"))["data.boundaries"]["verdict"] == "not_run"


def test_research_warns_where_a_release_blocks(root: Path):
    found = dataclasses.replace(part("recipe", planned_tokens=5_000_000), launch=None)
    assert verdicts(root, found, "research")["budget.target_ratio"]["verdict"] == "warn"
    assert verdicts(root, found, "first_release")["budget.target_ratio"]["verdict"] == "block"


def test_a_rented_machine_gets_the_limits_of_a_release(root: Path):
    body = judge_preflight(RunStore(root), part("recipe", planned_tokens=5_000_000), "research", {})
    assert body["column"] == "release" and body["verdict"] == "blocked"


def test_without_a_rented_machine_money_is_not_asked_for(root: Path):
    body = judge_preflight(RunStore(root), dataclasses.replace(facts(), launch=None), "research", {})
    asked = {check["id"] for check in body["checks"]}
    assert "cost.cap" in body["not_asked"] and "cost.cap" not in asked


def test_a_short_run_may_have_a_small_vocabulary(root: Path):
    tokenizer(vocab_size=300)(root)
    found = verdicts(root, part("recipe", long=False))
    assert found["tokenizer.vocab"]["verdict"] == "warn"


def test_what_was_not_run_blocks_where_it_could_have(tmp_path: Path):
    body = judge_preflight(RunStore(tmp_path / "none"), facts(), "research", {})
    assert body["verdict"] == "blocked"
    found = {check["id"]: check for check in body["checks"]}
    assert found["data.chars"]["required"] and "--preflight-only" in found["data.chars"]["fix"]


def test_an_estimate_carries_its_interval(root: Path):
    replay = verdicts(root, facts())["budget.replay"]
    assert replay["interval"] == [22 / 11, 22 / 9] and replay["n"] == 400


def test_the_verdict_names_what_it_was_judged_on(root: Path):
    found = verdicts(root, facts())["data.documents"]
    assert found["inputs"] and found["evidence"][0]["artifact"] == layout.CORPUS_MANIFEST
