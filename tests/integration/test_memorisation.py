"""Canaries and the evidence of memorisation in every data mode: as often as stated, in no statistics, not forged."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.tiny_run import build_run, picochat, tiny_settings, write_pack

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.reports import file_ref, self_digest
from picochat.artifacts.store import RunStore
from picochat.core.events import SilentEvents
from picochat.core.fs import write_atomic
from picochat.core.jsonio import iter_jsonl, jsonl_bytes, pretty_json
from picochat.data.corpus import CorpusReader
from picochat.data.shards.checking import count_documents, iter_documents
from picochat.data.shards.reading import ShardSet
from picochat.evals.memorisation import summarise_memorisation
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.profile import ProfileCheck, load_profile
from picochat.judgement.rules.case import Case, Outcome
from picochat.judgement.rules.memorisation import judge_exposure, judge_extractable
from picochat.judgement.verify import verify_run
from picochat.pipeline.config import resolve, settings_layer
from picochat.pipeline.profiles import load_profile as load_run_profile
from picochat.pipeline.runner import Factory, open_run, run_stages
from picochat.stages.contract import StageContext
from picochat.stages.text_inputs import MemoryText, open_text_inputs, read_shards_body
from picochat.stages.text_source import TextSource
from picochat.tokenizer.tokenizer import Tokenizer

COPIES = [1, 16]
PACK = """
schema = "pack/1"
name = "planted"
[split]
val_fraction = 0.1
[[sources]]
id = "texts"
path = "texts"
"""
SMALL: dict[str, Any] = {
    "memorisation.references": 255,
    "memorisation.documents": 40,
    "memorisation.samples": 12,
    "memorisation.sample_tokens": 24,
    "data.generate_skills": True,
}
MODES: dict[str, dict[str, Any]] = {
    "memory": {},
    "sharded": {"shards.shard_bytes": 8000},
    "packed": {"shards.shard_bytes": 8000, "shards.packing": "best_fit_crop"},
}


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same texts with canaries and without."""
    folder = tmp_path_factory.mktemp("planted")
    write_pack(folder / "texts")
    (folder / "with.toml").write_text(f"{PACK}\n[canaries]\ncopies = {COPIES}\neach = 3\n")
    (folder / "without.toml").write_text(PACK)
    return {"with": folder / "with.toml", "without": folder / "without.toml"}


def build_data(root: Path, pack: Path, mode: str) -> RunStore:
    settings = tiny_settings(pack) | MODES[mode] | {"base.data_mode": mode}
    resolved = resolve("tiny", load_run_profile("tiny").build(), [("--set", settings_layer(list(settings.items())))])
    store = open_run(root, "tiny", resolved, resume=False)
    run_stages(store, resolved.config, Factory(), ("dataset", "honesty", "tokenizer", "shards"))
    return store


@pytest.fixture(scope="module")
def data(packs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunStore]:
    """The data of a run in each mode, and of one without canaries."""
    root = tmp_path_factory.mktemp("modes")
    stores = {mode: build_data(root / mode, packs["with"], mode) for mode in MODES}
    return stores | {"without": build_data(root / "without", packs["without"], "memory")}


def open_corpus(store: RunStore) -> CorpusReader:
    return CorpusReader(store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS))


def trained_texts(store: RunStore, mode: str) -> tuple[Counter[bytes], Counter[bytes]]:
    """How often each text stands on either side of what a training reads, decoded from its tokens."""
    tok = Tokenizer.load(store.path(layout.TOKENIZER))
    if mode == "memory":
        context = StageContext(store, SilentEvents(1), seed=1)
        text = open_text_inputs(store, context.record("base", TextSource()), TextSource(), shards=False)
        assert isinstance(text, MemoryText)
        sides = (text.train.iter_documents(), text.val.iter_documents())
        train, val = (Counter(tok.text_bytes(ids) for ids in side) for side in sides)
        return train, val
    shards = ShardSet(
        store.path(layout.SHARDS), read_shards_body(store.read_report(layout.SHARDS_MANIFEST, "shards_manifest"))
    )
    size = len(open_corpus(store))
    train, val = (
        Counter(text for shard in side for _, text, whole in iter_documents(shard, tok, size) if whole)
        for side in (shards.train, shards.val)
    )
    return train, val


