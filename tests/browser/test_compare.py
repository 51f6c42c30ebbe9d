"""Runs side by side: numbers as the terminal has them, other tokenizers, settings with their origins and as TOML."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.green_run import GreenRun
from tests.support.tiny_run import picochat
from tests.support.web_process import WebProcess
from tests.support.web_runs import copy_run

from picochat.artifacts import layout
from picochat.core.config import flatten
from picochat.pipeline.profiles import tiny

expect = pytest.importorskip("playwright.sync_api", reason="NOT RUN: playwright is not installed").expect
Opened = Callable[..., Any]
GRANTED = ["clipboard-read", "clipboard-write"]


@pytest.fixture
def pair(runs: Path) -> tuple[Path, Path]:
    """Two scripted runs of one text whose replies differ."""
    GreenRun(runs / "one", name="same", rates={"eval": 0.9}).build(n=40)
    GreenRun(runs / "two", name="same", rates={"eval": 0.5}, seed=2).build(n=40)
    return runs / "one", runs / "two"


def test_two_runs_show_what_the_terminal_shows(workbench: WebProcess, pair: tuple[Path, Path], opened: Opened) -> None:
    page = opened(workbench, "#/compare?runs=one,two")
    page.wait_for_selector("#flipped tbody tr")
    found = json.loads(picochat("compare", *pair, "--json", "--limit", "200").stdout)
    pairs = found["pairs"]["eval"]["against"][0]
    assert f"{pairs['discordant_rows']} of {pairs['discordant_rows']} rows that flipped" in page.inner_text("#flipped")
    assert page.locator("#flipped table").nth(1).locator("tbody tr").count() == pairs["discordant_rows"]
    measure = next(entry for entry in found["measures"] if entry["name"] == "eval.mean_skill")
    row = page.locator("#measures tbody tr", has_text="Eval, mean of the skills").inner_text()
    difference = measure["deltas"][1]["difference"]
    assert f"−{abs(difference) * 100:.1f} %" in row
    assert all(f"{value * 100:.1f} %" in row for value in measure["values"])
    assert "seed" in page.inner_text("#config")
    page.get_by_label("Rows of").select_option("heldout")
    page.wait_for_url(re.compile("set=heldout"))
    page.get_by_role("button", name="Take two out").click()
    page.wait_for_url(re.compile(r"#/compare\?runs=one&set=heldout$"))
    page.get_by_label("Against").wait_for()


def test_with_other_tokenizers_bits_a_byte_alone_are_compared(
    workbench: WebProcess, runs: Path, tiny_run: Path, opened: Opened
) -> None:
    first, second = copy_run(tiny_run, runs, "first"), copy_run(tiny_run, runs, "second")
    for stage in ("base", "sft"):
        path = second / layout.report_path(stage)
        report = json.loads(path.read_text())
        tokenizer = next(ref for ref in report["manifest"]["inputs"] if ref["kind"] == "tokenizer")
        path.write_text(path.read_text().replace(tokenizer["sha256"], "0" * 64))
    page = opened(workbench, f"#/compare?runs={first.name},{second.name}")
    page.get_by_text("The tokenizers are other ones: only bits a byte are compared.").wait_for()
    for row in page.locator("#measures tbody tr").all():
        cells = row.locator("td").all_inner_texts()
        text = row.inner_text()
        if "nats a token" in text or "fraction" in text:
            assert cells[-1] == "—", text
    assert "these rows are not compared" in page.inner_text("#flipped")
    assert page.locator("[data-chart=compared-val_bpb]").is_visible()


def test_settings_are_set_against_the_profile_and_copied(workbench: WebProcess, runs: Path, desk: Any) -> None:
    config = tiny().as_dict()
    keys = flatten(config)
    config["base"]["loop"]["lr"], config["data"]["pack"] = 0.004, "/texts"
    origins = dict.fromkeys(keys, "profile tiny") | {"base.loop.lr": "--set", "data.pack": "flag"}
    (runs / "changed").mkdir()
    record = {"profile": "tiny", "config": config, "origins": origins}
    (runs / "changed" / layout.RUN).write_text(json.dumps(record))
    shutil.copytree(runs / "changed", runs / "other")
    page = desk.open(workbench, "#/compare?runs=changed", permissions=GRANTED)
    page.get_by_text(f"Settings: 2 of {len(keys)} differ").wait_for()
    rows = page.locator("#config tbody tr").all_inner_texts()
    assert len(rows) == 2 and "0.004" in rows[0] and "--set" in rows[0] and "flag" in rows[1]
    page.get_by_role("button", name="Copy as TOML").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert flatten(tomllib.loads(copied)) == {"base.loop.lr": 0.004, "data.pack": "/texts"}
    page.get_by_label("All keys").check()
    expect(page.locator("#config tbody tr")).to_have_count(len(keys))
    page.get_by_label("All keys").uncheck()
    page.get_by_label("Against").select_option("run")
    page.get_by_role("combobox", name="Run", exact=True).select_option("other")
    page.get_by_text(f"Settings: 0 of {len(keys)} differ").wait_for()
    page.get_by_label("Against").select_option("parent")
    desk.account(page).expected.append("404")
    page.get_by_text("the run began by itself").wait_for()
