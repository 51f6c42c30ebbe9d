"""The gate page: the rows of gate.json, what mends them first, what is stale, and judging again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.prepared_runs import judge_before, prepared_run, refused_run
from tests.support.tiny_run import picochat
from tests.support.web_process import WebProcess

from picochat.artifacts import layout
from picochat.views.checks import check_rows
from picochat.views.gate.preflight import preflight_markdown

CLIPBOARD = ["clipboard-read", "clipboard-write"]
CORPUS_BYTE = 200


def rows_of(page: Any, caption: str) -> dict[str, list[str]]:
    """Cells of the rows of a table, by the id of the check."""
    script = """caption => [...[...document.querySelectorAll("table")].find(
      (table) => table.caption?.textContent === caption).querySelectorAll("tr[data-row]")].map((row) => [
        row.dataset.row, ...[...row.children].map((cell) => cell.innerText.trim())])"""
    return {row[0]: row[1:] for row in page.evaluate(script, caption)}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[CORPUS_BYTE] ^= 1
    path.write_bytes(data)


def test_a_blocked_run_shows_why_and_what_mends_it_first(
    runs: Path, workbench: WebProcess, opened: Callable[..., Any]
) -> None:
    root = refused_run(runs / "blocked")
    page = opened(workbench, "#/runs/blocked/gate", permissions=CLIPBOARD)
    page.wait_for_selector(".repairs li")
    stored = json.loads(picochat("gate", root, "--profile", "skill_release", "--json").stdout)
    page.wait_for_selector("text=weights")
    found, words = rows_of(page, "Checks of the gate, the worst first"), check_rows(stored["checks"])
    assert found.keys() == {row.id for row in words}
    for row in words:
        assert found[row.id][0].endswith(row.verdict.replace("not_run", "not run")), row
        assert found[row.id][2:4] == [row.measured, row.threshold]
    order = [cells[0].split()[-1] for cells in found.values()]
    assert order[0] == "block" and order[-1] == "pass"
    required = [name for name, cells in found.items() if cells[0].endswith("not run") and cells[4] == "required"]
    assert required and order.index("warn") > list(found).index(required[-1])
    assert page.locator("button[aria-expanded=true]").count() >= 1
    assert page.inner_text(".verdict-word").split()[1] == "blocked"
    assert stored["weights_digest"][:12] in page.inner_text(".facts")
    rooms = page.locator(".repairs h3").all_inner_texts()
    assert rooms == ["Base training", "Fine-tuning", "Benchmarks"]
    commands = page.locator(".repairs code").all_inner_texts()
    assert f"picochat gate {runs / 'blocked'} --profile skill_release" in commands
    detail = page.locator("#check-sft\\.heldout_fit")
    detail.get_by_role("button", name="Where its numbers stand").click()
    detail.get_by_role("button", name="Judge this one again").click()
    said = page.wait_for_selector("text=gate.json stays as it is").inner_text()
    assert said.split()[1:3] == ["✕", "block"] and "now: ✕ block" in " ".join(said.split())
    page.click("text=Copy as Markdown")
    page.wait_for_selector("button:has-text('Copied')")
    copied = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert copied[0] == "| verdict | check | measured | asked for | why, and what mends it |"
    assert len(copied) == 2 + len(words) and all(f"| {row.id} |" in "\n".join(copied) for row in words)
    page.goto(f"{workbench.url}#/runs/blocked/gate?check=skill.choice")
    page.wait_for_selector("tr[data-row='skill.choice'].selected")
    assert page.locator("tr[data-row='skill.choice'] button").get_attribute("aria-expanded") == "true"
    assert page.evaluate("document.activeElement.dataset.row") == "skill.choice"
    page.keyboard.press("j")
    next_row = page.evaluate("document.activeElement.dataset.row")
    assert next_row == list(found)[list(found).index("skill.choice") + 1]
    page.keyboard.press("Enter")
    page.wait_for_selector(f"#check-{next_row.replace('.', chr(92) + '.')}")
    assert f"check={next_row}" in page.url
    page.evaluate("scrollTo(0, 0)")  # half a button below the bar is no fault of the page's


def test_another_corpus_is_stale_and_judging_again_shows_before_and_after(
    runs: Path, workbench: WebProcess, opened: Callable[..., Any]
) -> None:
    root = refused_run(runs / "blocked")
    flip(root / layout.CORPUS)
    page = opened(workbench, "#/runs/blocked/gate")
    banner = page.wait_for_selector("main .state.stale").inner_text()
    assert "corpus.txt changed" in banner
    words = page.inner_text(".verdict-word").split()
    assert "blocked" in words and "stale" in words, "the old verdict stands beside the word"
    flip(root / layout.CORPUS)
    page.select_option("select", "research")
    page.click("button:has-text('Judge again')")
    page.wait_for_selector("text=Before and after")
    page.wait_for_function("document.querySelector('.verdict-word').innerText.includes('warn')")
    changed = rows_of(page, "Checks that say something else than before")
    assert changed["skill.choice"][1].split()[1] == "block" and changed["skill.choice"][2].split()[1] == "warn"
    assert page.locator("main .state.stale").count() == 0
    assert json.loads((root / layout.GATE).read_bytes())["profile"] == "research"


def test_preflight_in_full_goes_stale_with_the_corpus_and_nothing_unjudged_is_ready(
    runs: Path, workbench: WebProcess, opened: Callable[..., Any]
) -> None:
    root = prepared_run(runs / "made")
    body = judge_before(root)
    page = opened(workbench, "#/runs/made/gate?tab=preflight", permissions=CLIPBOARD)
    page.wait_for_selector("text=What was judged")
    found = rows_of(page, "Checks of preflight, the worst first")
    assert found.keys() == {check["id"] for check in body["checks"]}
    assert any(cells[0].endswith("pass") for cells in found.values())
    page.click("text=Copy as Markdown")
    page.wait_for_selector("button:has-text('Copied')")
    stored = json.loads((root / layout.PREFLIGHT).read_bytes())
    assert page.evaluate("navigator.clipboard.readText()") == preflight_markdown(stored)
    page.goto(f"{workbench.url}#/runs/made/gate?tab=budget")
    words = shlex.split(page.locator("#budget .command code").inner_text())
    plan = json.loads(picochat(*words[1:]).stdout)
    facts = page.inner_text("#budget .facts")
    assert f"{plan['parameters']:,}" in facts and f"{plan['stages'][0]['tokens']:,}" in facts
    page.goto(f"{workbench.url}#/runs/made/gate?tab=readiness")
    page.wait_for_selector("#eight_gpus")
    assert "not ready" in page.inner_text("#eight_gpus .verdict-word")
    assert "launch.planned" in rows_of(page, page.inner_text("#eight_gpus caption >> nth=0"))
    flip(root / layout.CORPUS)
    page.goto(f"{workbench.url}#/runs/made/gate?tab=preflight")
    page.reload()
    assert "corpus.txt changed" in page.wait_for_selector("main .state.stale").inner_text()
    assert "stale" in page.inner_text(".verdict-word").split()


def test_a_run_without_a_gate_says_how_to_get_one(
    runs: Path, workbench: WebProcess, opened: Callable[..., Any]
) -> None:
    root = prepared_run(runs / "made")
    page = opened(workbench, "#/runs/made/gate")
    command = page.wait_for_selector(".state.empty code").inner_text()
    assert command == f"picochat gate {root} --profile research"
    (root / layout.GATE).write_text('{"verdict": "approved"')
    page.reload()
    assert "unreadable" in page.wait_for_selector(".state.empty").inner_text()
    assert "approved" not in page.inner_text("main")