@pytest.mark.parametrize("mode", MODES)
def test_a_training_reads_each_canary_whole_as_often_as_stated_and_only_on_the_train_side(data, mode):
    rows = list(iter_jsonl(data[mode].path(layout.CANARIES)))
    assert [row["copies"] for row in rows] == [1] * 3 + [16] * 3
    train, val = trained_texts(data[mode], mode)
    assert {row["text"]: train[row["text"].encode()] for row in rows} == {row["text"]: row["copies"] for row in rows}
    assert not any(val[row["text"].encode()] for row in rows)


@pytest.mark.parametrize("mode", ["sharded", "packed"])
def test_shards_count_the_copies_and_show_them_as_sources_of_their_own(data, mode):
    store = data[mode]
    body = read_shards_body(store.read_report(layout.SHARDS_MANIFEST, "shards_manifest"))
    shards, reader = ShardSet(store.path(layout.SHARDS), body), open_corpus(store)
    counts = count_documents(list(shards.train), len(reader))
    assert counts[reader.n_found :].tolist() == [1] * 3 + [16] * 3
    assert not np.any(count_documents(list(shards.val), len(reader))[reader.n_found :])
    exposure = {found.source: found for found in body.exposure}
    assert list(exposure) == ["texts", "canary-1", "canary-16"]
    assert (exposure["canary-16"].documents, exposure["canary-16"].weight) == (3, 16.0)
    assert exposure["canary-16"].epoch_tokens == 16 * exposure["canary-16"].unique_tokens > 0
    assert {record.copy_number for record in body.train} == {0}, "no passes of canaries alone"


def test_canaries_stand_in_no_statistics(data):
    planted, plain = data["memory"], data["without"]
    assert open_corpus(planted).n_found == len(open_corpus(plain)) == len(open_corpus(planted)) - 6
    manifests = [store.read(layout.CORPUS_MANIFEST) for store in (planted, plain)]
    for key in ("counts", "sources", "dropped", "duplicates", "split", "chat"):
        assert manifests[0][key] == manifests[1][key], key
    checks = [dict(manifest["checks"]) for manifest in manifests]
    # All documents are proved, the planted ones too, and no proof finds a fault.
    assert checks[0].pop("documents") == checks[1].pop("documents") + 6
    assert checks[0] == checks[1] and checks[0]["exact_left"] == checks[0]["exact_leak"] == checks[0]["misplaced"] == 0
    assert planted.path(layout.TOKENIZER).read_bytes() == plain.path(layout.TOKENIZER).read_bytes()
    reports = [store.read(layout.TOKENIZER_REPORT) for store in (planted, plain)]
    assert all(reports[0][key] == reports[1][key] for key in reports[0] if key not in ("manifest", "self_digest"))
    found = [store.read(layout.HONESTY)["contamination"] for store in (planted, plain)]
    assert found[0] == found[1]
    for name in (layout.CHAT_TRAIN, layout.CHAT_EVAL, layout.CHAT_HELDOUT):
        assert planted.path(name).read_bytes() == plain.path(name).read_bytes()
    described = manifests[0]["canaries"]
    assert (described["documents"], described["copies_written"]) == (6, 3 + 48)
    assert manifests[1]["canaries"] is None and not plain.has(layout.CANARIES)


