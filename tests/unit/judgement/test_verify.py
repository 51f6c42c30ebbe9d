"""Every file of a judged run is changed, removed or exchanged once; verify must name it each time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import judge

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.reports import self_digest
from picochat.artifacts.store import RunStore
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import iter_jsonl, jsonl_bytes, pretty_json
from picochat.judgement import verify
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.handover import build_handover
from picochat.judgement.summary import iter_files
from picochat.judgement.verify import verify_run
from picochat.views.pages import render_pages

FILES = (
    "honesty.json", "honesty_hits.jsonl", "memorisation.json", "memorisation_rows.jsonl",
    "run.json", "corpus.txt", "corpus_documents.bin", "corpus_dropped.jsonl", "corpus_manifest.json", "tokenizer.json",
    "tokenizer_report.json", "chat/train.jsonl", "chat/heldout.jsonl", "chat/eval.jsonl",
    "base/checkpoint/MANIFEST.json", "base/checkpoint/model.json", "base/checkpoint/model.safetensors",
    "base/checkpoint/train_state.json", "base/ledger.jsonl", "base/samples.jsonl", "base/report.json", "base/report.md",
    "sft/checkpoint/MANIFEST.json", "sft/checkpoint/model.json", "sft/checkpoint/model.safetensors",
    "sft/checkpoint/train_state.json", "sft/ledger.jsonl", "sft/samples.jsonl", "sft/report.json", "sft/report.md",
    "eval/rows.jsonl", "eval/fit_rows.jsonl", "eval/heldout_rows.jsonl", "eval/report.json",
    "benchmarks/blimp/rows.jsonl", "benchmarks/blimp/report.json", "gate.json", "summary.json", "summary.md",
    "report.html", "model_card.md", "preflight.json", "preflight.md",
)  # fmt: skip
SAME = {
    "preflight.md", "honesty_hits.jsonl", "corpus_dropped.jsonl",
    "chat/train.jsonl", "chat/heldout.jsonl", "chat/eval.jsonl",
    "eval/fit_rows.jsonl", "eval/heldout_rows.jsonl", "benchmarks/blimp/rows.jsonl",
    "base/ledger.jsonl", "sft/ledger.jsonl",
    *(f"{stage}/checkpoint/{name}" for stage in ("base", "sft") for name in ("model.json", "train_state.json")),
}  # fmt: skip
"""Files that two runs of the scripted model have in common."""
Copy = Callable[[Path], Path]


def blocks(root: Path) -> list[CheckResult]:
    return [result for result in verify_run(RunStore(root)) if result.verdict == "block"]


def named(results: list[CheckResult]) -> set[str]:
    return {place.artifact for result in results for place in result.evidence}


def edit_json(root: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads((root / name).read_bytes())
    change(document)
    (root / name).write_bytes(pretty_json(document))


def test_a_whole_run_passes_and_every_file_is_in_the_list(judged: Path) -> None:
    assert tuple(sorted(FILES)) == tuple(sorted(iter_files(judged)))
    (result,) = verify_run(RunStore(judged))
    assert (result.id, result.verdict, result.n) == ("verify.chain", "pass", len(FILES) - 1)


def test_a_copy_elsewhere_verifies_the_same(judged: Path, copy: Copy) -> None:
    assert verify_run(RunStore(copy(judged))) == verify_run(RunStore(judged))


def test_an_unjudged_run_has_nothing_broken_and_says_what_is_missing(bare: Path) -> None:
    verdicts = {result.id: result.verdict for result in verify_run(RunStore(bare))}
    assert verdicts == {"verify.chain": "pass", "verify.gate": "not_run", "verify.summary": "not_run"}


def test_an_empty_folder_never_passes(tmp_path: Path) -> None:
    assert all(result.verdict != "pass" for result in verify_run(RunStore(tmp_path)))


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_is_found(judged: Path, copy: Copy, name: str) -> None:
    root = copy(judged)
    data = bytearray((root / name).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 1] = bytes([(data[len(data) // 2] if data else 0) ^ 1])
    (root / name).write_bytes(data)
    assert name in named(blocks(root))


@pytest.mark.parametrize("name", FILES)
def test_a_removed_file_is_found(judged: Path, copy: Copy, name: str) -> None:
    root = copy(judged)
    (root / name).unlink()
    assert name in named(blocks(root))


@pytest.mark.parametrize("name", [name for name in FILES if name not in SAME])
def test_a_file_of_another_run_is_found(judged: Path, other: Path, copy: Copy, name: str) -> None:
    root = copy(judged)
    shutil.copyfile(other / name, root / name)
    assert name in named(blocks(root))


@pytest.mark.parametrize(
    "name", ["run.json", "gate.json", "summary.json", "eval/report.json", "sft/checkpoint/MANIFEST.json"]
)
@pytest.mark.parametrize("where", [0, -1, "append"])
def test_first_and_last_byte_and_one_more(judged: Path, copy: Copy, name: str, where: int | str) -> None:
    root = copy(judged)
    data = bytearray((root / name).read_bytes())
    if isinstance(where, int):
        data[where] ^= 1
    else:
        data += b"\n"
    (root / name).write_bytes(data)
    assert name in named(blocks(root))


def raise_rate(report: dict[str, Any]) -> None:
    report["sets"]["eval"]["summary"]["categories"]["choice"]["rate"] = 0.99


EDITS: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "rate": ("eval/report.json", raise_rate),
    "weights": ("eval/report.json", lambda d: d.update(weights_digest="0" * 64)),
    "headline": ("benchmarks/blimp/report.json", lambda d: d["headline"].update(point=0.99)),
    "group": ("benchmarks/blimp/report.json", lambda d: d["groups"]["causative"].update(k=10, rate=1.0)),
    "bpb": ("base/report.json", lambda d: d["validation"].update(bpb=1.0)),
    "baselines": ("base/report.json", lambda d: d["baselines"]["trigram"].update(bpb=3.0)),
    "run_digest": ("sft/report.json", lambda d: d["manifest"].update(run_digest="0" * 64)),
    "input dropped": ("eval/report.json", lambda d: d["manifest"].update(inputs=[])),
    "output dropped": ("sft/report.json", lambda d: d["manifest"].update(outputs=[])),
    "unknown key": ("tokenizer_report.json", lambda d: d["manifest"].update(note="x")),
    "schema": ("corpus_manifest.json", lambda d: d["schema"].update(version=2)),
    "verdict": ("gate.json", lambda d: d.update(verdict="approved")),
    "check removed": ("gate.json", lambda d: d["checks"].pop()),
    "check verdict": ("gate.json", lambda d: d["checks"][3].update(verdict="warn")),
    "threshold": ("gate.json", lambda d: d["checks"][9].update(threshold=0.01)),
    "profile": ("gate.json", lambda d: d.update(profile="no_such")),
    "profile_digest": ("gate.json", lambda d: d.update(profile_digest="0" * 64)),
    "not judged": ("gate.json", lambda d: d["not_judged"].pop()),
    "summary facts": ("summary.json", lambda d: d["facts"].update(parameters=1)),
    "summary list": ("summary.json", lambda d: d["artifacts"].pop(0)),
    "failpoints": ("run.json", lambda d: d.update(failpoints=["ckpt.mid_trash"])),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_number_edited_in_good_form_is_found(judged: Path, copy: Copy, edit: str) -> None:
    name, change = EDITS[edit]
    root = copy(judged)
    edit_json(root, name, change)
    assert name in named(blocks(root))


def resign_summary(root: Path, change: Callable[[dict[str, Any]], Any] = lambda d: None) -> None:
    """What a forger with the source code does: correct list, digest and Markdown around a false number."""
    document = json.loads((root / layout.SUMMARY).read_bytes())
    change(document)
    for name, text in render_pages(document, build_handover(RunEvidence(RunStore(root)))).items():
        (root / name).write_text(text)
    for entry in document["artifacts"]:
        path = root / entry["path"]
        entry.update(bytes=path.stat().st_size, sha256=sha256_file(path))
    for ref in document["manifest"]["inputs"] + document["manifest"]["outputs"]:
        ref.update(bytes=(root / ref["path"]).stat().st_size, sha256=sha256_file(root / ref["path"]))
    document["self_digest"] = self_digest(document)
    (root / layout.SUMMARY).write_bytes(pretty_json(document))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("summary.json", lambda d: d["facts"]["base"].update(bpb=1.0)),
        ("summary.json", lambda d: d["facts"]["rates"]["choice"]["eval"].update(rate=1.0)),
        ("summary.json", lambda d: d.update(weights_digest="0" * 64)),
        ("summary.json", lambda d: d["checks"].pop()),
    ],
)
def test_a_summary_signed_again_around_a_false_number_is_found(
    judged: Path, copy: Copy, name: str, change: Callable[[dict], Any]
) -> None:
    root = copy(judged)
    resign_summary(root, change)
    assert name in named(blocks(root))


@pytest.mark.parametrize("edit", ["verdict", "check removed", "threshold", "not judged"])
def test_a_gate_under_a_summary_signed_again_is_found(judged: Path, copy: Copy, edit: str) -> None:
    root = copy(judged)
    edit_json(root, layout.GATE, EDITS[edit][1])
    resign_summary(root)
    assert layout.GATE in named(blocks(root))


def test_a_verdict_that_does_not_follow_from_its_reply_is_found_in_a_chain_signed_again(
    judged: Path, copy: Copy
) -> None:
    root = copy(judged)
    rows_name = "eval/rows.jsonl"
    rows = list(iter_jsonl(root / rows_name))
    wrong = next(row for row in rows if row["verdict"] == "fail")
    wrong["verdict"], wrong["reason"] = "pass", "ok"
    (root / rows_name).write_bytes(jsonl_bytes(rows))

    def change(document: dict[str, Any]) -> None:
        for ref in document["manifest"]["outputs"]:
            if ref["path"] == rows_name:
                ref.update(bytes=(root / rows_name).stat().st_size, sha256=sha256_file(root / rows_name))
        document["self_digest"] = self_digest(document)

    edit_json(root, "eval/report.json", change)
    found = [result for result in blocks(root) if result.id == "verify.rates"]
    assert {rows_name, "eval/report.json"} <= named(found)


def test_an_unlisted_file_warns_and_a_live_one_does_not(judged: Path, copy: Copy) -> None:
    root = copy(judged)
    (root / "notes.txt").write_text("x")
    (root / layout.STATUS).write_text("{}")
    (root / layout.LOGS).mkdir()
    (root / "logs/rank0.log").write_text("x")
    found = [result for result in verify_run(RunStore(root)) if result.verdict != "pass"]
    assert [(result.id, result.verdict, result.evidence[0].artifact) for result in found] == [
        ("verify.unlisted", "warn", "notes.txt")
    ]


def test_an_extra_file_in_a_checkpoint_blocks(judged: Path, copy: Copy) -> None:
    root = copy(judged)
    (root / "sft/checkpoint/extra.bin").write_bytes(b"x")
    assert "sft/checkpoint/extra.bin" in named(blocks(root))


def test_an_external_input_is_named_when_absent_and_blocks_when_changed(
    judged: Path, copy: Copy, benchmark_file: Path
) -> None:
    root, data = copy(judged), benchmark_file.read_bytes()
    try:
        benchmark_file.unlink()
        results = {result.id: result for result in verify_run(RunStore(root))}
        assert results["verify.chain"].verdict == "pass"
        assert (results["verify.external"].verdict, results["verify.external"].measured) == ("not_run", "external")
        benchmark_file.write_bytes(data + b"\n")
        assert str(benchmark_file) in named(blocks(root))
    finally:
        benchmark_file.write_bytes(data)


def test_judging_again_keeps_the_older_records_and_still_verifies(judged: Path, copy: Copy) -> None:
    root = copy(judged)
    before = {name: (root / name).read_bytes() for name in ("gate.json", "summary.json", "summary.md")}
    judge(root, "research")
    for name, data in before.items():
        assert (root / name).with_name(name.replace(".", ".001.")).read_bytes() == data
    assert not blocks(root)
    (root / "gate.001.json").write_bytes(before["gate.json"] + b" ")
    assert "gate.001.json" in named(blocks(root))


def test_evidence_edited_after_a_summary_blocks_the_next_gate(judged: Path, copy: Copy) -> None:
    """The number stands in one place only, so nothing but the older summary can know."""
    root = copy(judged)
    edit_json(root, "benchmarks/blimp/report.json", lambda d: d.update(registered=False))
    gate = judge(root, "research")
    chain = next(check for check in gate["checks"] if check["id"] == "verify.chain")
    assert (gate["verdict"], chain["verdict"]) == ("blocked", "block")
    assert chain["evidence"][0]["artifact"] == "benchmarks/blimp/report.json"
    assert "benchmarks/blimp/report.json" in named(blocks(root))


def test_a_profile_edited_after_the_verdict_is_found(judged: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(verify.PROFILES, tmp_path / "profiles"))
    text = (folder / "skill_release.toml").read_text()
    (folder / "skill_release.toml").write_text(text.replace("threshold = 0.75", "threshold = 0.05"))
    found = [result for result in verify_run(RunStore(judged), profiles=folder) if result.verdict == "block"]
    pointers = {result.evidence[0].pointer for result in found if result.evidence[0].artifact == layout.GATE}
    assert {"/profile_digest", "/checks"} <= pointers
