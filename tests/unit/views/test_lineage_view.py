"""Lineage: a changed, lost or exchanged file is named, and everything made from it is stale."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import GreenRun, judged_run

from picochat.artifacts import layout
from picochat.artifacts.reports import self_digest
from picochat.artifacts.store import RunStore
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import pretty_json
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.handover import build_handover
from picochat.views.files.lineage import SeenFile, build_lineage, file_edges
from picochat.views.files.lineage_records import link_files, read_records


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged_run(tmp_path_factory.mktemp("runs") / "green")


@pytest.fixture
def run(green: Path, tmp_path: Path) -> Path:
    return shutil.copytree(green, tmp_path / "green")


def look(root: Path, *, hashed: bool = True, blamed: dict[str, str] | None = None) -> dict[str, Any]:
    records = read_records(root)
    seen = {}
    for path in file_edges(records):
        if (root / path).is_file():
            digest = sha256_file(root / path) if hashed else None
            seen[path] = SeenFile(
                (root / path).stat().st_size, "now", sha256=digest, checked_at="now" if hashed else None
            )
    return build_lineage(records, seen, blamed)


def files(found: dict[str, Any]) -> dict[str, Any]:
    return {file["path"]: file for file in found["files"]}


def stale(found: dict[str, Any]) -> set[str]:
    return {record["label"] for record in found["records"] if record["stale"]}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_whole_run_is_verified_and_nothing_is_stale(green: Path):
    found = look(green)
    assert found["totals"]["verified"] == found["totals"]["files"] > 30 and found["totals"]["stale"] == 0
    assert not stale(found) and not any(link["broken"] for link in found["links"])
    corpus = files(found)["corpus.txt"]
    assert corpus["written_by"] == "dataset" and {"tokenizer", "base", "memorisation"} <= set(corpus["read_by"])
    assert files(found)["run.json"]["written_by"] == "the runner"


def test_what_was_not_hashed_is_unverified_never_verified(green: Path):
    totals = look(green, hashed=False)["totals"]
    assert totals["unverified"] > 20 and totals["mismatch"] == 0
    # Reports carry a digest of themselves, so reading one is a proof.
    assert totals["verified"] == len(read_records(green))


@pytest.mark.parametrize(
    ("path", "downstream"),
    [
        ("corpus.txt", {"tokenizer", "base", "sft", "eval", "honesty", "memorisation", "gate", "summary"}),
        ("sft/checkpoint/model.safetensors", {"eval", "memorisation", "gate", "summary"}),
        ("base/ledger.jsonl", {"gate", "summary"}),
    ],
)
def test_a_flipped_byte_names_the_file_and_makes_all_downstream_stale(run: Path, path: str, downstream: set[str]):
    flip(run / path)
    found = look(run)
    assert files(found)[path]["state"] == "mismatch" and "recorded" in files(found)[path]["why"]
    assert stale(found) == downstream
    assert found["totals"]["mismatch"] == 1
    written = [file for file in found["files"] if file["written_by"] in downstream and file["state"] == "verified"]
    assert written and all(file["stale"] and file["stale_because"] == path for file in written)
    assert all(record["stale_because"] == path for record in found["records"] if record["stale"])
    assert not files(found)["run.json"]["stale"]
    assert sum(record["broken_files"] for record in found["records"]) == 1


def test_a_changed_size_is_seen_without_hashing(run: Path):
    with open(run / "corpus.txt", "ab") as stream:
        stream.write(b"more")
    found = files(look(run, hashed=False))
    assert found["corpus.txt"]["state"] == "mismatch" and "bytes" in found["corpus.txt"]["why"]
    assert found["tokenizer.json"]["stale"]


def test_a_lost_file_is_missing_and_what_read_it_is_stale(run: Path):
    (run / "tokenizer.json").unlink()
    found = look(run)
    assert files(found)["tokenizer.json"]["state"] == "missing" and files(found)["tokenizer.json"]["bytes"] > 0
    assert {"base", "sft", "gate"} <= stale(found) and "tokenizer" not in stale(found)


def test_a_stage_that_ran_again_leaves_the_later_ones_stale_and_is_itself_whole(run: Path):
    GreenRun.reopen(run, seed=9).write_training("base")
    found = look(run)
    assert files(found)["base/checkpoint/model.safetensors"]["state"] == "verified"
    assert stale(found) == {"sft", "eval", "memorisation", "gate", "summary"}
    assert next(
        link for link in found["links"] if link["to"] == "sft/report.json" and link["from"] == "base/report.json"
    )["broken"]


def test_run_json_of_another_run_makes_everything_stale(run: Path):
    flip(run / "run.json")
    found = look(run)
    assert files(found)["run.json"]["state"] == "mismatch"
    assert stale(found) == {record["label"] for record in found["records"]}


def test_an_edited_report_is_a_mismatch_and_a_torn_one_says_why(run: Path):
    path = run / "eval/report.json"
    path.write_text(path.read_text().replace('"greedy": true', '"greedy": false'))
    (run / "sft/report.json").write_bytes(b'{"schema": ')
    found = look(run)
    assert "self_digest" in files(found)["eval/report.json"]["why"]
    assert files(found)["sft/report.json"]["state"] == "mismatch"
    record = next(record for record in found["records"] if record["path"] == "sft/report.json")
    assert "not strict JSON" in record["problem"] and record["reads"] == []


def test_what_verify_blames_is_a_mismatch_and_spreads(run: Path):
    found = look(run, blamed={"eval/rows.jsonl": "rates differ"})
    assert (files(found)["eval/rows.jsonl"]["state"], files(found)["eval/rows.jsonl"]["why"]) == (
        "mismatch",
        "rates differ",
    )
    assert "gate" in stale(found)


def test_links_pipes_and_names_that_lead_out_are_states(run: Path, tmp_path: Path):
    (run / "corpus.txt").unlink()
    (run / "corpus.txt").symlink_to("/etc/hostname")
    document = json.loads((run / "honesty.json").read_bytes())
    document["manifest"]["outputs"].append(
        {"kind": "hits", "path": "../../secret", "bytes": 1, "sha256": "0" * 64, "external": False}
    )
    document["self_digest"] = self_digest(document)
    (run / "honesty.json").write_bytes(pretty_json(document))
    found = build_lineage(read_records(run), {"corpus.txt": SeenFile(9, "now", regular=False)})
    assert files(found)["corpus.txt"]["why"] == "is not a regular file"
    assert files(found)["../../secret"]["state"] == "missing"


def test_records_that_read_each_other_end(run: Path):
    for name, other in (("base", "sft"), ("sft", "base")):
        path = run / f"{name}/report.json"
        document = json.loads(path.read_bytes())
        inputs = document["manifest"]["inputs"]
        inputs.append({"kind": "x", "path": f"{other}/report.json", "bytes": 1, "sha256": "0" * 64, "external": False})
        document["self_digest"] = self_digest(document)
        path.write_bytes(pretty_json(document))
    assert {"base", "sft"} <= stale(look(run))


def test_a_file_from_outside_is_not_looked_at(run: Path):
    document = json.loads((run / "corpus_manifest.json").read_bytes())
    refs = [{"kind": "pack", "path": "/etc/hostname", "bytes": 1, "sha256": "0" * 64, "external": True}]
    document["manifest"]["inputs"] = refs
    document["self_digest"] = self_digest(document)
    (run / "corpus_manifest.json").write_bytes(pretty_json(document))
    found = look(run)
    assert files(found)["/etc/hostname"]["state"] == "external" and "dataset" not in stale(found)


def test_an_empty_folder_has_no_records(tmp_path: Path):
    assert read_records(tmp_path) == [] and look(tmp_path)["records"] == []


def test_report_and_page_link_the_same_files(green: Path):
    shown = build_handover(RunEvidence(RunStore(green)))["lineage"]
    records = [(record.path, record.sha256, record.manifest) for record in read_records(green)]
    mine = {entry["path"]: entry for entry in link_files(records)}
    for entry in shown:
        assert mine[entry["path"]]["sha256"] == entry["sha256"]
        assert mine[entry["path"]]["written_by"] == entry["written_by"]
    assert layout.CORPUS in mine
