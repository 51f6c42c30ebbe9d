"""The evaluation page: numbers of the reports, rows by keyboard, both passages of a leak, every status of a benchmark,
samples over a training, and texts that attack whoever shows them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support import made_benchmarks as made
from tests.support.eval_surface import write_rows, write_run
from tests.support.green_run import GreenRun
from tests.support.made_benchmarks import FakeScorer
from tests.support.scored_benchmarks import write_scored
from tests.support.web_process import WebProcess
from tests.support.web_runs import copy_run, hostile_run

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.judgement.benchmark_status import list_statuses
from picochat.judgement.evidence import RunEvidence

Opened = Callable[..., Any]
ROWS = "eval/rows.jsonl"


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scripted run with failing rows, a text of which an eval row was leaked into the corpus."""
    root = tmp_path_factory.mktemp("green") / "green"
    run = GreenRun(root, rates={"eval": 0.7, "heldout": 0.8})
    run.build(n=20)
    leaked = leaked_row(root)
    run.write_corpus(20, text_of=lambda number, text: leaked["user"] if number == 3 else text)
    run.write_honesty()
    return root


def leaked_row(root: Path) -> dict[str, Any]:
    rows = [json.loads(line) for line in (root / layout.CHAT_EVAL).read_text().splitlines()]
    return next(row for row in rows if row["category"] == "spelling")


def stored(root: Path, relative: str = ROWS) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / relative).read_text().splitlines()]


def percent(value: float) -> str:
    return f"{value * 100:.1f} %"


def test_three_numbers_are_those_of_the_report_and_never_added_up(
    green: Path, runs: Path, workbench: WebProcess, opened: Opened
):
    store = RunStore(copy_run(green, runs))
    page = opened(workbench, "#/runs/green/evals")
    sets = store.read(layout.report_path(layout.EVAL))["sets"]
    page.wait_for_selector(".ev-figure-card .ev-big")
    shown = page.locator(".ev-figure-card .ev-big").all_inner_texts()
    means = [sets[name]["summary"]["mean_skill"]["rate"] for name in ("fit", "heldout", "eval")]
    assert shown == [percent(mean) for mean in means]
    assert percent(sum(means)) not in page.inner_text("main") and percent(sum(means) / 3) not in page.inner_text("main")
    assert f"{(means[0] - means[1]) * 100:.1f} points" in page.inner_text(".ev-figure-card .ev-gap")
    row = page.locator("#skills tr", has_text="spelling").first
    numbers = sets["eval"]["summary"]["categories"]["spelling"]
    low, high = numbers["interval"]
    assert f"{percent(numbers['rate'])} of {numbers['n']}" in " ".join(row.inner_text().split())
    assert f"{low * 100:.1f} – {percent(high)}" in row.inner_text()
    losses = page.inner_text("#sft-losses")
    assert "1.500" in losses and "1.600" in losses, "bits a byte before and after, as sft/report.json has them"


def test_failing_rows_by_keyboard_and_the_rows_that_flipped(
    green: Path, runs: Path, workbench: WebProcess, opened: Opened
):
    copy_run(green, runs)
    GreenRun(runs / "other", name="other", seed=2, rates={"eval": 0.95}).build(n=20)
    failed = [row["id"] for row in stored(green) if row["verdict"] == "fail"]
    page = opened(workbench, "#/runs/green/evals?tab=rows&filter=fail")
    title = page.locator(".ev-row-shown h3")
    title.wait_for()
    assert title.inner_text() == failed[0] and f"{len(failed)} of " in page.inner_text("#rows")
    page.keyboard.press("j")
    page.wait_for_function("id => document.querySelector('.ev-row-shown h3').innerText === id", arg=failed[1])
    assert "row=" in page.evaluate("location.hash"), "the address shows this very row"
    page.keyboard.press("k")
    page.wait_for_function("id => document.querySelector('.ev-row-shown h3').innerText === id", arg=failed[0])
    page.get_by_label("Beside").select_option("other")
    page.get_by_label("Show").select_option("flipped")
    page.wait_for_selector(".ev-row-shown .ev-beside")
    passed = {row["id"] for row in stored(runs / "other") if row["verdict"] == "pass"}
    flipped = [row_id for row_id in failed if row_id in passed]
    page.wait_for_function("n => document.querySelectorAll('.ev-rows-list tbody tr').length === n", arg=len(flipped))
    assert title.inner_text() == flipped[0] and "flipped" in page.inner_text(".ev-row-words")
    page.keyboard.press("/")
    page.keyboard.type(flipped[-1])
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('.ev-rows-list tbody tr').length === 1")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Nearest training row").click()
    page.wait_for_selector(".ev-nearest .ev-turn")
    address = page.url
    page.reload()
    page.wait_for_selector(".ev-row-shown h3")
    assert page.url == address and title.inner_text() == flipped[-1]


