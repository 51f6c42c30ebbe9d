"""The page of curves in a real browser: live points, axes, zoom, keyboard, seams, spikes, table, export."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.events import Story, loss_of, resumed, straight
from tests.support.web_process import WebProcess
from tests.support.web_runs import copy_run

LOSS = "loss-val_loss"
CLIPBOARD = {"permissions": ["clipboard-read", "clipboard-write"]}
Opened = Callable[..., Any]
AXES = {
    "step": "step",
    "tokens": "tokens seen",
    "flops": "model FLOPs",
    "wall": "wall time",
    "active": "active time",
    "epoch": "epoch",
}
ROWS = "rows => rows.map((row) => [...row.cells].map((cell) => cell.innerText))"


def chart(page: Any, name: str = LOSS) -> Any:
    """The figure, once its points are drawn."""
    found = page.locator(f'figure[data-chart="{name}"]')
    found.locator(".chart-host[data-drawn]").wait_for()
    return found


def drawn(figure: Any) -> int:
    return int(figure.locator(".chart-host").get_attribute("data-drawn"))


def press(figure: Any, *keys: str) -> None:
    area = figure.locator(".chart-area")
    area.focus()
    for key in keys:
        area.press(key)


def value_of(figure: Any, key: str = "loss") -> str:
    return figure.locator(f'.readout dd[data-key="{key}"]').inner_text()


def step_of(figure: Any) -> int:
    return int(figure.locator(".readout").get_attribute("data-step"))


def wait_drawn(page: Any, count: int, timeout: float = 10_000, name: str = LOSS) -> None:
    page.wait_for_selector(f'figure[data-chart="{name}"] .chart-host[data-drawn="{count}"]', timeout=timeout)


def wait_address(page: Any, words: str) -> None:
    """Until the address holds the words. Not by a function in the page: its policy forbids code made of text."""
    page.wait_for_url(lambda url: words in url, timeout=5_000)


def test_new_points_come_within_a_second_and_the_view_stays(workbench: WebProcess, opened: Opened, runs: Path) -> None:
    path = straight(120).write(runs / "made-1")
    page = opened(workbench, "#/runs/made-1/curves?from=20&smooth=0")
    figure = chart(page)
    wait_drawn(page, 101 + 2)
    page.wait_for_selector("text=live", timeout=8000)
    page.evaluate("document.querySelector('.chart-host canvas').mine = true")
    with path.open("a") as stream:
        for line in straight(170).text().splitlines():
            event = json.loads(line)
            if event["kind"] == "step" and event["step"] > 120:
                stream.write(line + "\n")
    wait_drawn(page, 151 + 2, timeout=2_500)
    assert "151 of 151 points" in figure.locator(".chart-count").inner_text()
    assert page.evaluate("document.querySelector('.chart-host canvas').mine") is True, "the plot was not made again"
    assert page.url.endswith("from=20&smooth=0")


def test_a_point_has_its_value_on_every_axis(workbench: WebProcess, opened: Opened, runs: Path) -> None:
    root = runs / "made-1"
    straight(120).write(root)
    (root / "base").mkdir()
    (root / "base" / "report.json").write_text(json.dumps({"training": {"epochs": 2.0, "tokens_seen": 120 * 4096}}))
    page = opened(workbench, "#/runs/made-1/curves?smooth=0")
    figure = chart(page)
    press(figure, "Home", *["ArrowRight"] * 41, "Enter")
    seen = {}
    for axis in AXES:
        page.locator("select").first.select_option(axis)
        wait_address(page, f"x={axis}")
        page.locator(f'.chart-area[aria-label$="over {AXES[axis]}"]').first.wait_for()
        page.mouse.move(5, 5)
        page.wait_for_timeout(200)
        place = figure.locator(".at-x")
        seen[axis] = (step_of(figure), value_of(figure), place.inner_text() if place.count() else "")
    assert {found[:2] for found in seen.values()} == {(42, f"{loss_of(42):.3f}")}
    assert [seen[axis][2] for axis in ("tokens", "wall", "active")] == ["172 k", "4.2 s", "4.2 s"]
    assert seen["epoch"][2] == "0.7"
    page.get_by_label("log x").check()
    page.get_by_label("log y").check()
    wait_address(page, "logy=1")


def test_values_without_a_logarithm_are_counted(workbench: WebProcess, opened: Opened, runs: Path) -> None:
    story = straight(60)
    story.events[10]["loss"] = story.events[11]["loss"] = -1.0
    story.write(runs / "made-1")
    page = opened(workbench, "#/runs/made-1/curves?logy=1")
    chart(page)
    wait_drawn(page, 58 + 1)
    assert "2 not above 0 left out" in chart(page).locator(".chart-count").inner_text()


def test_zoom_needs_no_drag_and_the_address_holds_the_view(workbench: WebProcess, opened: Opened, runs: Path) -> None:
    straight(200).write(runs / "made-1")
    page = opened(workbench, "#/runs/made-1/curves?smooth=0&tab=base")
    chart(page)
    page.get_by_role("button", name="Zoom in").click()
    wait_address(page, "from=50.75")
    wait_drawn(page, 100 + 2)
    page.get_by_label("from", exact=True).fill("60")
    page.get_by_label("to", exact=True).fill("90")
    page.get_by_label("to", exact=True).press("Enter")
    wait_drawn(page, 31)
    page.reload()
    wait_drawn(page, 31)
    page.get_by_role("button", name="Later").click()
    wait_address(page, "from=67.5")
    page.get_by_role("button", name="Whole").click()
    wait_drawn(page, 200 + 4)
    box = chart(page).locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 70, steps=4)
    page.mouse.up()
    wait_address(page, "from=4")
    assert re.search(r"from=4\d\.\d+&to=1\d\d\.", page.url), page.url


def test_the_keyboard_walks_points_and_series_and_pins(workbench: WebProcess, opened: Opened, runs: Path) -> None:
    straight(200).write(runs / "made-1")
    page = opened(workbench, "#/runs/made-1/curves?smooth=0", **CLIPBOARD)
    figure = chart(page)
    steps = []
    for key in ("Home", "ArrowRight", "PageDown", "PageUp", "End", "ArrowLeft"):
        press(figure, key)
        steps.append(step_of(figure))
    assert steps == [1, 2, 22, 2, 200, 199]
    assert figure.get_by_role("status").first.inner_text() == f"train, {loss_of(199):.3f}, step 199"
    assert step_of(chart(page, "lr")) == 199, "one cursor for all charts"
    press(figure, "ArrowDown")
    assert figure.get_by_role("status").first.inner_text().startswith("held-out, ")
    press(figure, "Enter")
    page.mouse.click(5, 5)
    assert figure.locator(".readout dt").first.inner_text() == "pinned"
    figure.get_by_role("button", name="Copy row").click()
    page.wait_for_timeout(150)
    head, *rows = (line.split("\t") for line in page.evaluate("navigator.clipboard.readText()").splitlines())
    found = [dict(zip(head, row, strict=True)) for row in rows]
    assert [row["series"] for row in found] == ["loss", "val_loss"]
    assert float(found[0]["last"]) == pytest.approx(loss_of(200), rel=1e-8) and found[1]["step"] == "200"
    press(figure, "Escape")
    assert figure.locator(".readout dt").first.inner_text() == "last"
    box = figure.locator(".u-over").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.move(5, 5)
    assert figure.locator(".readout dt").first.inner_text() == "pinned"
    assert 95 <= step_of(figure) <= 106


def test_a_resume_is_one_seam(workbench: WebProcess, opened: Opened, runs: Path) -> None:
    resumed().write(runs / "made-1")
    page = opened(workbench, "#/runs/made-1/curves?x=active")
    figure = chart(page)
    words = figure.locator("figcaption").inner_text()
    assert words.count("Seam:") == 1 and "50 steps repeated, equal to the bit" in words
    figure.get_by_role("button", name="Show as table").click()
    x: dict[str, list[float]] = {}
    repeated = 0
    for _ in range(7):
        for cells in figure.locator("tbody tr").evaluate_all(ROWS):
            if cells[0] == "loss":
                x.setdefault(cells[1], []).append(float(cells[3]))
                repeated += cells[2] == "1"
        figure.get_by_role("button", name="Next page").click()
    assert repeated == 50 and [len(x["1"]), len(x["2"])] == [150, 200]
    assert all(places == sorted(set(places)) for places in x.values())
    marks = page.get_by_role("table", name="Events on the axis")
    assert "step rejected by the guard" in marks.inner_text() and "221" in marks.inner_text()
    where = marks.get_by_role("link", name="step rejected by the guard").get_attribute("href")
    figure.locator(".u-over").scroll_into_view_if_needed()
    box = figure.locator(".u-over").bounding_box()
    # The axis goes from 0.1 s to 35.02 s with a margin of 1.5 % at both ends.
    share = (27.06 - 0.1 + 0.5238) / (34.92 * 1.03)
    page.mouse.click(box["x"] + box["width"] * share, box["y"] + box["height"] - 7)
    wait_address(page, f"events?offset={where.rpartition('=')[2]}")
    page.get_by_role("heading", name="Events", exact=True).first.wait_for()


def test_a_spike_of_one_point_survives(workbench: WebProcess, opened: Opened, runs: Path) -> None:
    story = straight(4000)
    next(event for event in story.events if event.get("step") == 2345)["loss"] = 30.0
    story.write(runs / "made-1")
    page = opened(workbench, "#/runs/made-1/curves?smooth=0.9")
    figure = chart(page)
    assert "train: 1,500 of 4,000 points" in figure.locator(".chart-count").inner_text()
    inked = """([figure, part]) => {
      const canvas = figure.querySelector("canvas");
      const over = figure.querySelector(".u-over");
      const ratio = canvas.width / canvas.clientWidth;
      const box = [over.offsetLeft + over.clientWidth * 0.56, over.offsetTop + over.clientHeight * 0.2,
        over.clientWidth * 0.06, over.clientHeight * part].map((edge) => edge * ratio);
      const { data } = canvas.getContext("2d").getImageData(...box);
      let found = 0;
      for (let at = 0; at < data.length; at += 4) found += data[at + 3] > 20 && data[at + 2] - data[at] > 25;
      return found;
    }"""
    assert page.evaluate(inked, [figure.element_handle(), 0.4]) > 10
    page.get_by_label("outliers").uncheck()
    wait_address(page, "outliers=0")
    assert "30" not in figure.locator(".readout").inner_text()
    press(figure, "Home")
    figure.get_by_role("button", name="held-out", exact=True).click()
    wait_address(page, "hide=val_loss")
    wait_drawn(page, 1500)
    figure.get_by_role("button", name="only held-out").click()
    wait_address(page, "hide=loss")
    wait_drawn(page, 80)


def test_a_real_run_has_the_numbers_of_its_report(
    workbench: WebProcess, opened: Opened, runs: Path, tiny_run: Path
) -> None:
    root = copy_run(tiny_run, runs)
    report = json.loads((root / "base" / "report.json").read_text())
    bytes_per_token = json.loads((root / "tokenizer_report.json").read_text())["bytes_per_token"]
    last = json.loads((root / "base" / "ledger.jsonl").read_text().splitlines()[-1])
    page = opened(workbench, f"#/runs/{root.name}/curves?smooth=0")
    loss, bpb = chart(page), chart(page, "bpb-val_bpb")
    final = float.fromhex(last["loss"])
    assert value_of(bpb, "val_bpb") == f"{report['validation']['bpb']:.3f}"
    assert value_of(bpb, "bpb") == f"{final / math.log(2) / bytes_per_token:.3f}"
    assert float(value_of(loss, "loss")) == pytest.approx(final, rel=5e-4)
    lines = page.locator("details.more")
    lines.locator("summary").click()
    told = lines.inner_text()
    assert all(name in told for name in ("uniform", "4-gram", "best, step", "planned end, step", "threshold of"))


def test_table_and_csv_have_the_same_numbers(workbench: WebProcess, opened: Opened, runs: Path) -> None:
    resumed().write(runs / "made-1")
    page = opened(workbench, "#/runs/made-1/curves?x=tokens&smooth=0.5&from=204800&to=700000")
    figure = chart(page)
    figure.get_by_role("button", name="Show as table").click()
    shown = []
    while True:
        shown += figure.locator("tbody tr").evaluate_all(ROWS)
        if figure.get_by_role("button", name="Next page").is_disabled():
            break
        figure.get_by_role("button", name="Next page").click()
    link = figure.get_by_role("link", name="CSV").get_attribute("href")
    text = page.evaluate("url => fetch(url).then((answer) => answer.text())", link)
    rows = list(csv.reader(io.StringIO(text)))[1:]
    assert len(rows) == len(shown) > 150
    assert [[number(cell) for cell in row] for row in shown] == [[number(cell) for cell in row] for row in rows]


def number(cell: str) -> float | str | None:
    if cell in ("—", ""):
        return None
    try:
        return float(cell)
    except ValueError:
        return cell


def test_smoothing_legend_theme_and_files(workbench: WebProcess, opened: Opened, runs: Path) -> None:
    straight(120).write(runs / "made-1")
    page = opened(workbench, "#/runs/made-1/curves?tab=base")
    figure = chart(page)
    slider, field = page.get_by_label("smoothing", exact=True), page.get_by_label("Smoothing as a number")
    assert slider.input_value() == field.input_value() == "0.6"
    field.fill("0.95")
    field.press("Enter")
    wait_address(page, "smooth=0.95")
    assert slider.input_value() == "0.95"
    slider.focus()
    slider.press("ArrowLeft")
    wait_address(page, "smooth=0.949")
    assert field.input_value() == "0.949"
    assert "smoothed" in value_of(figure) and "smoothed" not in value_of(figure, "val_loss")
    assert "smoothed" not in value_of(chart(page, "lr"), "lr")
    picture = "document.querySelector('.chart-host canvas').toDataURL()"
    light = page.evaluate(picture)
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(150)
    assert page.evaluate(picture) != light, "the canvas follows the theme"
    for kind in ("CSV", "JSON", "SVG", "PNG"):
        with page.expect_download() as waiting:
            figure.locator(".exports").get_by_text(kind, exact=True).click()
        data = Path(waiting.value.path()).read_bytes()
        assert waiting.value.suggested_filename.startswith("made-1-base") and data
        if kind == "SVG":
            assert data.startswith(b"<svg") and b"train: from" in data and b"<polyline" in data
        if kind == "PNG":
            assert data.startswith(b"\x89PNG")
        if kind == "JSON":
            assert len(json.loads(data)["series"][0]["last"]) == 120


def test_the_system_shows_a_dash_for_what_nobody_knows(workbench: WebProcess, opened: Opened, runs: Path) -> None:
    straight(120).write(runs / "made-1")
    page = opened(workbench, "#/runs/made-1/curves?tab=system")
    step_time = chart(page, "step_time_s")
    facts = page.locator("#now").inner_text()
    assert "41 k tokens/s" in facts and "0.1 s" in facts
    assert "GPU: —" in facts and "Slowest rank\n—" in facts
    assert drawn(step_time) == 120
    assert page.locator('figure[data-chart="peak_memory_bytes"]').count() == 0


def test_lines_that_are_no_events_are_said_and_a_run_without_points_says_what_to_do(
    workbench: WebProcess, opened: Opened, runs: Path
) -> None:
    path = straight(30).write(runs / "made-1")
    with path.open("a") as stream:
        stream.write("<script>alert(1)</script>\n" * 3)
    Story().write(runs / "young-1")
    page = opened(workbench, "#/runs/made-1/curves")
    chart(page)
    assert "3 lines of the events are none" in page.locator(".state.partial").first.inner_text()
    page.goto(workbench.url + "#/runs/young-1/curves?tab=sft")
    page.get_by_text("No point of sft yet").wait_for()
