"""Artifacts: a flipped byte is named and all downstream is stale; torn checkpoints are ignored with a reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import judged_run
from tests.support.web_process import WebProcess

from picochat.artifacts.store import RunStore
from picochat.judgement.verify import verify_run

WHERE = "#/runs/green/artifacts"
Opened = Callable[..., Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged_run(tmp_path_factory.mktemp("made") / "green")


@pytest.fixture
def green(made: Path, runs: Path) -> Path:
    return shutil.copytree(made, runs / "green")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def row(page: Any, path: str) -> str:
    """The text of a file's row."""
    return page.locator(f'.file-table tr[data-row="{path}"]').first.inner_text()


def test_a_flipped_byte_is_named_and_all_downstream_is_stale(green: Path, workbench: WebProcess, opened: Opened):
    page = opened(workbench, WHERE)
    page.get_by_text("verified", exact=False).first.wait_for()
    assert "stale" not in page.inner_text("#files tbody")
    flip(green / "tokenizer.json")
    page.get_by_role("button", name="Look again").click()
    page.locator(".broken-files").wait_for()
    assert "tokenizer.json" in page.inner_text(".broken-files") and "mismatch" in row(page, "tokenizer.json")
    for path in ("base/checkpoint/model.safetensors", "sft/report.json", "eval/rows.jsonl", "gate.json", "report.html"):
        assert "stale" in row(page, path) and "since tokenizer.json" in row(page, path), path
    for path in ("corpus.txt", "run.json", "chat/train.jsonl"):
        assert "verified" in row(page, path) and "stale" not in row(page, path), path
    blamed = {p.artifact for r in verify_run(RunStore(green)) if r.verdict == "block" for p in r.evidence}
    assert "tokenizer.json" in blamed


def test_verify_is_started_followed_and_says_what_it_found(green: Path, workbench: WebProcess, opened: Opened):
    flip(green / "eval/rows.jsonl")
    page = opened(workbench, WHERE)
    page.locator("#verify button.primary").wait_for()
    page.locator("#verify button.primary").focus()
    page.keyboard.press("Enter")
    page.locator("#verify table").wait_for(timeout=30_000)
    assert "eval/rows.jsonl" in page.inner_text("#verify table") and "block" in page.inner_text("#verify")
    page.goto(f"{workbench.url}#/runs/green/events?tab=commands")
    page.get_by_text("picochat verify green --json").first.wait_for()
    assert "exit code 4" in page.inner_text("#commands")


def test_the_graph_and_its_table_say_the_same_and_choose_files(green: Path, workbench: WebProcess, opened: Opened):
    flip(green / "corpus.txt")
    page = opened(workbench, WHERE)
    page.locator("svg .box").first.wait_for()
    assert page.locator("svg .box.broken text.label").all_text_contents() == ["dataset"]
    assert "sft" in page.locator("svg .box.stale text.label").all_text_contents()
    page.get_by_text("The same as a table").click()
    page.get_by_role("link", name="tokenizer", exact=True).click()
    page.get_by_role("heading", name="Files of tokenizer").wait_for()
    assert page.locator("#files tbody tr").count() == 5 and "record=tokenizer_report.json" in page.url
    page.get_by_role("button", name="Show all files").click()
    page.locator("#files select").select_option("mismatch")
    page.wait_for_function("() => document.querySelectorAll('#files tbody tr').length === 1")
    assert "corpus.txt" in page.inner_text("#files tbody")


def test_checkpoints_with_their_numbers_and_the_torn_one_ignored(green: Path, workbench: WebProcess, opened: Opened):
    shutil.copytree(green / "base/checkpoint", green / "base/checkpoint.previous")
    (green / "base/checkpoint.previous/MANIFEST.json").unlink()
    (green / "sft/.tmp-0123").mkdir()
    with open(green / "events.jsonl", "ab") as stream:
        stream.write(b'{"attempt":1,"bpb":1.234,"kind":"eval","seq":999,"stage":"base","step":20}\n')
    page = opened(workbench, f"{WHERE}?tab=checkpoints")
    page.locator("tr[data-row='base/checkpoint']").wait_for()
    whole, torn = row(page, "base/checkpoint"), row(page, "base/checkpoint.previous")
    assert "1.234" in whole and "20" in whole and "ships" in whole and "pass" in whole
    assert "ignored" in torn and "MANIFEST.json does not exist" in torn and "block" in torn
    assert "the next save takes it away" in page.inner_text("#ignored") and ".tmp-0123" in page.inner_text("#ignored")
    assert "picochat run tiny --out-dir" in page.inner_text("#checkpoints") and "--resume" in page.inner_text(
        "#checkpoints"
    )
    page.locator("tr[data-row='base/checkpoint']").get_by_role("button", name="Show").click()
    page.get_by_role("heading", name="Conditions of base/checkpoint").wait_for()
    assert "model.safetensors" in page.inner_text("#conditions")