def test_j_goes_on_with_the_next_page(runs: Path, workbench: WebProcess, opened: Opened, green: Path):
    copy_run(green, runs)
    place = 49
    page = opened(workbench, f"#/runs/green/evals?tab=rows&row={place}")
    page.wait_for_selector(".ev-row-shown h3")
    ids = [row["id"] for row in stored(green)]
    page.keyboard.press("j")
    page.wait_for_function("id => document.querySelector('.ev-row-shown h3')?.innerText === id", arg=ids[place + 1])
    page.keyboard.press("k")
    page.wait_for_function("id => document.querySelector('.ev-row-shown h3')?.innerText === id", arg=ids[place])


def test_a_planted_leak_shows_both_passages(green: Path, runs: Path, workbench: WebProcess, opened: Opened):
    copy_run(green, runs)
    leaked = leaked_row(green)
    totals = RunStore(green).read(layout.HONESTY)["contamination"]["totals"]
    page = opened(workbench, "#/runs/green/evals?tab=honesty")
    page.wait_for_selector("#contamination table")
    text = page.inner_text("#contamination")
    assert f"{totals['items']:,} items" in text and f"{totals['dirty']:,} found in the training text" in text
    page.get_by_role("link", name="passages of eval in corpus").click()
    page.wait_for_selector("#passages >> text=Passages of eval in corpus")
    (hit,) = page.locator(".ev-hit").all()
    passages = hit.locator("figure .ev-turn").all_inner_texts()
    assert len(passages) == 2 and leaked["id"] in hit.inner_text()
    words = leaked["user"].split()[3:12]
    assert all(word.strip(",") in passage for word in words for passage in passages)
    assert "corpus, number 3" in hit.inner_text()


def test_each_status_of_a_benchmark_in_the_words_of_the_command(
    runs: Path, workbench: WebProcess, opened: Opened, tmp_path: Path
):
    store = GreenRun(runs / "green").build(n=4)
    write_scored(store, "hellaswag", made.write_hellaswag(tmp_path / "h", n=60), FakeScorer())
    write_scored(store, "piqa", made.write_piqa(tmp_path / "p", n=1838), FakeScorer())
    other: list[tuple[str, Callable[[dict], Any]]] = [
        ("winogrande", lambda body: body.update(harness="another")),
        ("mmlu", lambda body: body.update(weights_digest="0" * 64)),
        ("arc_easy", lambda body: body["headline"].update(point=0.99)),
    ]
    for name, change in other:
        write_scored(store, name, made.WRITERS[name](tmp_path / name), FakeScorer(), change)
    said = {entry.name: entry.status for entry in list_statuses(RunEvidence(store))}
    assert set(said.values()) == {"not run", "partial", "stale", "attached", "broken", "verified"}
    page = opened(workbench, "#/runs/green/evals?tab=benchmarks&benchmark=core")
    page.wait_for_selector("#benchmark")
    shown = {name: page.locator(f"#benchmarks tr[data-row='{name}'] .badge").inner_text() for name in said}
    assert {name: word.split(maxsplit=1)[1] for name, word in shown.items()} == said
    assert "—" in page.locator("tr[data-row='core']").inner_text(), "no score is a dash, never 0"
    core = page.inner_text("#benchmark")
    assert "GPT-2 124M" in core and "no score yet" in core and "picochat eval benchmark core" in core
    page.locator("tr[data-row='piqa'] a").click()
    page.wait_for_selector("#benchmark >> text=100.0 ± 0.1 %")
    assert "unregistered" in page.inner_text("#benchmark") and "1,838" in page.inner_text("#benchmark")