@pytest.fixture(scope="module")
def run(packs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    """A finished run over packed rows. Read only."""
    root = tmp_path_factory.mktemp("memorised") / "run"
    return build_run(root, packs["with"], **SMALL, **MODES["packed"], **{"base.data_mode": "packed"})


def blocks(store: RunStore) -> list[CheckResult]:
    return [result for result in verify_run(store) if result.verdict == "block"]


def named(results: list[CheckResult]) -> set[tuple[str, str]]:
    return {(result.id, place.artifact) for result in results for place in result.evidence}


def test_both_checkpoints_are_measured_and_the_run_verifies(run):
    report = run.read(layout.MEMORISATION)
    assert list(report["models"]) == ["base", "sft"]
    for name, found in report["models"].items():
        assert found["weights_digest"] == run.read(layout.report_path(name))["weights_digest"]
        assert found["checkpoint"] == layout.checkpoint_dir(name)
        assert found["canaries"]["candidates"] == 256 and list(found["canaries"]["by_copies"]) == ["1", "16"]
        assert found["extractable"]["train"]["n"] == 40 and found["extractable"]["val"]["n"] > 0
        assert found["copied"]["samples"] == 12
    base = report["models"]["base"]["canaries"]["by_copies"]
    assert base["16"]["mean"] > base["1"]["mean"], "what stands more often is known better"
    assert not report["settings"]["scaled"]
    assert blocks(run) == []
    assert "## Learned by heart" in run.path(layout.SUMMARY_MD).read_text()
    listed = {entry["path"] for entry in run.read(layout.SUMMARY)["artifacts"]}
    assert {layout.MEMORISATION, layout.MEMORISATION_ROWS, layout.CANARIES} <= listed


def forged(run: RunStore, root: Path, change: Callable[[list[dict[str, Any]]], None]) -> RunStore:
    """A copy whose rows are changed and whose report is made to fit, digests and all, as an insider would do it."""
    shutil.copytree(run.root, root)
    store = RunStore(root)
    for name in (layout.GATE, layout.SUMMARY, *layout.PAGES):
        store.path(name).unlink()
    rows = list(iter_jsonl(store.path(layout.MEMORISATION_ROWS)))
    change(rows)
    write_atomic(store.path(layout.MEMORISATION_ROWS), jsonl_bytes(rows))
    report = store.read(layout.MEMORISATION)
    for name, found in report["models"].items():
        found |= summarise_memorisation(row for row in rows if row["model"] == name)
    report["manifest"]["outputs"] = [file_ref("rows", store.path(layout.MEMORISATION_ROWS), root).to_json()]
    report["self_digest"] = self_digest(report)
    write_atomic(store.path(layout.MEMORISATION), pretty_json(report))
    return store


def first(rows: list[dict[str, Any]], kind: str, **fields: Any) -> dict[str, Any]:
    return next(row for row in rows if row["kind"] == kind and fields.items() <= row.items())


def drop(rows: list[dict[str, Any]], row: dict[str, Any]) -> None:
    rows.remove(row)


def easier_passages(rows: list[dict[str, Any]]) -> None:
    """What should follow is said to be what did."""
    for row in rows:
        if row["kind"] == "passage" and row["side"] == "val":
            row["wanted"] = row["reply"] = row["wanted"][:1]


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: drop(rows, first(rows, "passage", side="train")),
        lambda rows: drop(rows, first(rows, "canary")),
        lambda rows: drop(rows, first(rows, "sample")),
        lambda rows: drop(rows, first(rows, "loss", side="val")),
        easier_passages,
        lambda rows: first(rows, "passage").update(document=0),
        lambda rows: first(rows, "passage", side="train").update(side="val"),
        lambda rows: first(rows, "canary", copies=16).update(copies=1),
        lambda rows: first(rows, "canary").update(references=[-1.0]),
        lambda rows: first(rows, "sample").update(copied_words=900, begin=0, document=0),
        lambda rows: first(rows, "loss").update(tokens=1),
        lambda rows: first(rows, "passage").update(reply=[7] * 50),
        lambda rows: first(rows, "passage").update(reply=[]),
        lambda rows: rows.append({"kind": "sample", "model": "other", "copied_words": 0}),
        lambda rows: rows.append({"kind": "unheard", "model": "base"}),
        lambda rows: first(rows, "canary").pop("logprob"),
    ],
)  # fmt: skip
def test_rows_that_were_tampered_with_turn_verify_red_even_when_every_digest_fits(run, tmp_path, change):
    try:
        store = forged(run, tmp_path / "run", change)
    except (KeyError, ValueError):  # rows of which no report can be made: the digests of the old one stay
        store = RunStore(tmp_path / "run")
    found = named(blocks(store))
    assert found & {("verify.rates", layout.MEMORISATION_ROWS), ("verify.rates", layout.MEMORISATION)}
    case = case_of(store, "honesty.extractable", 0.05)
    assert judge_extractable(case).verdict == judge_exposure(case).verdict == "not_run"


