from __future__ import annotations

import re
from typing import Any

import pytest
from tests.support.pages import (
    CHECK,
    Page,
    content,
    curves,
    hostile_documents,
    more,
    require_harmless,
    source,
    training,
)

from picochat.views.checks import UNKNOWN
from picochat.views.report.page import render_report
from picochat.views.report.style import STYLE


def page_of(shown: dict[str, Any], beside: dict[str, Any] | None = None) -> Page:
    page = Page.of(render_report(shown, beside or more()))
    require_harmless(page)
    return page


def test_nothing_known_is_unknown_and_neither_zero_nor_green() -> None:
    page = page_of(content())
    assert not re.search(r"(?<![\w.])0(?![\w.])", page.text), page.text
    badges = {attributes["class"] for name, attributes in page.elements if name == "span" and "class" in attributes}
    assert "badge blocked" in badges and not badges & {"badge pass", "badge approved"}
    assert "unknown: no checkpoint was judged" in page.text
    assert "No check passed." in page.text and "No external benchmark was run." in page.text
    assert "Not scanned" in page.text and "curve is unknown: missing" in page.text
    assert page.text.count("Nothing is known of this.") >= 4
    assert f"Parameters {UNKNOWN}" in page.text


def test_what_was_not_run_comes_before_what_blocks_and_that_before_what_passed() -> None:
    checks = [
        CHECK | {"id": "verify.chain", "verdict": "block", "fix": "mend it"},
        CHECK,
        CHECK | {"id": "gate.evidence", "verdict": "pass"},
    ]
    page = page_of(content(not_run=["external.present"], not_judged=["preflight"], checks=checks))
    headings = [text for level, text in page.headings() if level == "h3"]
    wanted = ["Not run", "Not judged by this version of the profile", "Blocked and warned", "What to do next", "Passed"]
    assert [text for text in headings if text in wanted] == wanted
    places = [page.text.index(word) for word in ("external.present", "preflight", "verify.chain", "gate.evidence")]
    assert places == sorted(places)
    assert "the reason" in page.text and "Fix: mend it" in page.text and "0.723 [0.690, 0.750] (n = 1,200)" in page.text


@pytest.mark.parametrize("profile", ["research", "skill_release"])
def test_research_says_that_it_speaks_for_integrity_alone(profile: str) -> None:
    page = page_of(content(profile=profile, verdict="approved"))
    assert ("integrity of the numbers alone" in page.text) == (profile == "research")
    assert page.text.index("approved") < page.text.index("Gate")


def test_hostile_text_is_text_everywhere() -> None:
    shown, beside = hostile_documents()
    page = page_of(shown, beside)
    assert page.text.count("<script>alert(1)</script>") > 40
    assert not any(found in page.text for found in ("\u202e", "\x1b"))
    assert render_report(shown, beside).encode()


def test_curves_samples_data_and_lineage_are_shown() -> None:
    one = training(
        present=True,
        curves=curves(
            loss=[[1, 6.0], [2, 5.0]], bpb=[[1, 4.0], [2, 3.5]], lr=[[1, 0.01], [2, 0.02]],
            val_loss=[[2, 5.2]], val_bpb=[[2, 3.6]], steps_a_point=2, skipped=1, problem="",
        ),
        samples=[{"step": 2, "prompt": "Once", "text": "upon\n a time", "cut": False}],
    )  # fmt: skip
    data = {"sources": [source(licence="MIT", dropped=3)], "dropped": [["too_short", 3]], "counts": {"documents": 8}}
    file = {"path": "corpus.txt", "sha256": "ab" * 32, "external": False, "written_by": "dataset", "read_by": ["base"]}
    page = page_of(content(), more(trainings={"base": one, "sft": training()}, data=data, lineage=[file]))
    assert [name for name, _ in page.elements].count("svg") == 3
    assert "train: from 6 at step 1 to 5 at step 2, lowest 5" in page.text
    assert "mean of 2 steps" in page.text and "1 steps that the guard skipped" in page.text
    assert page.inside["pre"] == ["Once", "upon\n a time"]
    assert "MIT" in page.text and "too short" in page.text and "ab" * 32 in page.text


def test_a_page_can_be_heard_and_fits_its_places() -> None:
    shown, beside = hostile_documents()
    page = page_of(shown, beside)
    tables = [name for name, _ in page.elements].count("table")
    assert tables > 8 and [name for name, _ in page.elements].count("caption") == tables
    assert all(attributes.get("scope") in ("col", "row") for name, attributes in page.elements if name == "th")
    levels = [int(level[1]) for level, _ in page.headings()]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in zip(levels, levels[1:], strict=False))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert dict(page.elements)["html"] == {"lang": "en"}
    for rule in ("prefers-color-scheme: dark", "max-width: 44rem", "@media print", "color-scheme: light dark"):
        assert rule in STYLE


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    bright, dim = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_text_has_contrast_in_light_and_dark() -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text, 1.4.11: 3 to 1 for the lines of a chart."""
    themes = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in STYLE.split("prefers-color-scheme")]
    assert len(themes) == 2
    for theme in themes:
        for text in ("ink", "dim"):
            assert min(contrast(theme[text], theme[ground]) for ground in ("ground", "panel")) >= 4.5
        for kind in ("pass", "warn", "block", "waived", "other"):
            assert contrast(theme[kind], theme[f"{kind}-ground"]) >= 4.5
        for line in ("s0", "s1", "s2"):
            assert contrast(theme[line], theme["ground"]) >= 3


def test_equal_documents_give_equal_bytes() -> None:
    shown, beside = hostile_documents()
    assert render_report(shown, beside) == render_report(*hostile_documents())