def test_samples_are_the_grid_of_the_tiny_run(tiny_run: Path, runs: Path, workbench: WebProcess, opened: Opened):
    root = copy_run(tiny_run, runs)
    rows = stored(root, "base/samples.jsonl")
    steps, prompts = sorted({row["step"] for row in rows}), list(dict.fromkeys(row["prompt"] for row in rows))
    page = opened(workbench, f"#/runs/{root.name}/evals?tab=samples&diff=off")
    page.wait_for_selector(".ev-samples-grid table")
    grid = page.locator(".ev-samples-grid").first
    assert [head.strip() for head in grid.locator("thead th").all_inner_texts()] == [
        "Prompt",
        *(f"step {step:,}" for step in steps),
    ]
    assert grid.locator("tbody tr").count() == len(prompts)
    last = next(row for row in rows if row["step"] == steps[-1] and row["prompt"] == prompts[0])
    shown = grid.locator("tbody tr").first.locator("td").last.inner_text()
    assert last["text"].strip()[:20] in shown
    changed = [dict(row, text=row["text"] + " and more") for row in rows if row["step"] == steps[-1]]
    more = [dict(row, step=steps[-1] + 10) for row in changed]
    write_rows(root, "base/samples.jsonl", rows + more)
    page.get_by_label("mark what changed").check()
    page.wait_for_function("() => document.querySelector('.ev-samples-grid ins')?.innerText.includes('and more')")


def test_hostile_texts_are_texts(tiny_run: Path, runs: Path, workbench: WebProcess, opened: Opened):
    root = hostile_run(tiny_run, runs)
    page = opened(workbench)
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    for tab, wait in (
        ("fit", ".ev-figure-card"),
        ("rows", ".ev-row-shown"),
        ("samples", ".ev-samples-grid"),
        ("honesty", "table"),
    ):
        page.goto(f"{workbench.url}#/runs/{root.name}/evals?tab={tab}")
        page.wait_for_selector(wait)
        assert "\u202e" not in page.inner_text("main") and "\x1b" not in page.inner_text("main")
    page.goto(f"{workbench.url}#/runs/{root.name}/evals?tab=rows&row=7")
    fold = page.get_by_role("button", name="show all").first
    fold.click()
    assert page.locator(".ev-fold[aria-expanded=true]").count() == 1
    page.goto(f"{workbench.url}#/runs/{root.name}/evals?tab=rows&row=5")
    page.wait_for_function(r"() => document.querySelector('.ev-row-shown .ev-turn')?.innerText.includes('\\u202e')")
    assert page.evaluate("window.pwned") is None and page.locator("main script, main img").count() == 0


def test_a_run_without_an_evaluation_says_what_to_do(runs: Path, workbench: WebProcess, opened: Opened):
    write_run(runs / "bare")
    page = opened(workbench, "#/runs/bare/evals")
    page.wait_for_selector("text=This run was not evaluated")
    assert "picochat eval skills" in page.inner_text("main")
    page.goto(f"{workbench.url}#/runs/bare/evals?tab=rows")
    page.wait_for_selector("text=There are no such rows")
    page.goto(f"{workbench.url}#/runs/bare/evals?tab=honesty")
    page.wait_for_selector("text=Memorisation was not measured")
    assert "0 found" not in page.inner_text("main"), "what was not looked for is not 0"
