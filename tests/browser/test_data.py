"""Data: the numbers of the manifest, why a document was dropped, ids equal to the commands', the loss mask."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.web_process import WebProcess
from tests.support.web_runs import copy_run

from picochat.core.jsonio import canonical_json
from picochat.data.conversations import parse_chat_row
from picochat.tokenizer.chat import render
from picochat.tokenizer.tokenizer import Tokenizer

Opened = Callable[..., Any]
TEXT = "Grüße <|end|> 12345 😀\n\tx"


@pytest.fixture
def root(tiny_run: Path, runs: Path) -> Path:
    return copy_run(tiny_run, runs)


def test_the_corpus_is_what_the_manifest_says(root: Path, workbench: WebProcess, opened: Opened):
    page = opened(workbench, f"#/runs/{root.name}/data")
    page.locator("#sources table").wait_for()
    stored = json.loads((root / "corpus_manifest.json").read_bytes())
    text = page.inner_text("main")
    for key in ("documents", "train_documents", "val_documents"):
        assert f"{stored['counts'][key]:,}" in text
    for source in stored["sources"]:
        shown = page.locator(f'#sources tr[data-row="{source["id"]}"]').inner_text()
        assert f"{source['kept']:,}" in shown and source["id"] in shown
    page.goto(f"{workbench.url}#/runs/{root.name}/data?tab=packing")
    page.locator("#contamination table").wait_for()
    honesty = json.loads((root / "honesty.json").read_bytes())
    assert page.locator("#contamination tbody tr").count() == len(honesty["contamination"]["matrix"])


def test_why_was_this_dropped(root: Path, workbench: WebProcess, opened: Opened):
    rows = [{"name": f"file-{n}.txt", "reason": "too_short", "source": "notes"} for n in range(230)]
    rows.append({"name": "twin.txt", "reason": "near_duplicate", "source": "notes", "document": 12})
    (root / "corpus_dropped.jsonl").write_bytes(b"".join(canonical_json(row) + b"\n" for row in rows))
    page = opened(workbench, f"#/runs/{root.name}/data?tab=dropped")
    page.locator("#dropped tbody tr").nth(99).wait_for()
    page.get_by_role("button", name="Show more").click()
    page.locator("#dropped tbody tr").nth(199).wait_for()
    first = page.locator("#dropped tbody tr").first.inner_text()
    assert "too short" in first and "data.cleaning.min_chars" in first
    page.keyboard.press("/")
    page.keyboard.type("TWIN")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('#dropped tbody tr').length === 1")
    assert "document 12 of the corpus stays" in page.inner_text("#dropped tbody") and "name=TWIN" in page.url


def test_ids_are_those_of_the_commands(root: Path, workbench: WebProcess, opened: Opened):
    page = opened(workbench, f"#/runs/{root.name}/data?tab=tokens")
    page.locator("textarea").fill(TEXT)
    tok = Tokenizer.load(root / "tokenizer.json")
    ids = tok.encode(TEXT)
    same = "(text) => document.querySelector('.id-list code')?.textContent === text"
    page.wait_for_function(same, arg=f"[{', '.join(map(str, ids))}]")
    cells = page.locator("#encode tbody tr td:last-child").all_inner_texts()
    assert bytes.fromhex("".join(cells)) == TEXT.encode()
    assert f"{len(ids):,} tokens" in page.inner_text("#encode") and "part of a character" in page.inner_text("#encode")
    page.reload()
    page.locator(".id-list").wait_for()
    assert page.locator("textarea").input_value() == TEXT


def test_the_mask_is_the_one_that_is_trained_with(root: Path, workbench: WebProcess, opened: Opened):
    rows = [
        {"user": "Say hi.", "assistant": "hi there", "category": "made"},
        {"user": "long " * 200, "assistant": "no", "category": "made"},
        {"user": "<script>alert(1)</script>", "assistant": "\u202e", "category": "made"},
        {"user": "no answer", "category": "made"},
    ]
    (root / "chat/train.jsonl").write_bytes(b"".join(canonical_json(row) + b"\n" for row in rows))
    page = opened(workbench, f"#/runs/{root.name}/data?tab=chat")
    page.locator(".chat-rows > li").nth(3).wait_for()
    first, second, third, fourth = (page.locator(".chat-rows > li").nth(n) for n in range(4))
    tok = Tokenizer.load(root / "tokenizer.json")
    expected = render(parse_chat_row(rows[0]).to_messages(), tok)
    assert first.locator(".mask-learned .mask-token").count() == expected.supervised_tokens
    learned = "".join(first.locator(".mask-learned .mask-token").all_inner_texts())
    assert learned == "hi there<|end|>" and "begins with <|bos|>" in first.inner_text()
    assert "left out" in second.inner_text() and "never cropped" in second.inner_text()
    assert "<script>alert(1)</script>" in third.inner_text() and "‹e2›‹80›‹ae›" in third.inner_text()
    assert "training refuses this row" in fourth.inner_text()
    page.get_by_label("Show ids").check()
    assert first.locator("small").all_inner_texts() == [str(token) for token in expected.ids]
