"""Benchmarks on a trained run, by the command line: rows, reports, comparison with the text, gate and verify."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support.made_benchmarks import WRITERS, write_core, write_lambada, write_piqa
from tests.support.many import run_all
from tests.support.tiny_run import picochat

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.jsonio import iter_jsonl
from picochat.judgement.verify import verify_run

Copy = Callable[[], RunStore]


def broken(store: RunStore) -> list:
    return [result for result in verify_run(store) if result.verdict == "block"]


def test_a_choice_a_cloze_and_core_join_the_evidence(copy_of: Copy, tmp_path: Path):
    store = copy_of()
    asked = {"piqa": write_piqa(tmp_path / "piqa", n=60), "lambada": write_lambada(tmp_path / "lambada", n=20)}
    asked["core"] = write_core(tmp_path / "core", n=12)
    for name, data in asked.items():
        done = picochat("eval", "benchmark", name, "--data", data, "--run", store.root, "--set", "batch_size=4")
        assert done.returncode == 0, done.stderr
        assert f"{name}: " in done.stdout and "partial" in done.stdout
        rows = list(iter_jsonl(store.path(f"benchmarks/{name}/rows.jsonl")))
        report = store.read_report(f"benchmarks/{name}/report.json", "benchmark_report")
        assert len(rows) == report["items"] == {"piqa": 60, "lambada": 20, "core": 48}[name]
        assert report["settings"]["batch_size"] == 4
    sets = store.read(layout.HONESTY)["contamination"]["sets"]
    assert [sets[f"benchmarks/{name}"]["items"] for name in asked] == [60, 20, 48]

    judged = picochat("gate", store.root)
    assert judged.returncode == 0, judged.stderr
    facts = store.read(layout.SUMMARY)["facts"]
    assert {found["name"]: found["problem"] for found in facts["benchmarks"]} == dict.fromkeys(asked, "")
    assert facts["contamination"]["sets"]["benchmarks/core"]["scores"]["score"]["all"]["n"] == 48
    assert broken(store) == []

    listed = json.loads(picochat("eval", "benchmarks", store.root, "--json").stdout)
    assert {entry["name"]: entry["status"] for entry in listed} == {
        name: "partial" if name in asked else "not run" for name in ("blimp", *WRITERS)
    }
    table = picochat("eval", "benchmarks", store.root).stdout
    assert "piqa" in table and "unregistered files" in table and "not run" in table
    for data in asked.values():
        shutil.rmtree(data)
    assert broken(store) == [], "files from outside that are gone are external, not broken"


def test_errors_are_said_in_words_with_their_exit_codes(copy_of: Copy, tmp_path: Path):
    store = copy_of()
    piqa = write_piqa(tmp_path / "piqa", labels=[5] * 8)
    wrong: list[tuple[list[object], int, str]] = [
        (["piqa", "--data", tmp_path / "none"], 2, "no folder and no file"),
        (["piqa", "--data", piqa], 4, "row 1: label is '5', 0 or 1 is needed"),
        (["lambada", "--data", write_lambada(tmp_path / "l"), "--shots", 2], 2, "fixed number of examples"),
        (["piqa", "--data", piqa, "--set", "answer_bas=1"], 2, "did you mean 'answer_base'"),
        (["piqa", "--data", piqa, "--set", "name=core"], 2, "beside the benchmark piqa"),
        (["gpqa", "--data", piqa], 2, "gpqa"),
    ]
    ran = run_all([["eval", "benchmark", *argv, "--run", store.root] for argv, _, _ in wrong])
    for done, (_, code, text) in zip(ran, wrong, strict=True):
        assert (done.returncode, text in done.stderr) == (code, True), done
    assert not store.path(layout.BENCHMARKS).exists()
