"""The playground on real weights: two checkpoints, one prompt and seed, streamed, stopped, asked again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.web_process import WebProcess
from tests.support.web_runs import copy_run

LOAD_MS = 60_000
STATE = ".side:nth-of-type({side}) .answer[data-state={state}]"


def ask(page: Any, text: str, **controls: object) -> None:
    for name, value in controls.items():
        page.fill(f"input[name={name}]", str(value))
        page.press(f"input[name={name}]", "Tab")
    page.fill("textarea[name=prompt]", text)
    page.click("text=Ask")


def answer_of(page: Any, side: str) -> str:
    page.wait_for_selector(f"#side-{side} ~ .answer[data-state=done]", timeout=LOAD_MS)
    return page.text_content(f"#side-{side} ~ .answer [data-text]")


def test_two_checkpoints_answer_one_prompt_and_the_same_seed_says_the_same(
    tiny_run: Path, runs: Path, workbench: WebProcess, opened: Callable[..., Any]
):
    copy_run(tiny_run, runs)
    page = opened(workbench, "#/play?left=tiny-1/sft/checkpoint&right=tiny-1/base/checkpoint")
    ask(page, "Who are you?", max_tokens=12, temperature=1, seed=7)
    first = [answer_of(page, side) for side in ("left", "right")]
    assert all(first)
    assert page.locator("#side-left ~ .answer .token").count() > 1
    page.click("text=Regenerate")
    page.wait_for_selector("#side-left ~ .answer:not([data-state=done])", timeout=LOAD_MS)
    assert [answer_of(page, side) for side in ("left", "right")] == first
    # Keyboard alone: a token, its probability, its ten rivals of which the drawn one is marked.
    page.focus("#side-left ~ .answer .tokens")
    page.keyboard.press("End")
    page.wait_for_selector("#side-left ~ .answer .rivals .drawn")
    assert page.locator("#side-left ~ .answer .rivals tbody tr").count() == 10
    assert "%" in page.text_content("#side-left ~ .answer .rivals")
    page.click("#side-left ~ .exact summary")
    assert "<|user|>" in page.text_content("#side-left ~ .exact")
    page.click("#side-left ~ .exports summary")
    shown = page.text_content("#side-left ~ .exports")
    assert "curl -s" in shown and "OpenAI(" in shown and "picochat serve --checkpoint" in shown


def test_an_answer_is_stopped_and_the_prompt_is_edited(
    tiny_run: Path, runs: Path, workbench: WebProcess, opened: Callable[..., Any]
):
    copy_run(tiny_run, runs)
    page = opened(workbench, "#/play?left=tiny-1/base/checkpoint")
    ask(page, "<script>window.pwned = 1</script>", max_tokens=4000, temperature=2)
    page.wait_for_selector("#side-left ~ .answer[data-state=failed]", timeout=LOAD_MS)
    assert "context" in page.text_content("#side-left ~ .answer .problem")
    page.click("text=Edit the last prompt")
    assert page.input_value("textarea[name=prompt]") == "<script>window.pwned = 1</script>"
    ask(page, "Once", max_tokens=100)
    page.click("button:has-text('Stop')")
    page.wait_for_selector("#side-left ~ .answer[data-state=stopped]", timeout=LOAD_MS)
    page.click("text=Start again")
    assert page.locator(".answer").count() == 0
    assert page.evaluate("window.pwned") is None