def test_a_number_that_does_not_follow_from_the_rows_is_found(run, tmp_path):
    store = forged(run, tmp_path / "run", lambda rows: None)
    assert blocks(store) == []
    report = store.read(layout.MEMORISATION)
    report["models"]["sft"]["extractable"]["difference"] = 0.0123
    report["self_digest"] = self_digest(report)
    write_atomic(store.path(layout.MEMORISATION), pretty_json(report))
    assert named(blocks(store)) == {("verify.rates", layout.MEMORISATION)}


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[0].update(secret="000000000"),
        lambda rows: rows.pop(),
        lambda rows: rows.append(dict(rows[0])),
        lambda rows: rows[-1].update(copies=1),
    ],
)
def test_canaries_that_the_salt_does_not_give_are_found(run, tmp_path, change):
    shutil.copytree(run.root, tmp_path / "run")
    store = RunStore(tmp_path / "run")
    rows = list(iter_jsonl(store.path(layout.CANARIES)))
    change(rows)
    write_atomic(store.path(layout.CANARIES), jsonl_bytes(rows))
    found = named(blocks(store))
    assert {("verify.rates", layout.CANARIES), ("verify.chain", layout.CANARIES)} <= found


def test_a_document_that_is_called_planted_but_is_on_no_list_is_found(data, tmp_path):
    shutil.copytree(data["without"].root, tmp_path / "run")
    store = RunStore(tmp_path / "run")
    records = bytearray(store.path(layout.CORPUS_DOCUMENTS).read_bytes())
    for place in (53, len(records) - 64 + 53):  # the flags of the first and of the last document
        changed = bytearray(records)
        changed[place] |= 4
        write_atomic(store.path(layout.CORPUS_DOCUMENTS), bytes(changed))
        assert ("verify.rates", layout.CORPUS_DOCUMENTS) in named(blocks(store))


def case_of(store: RunStore, check: str, threshold: float | None, minimum_n: int = 0) -> Case:
    row = ProfileCheck(id=check, column="block", threshold=threshold, minimum_n=minimum_n)
    return Case(RunEvidence(store), row, load_profile("research"), [])


def judged(store: RunStore, threshold: float, **more: Any) -> tuple[Outcome, Outcome]:
    case = case_of(store, "honesty", threshold, **more)
    return judge_extractable(case), judge_exposure(case)


def test_the_rules_judge_both_models_and_the_worse_one_decides(run):
    extractable, exposure = judged(run, 0.05)[0], judged(run, 8.0)[1]
    assert (extractable.verdict, exposure.verdict) == ("pass", "pass")
    models = run.read(layout.MEMORISATION)["models"]
    assert exposure.measured == max(found["canaries"]["by_copies"]["1"]["mean"] for found in models.values())
    assert exposure.n == 3 and extractable.n == models["sft"]["extractable"]["val"]["n"]
    assert judged(run, 0.05, minimum_n=1000)[0].verdict == judged(run, 8.0, minimum_n=4)[1].verdict == "not_run"
    assert judged(run, 0.0)[1].verdict == "warn", "more than the threshold at one copy warns and never blocks"
    assert judged(run, -0.9)[0].verdict == "block"


def test_without_evidence_or_with_other_weights_nothing_is_judged(run, data, tmp_path):
    for outcome in judged(data["memory"], 0.05):
        assert outcome.verdict == "not_run"
    store = forged(run, tmp_path / "run", lambda rows: None)
    report = store.read(layout.MEMORISATION)
    report["models"]["sft"]["weights_digest"] = "0" * 64
    report["self_digest"] = self_digest(report)
    write_atomic(store.path(layout.MEMORISATION), pretty_json(report))
    assert all(outcome.verdict == "not_run" for outcome in judged(store, 0.05))
    assert ("verify.rates", layout.MEMORISATION) in named(blocks(store))


def test_the_evidence_is_added_later_and_is_the_same(run, tmp_path):
    shutil.copytree(run.root, tmp_path / "run")
    store = RunStore(tmp_path / "run")
    before = store.path(layout.MEMORISATION_ROWS).read_bytes()
    done = picochat("eval", "memorisation", store.root, "--quiet", "--json")
    assert done.returncode == 0 and '"extractable"' in done.stdout
    assert store.path(layout.MEMORISATION_ROWS).read_bytes() == before
    assert store.has("memorisation.001.json") and blocks(store) == []
