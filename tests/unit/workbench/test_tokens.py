"""The contrast of every pair of colours that stand on each other, in both themes (WCAG 2.2, 1.4.3 and 1.4.11)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSS = Path(__file__).parents[3] / "src" / "picochat" / "workbench" / "static" / "css"
TOKENS = (CSS / "tokens.css").read_text()
PAIR = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")
COLOURS = {name: pair for name, *pair in PAIR.findall(TOKENS)}
THEMES = ["light", "dark"]
GROUNDS = ["bg", "surface", "raised"]
TONES = ["pass", "warn", "block", "neutral", "stale", "accent"]
SERIES = [f"s{i}" for i in range(8)]


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, by WCAG."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_black_on_white_is_21_to_1():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("theme", [0, 1], ids=THEMES)
def test_text_has_4_5_to_1(theme: int):
    texts = [(text, ground) for text in ("text", "muted", "accent", *TONES) for ground in GROUNDS]
    badges = [(tone, f"{tone}-ground") for tone in TONES]
    for text, ground in [*texts, *badges, ("on-accent", "accent"), ("on-danger", "danger"), ("text", "accent-ground")]:
        measured = contrast(COLOURS[text][theme], COLOURS[ground][theme])
        assert measured >= 4.5, f"--{text} on --{ground}: {measured:.2f}"


@pytest.mark.parametrize("theme", [0, 1], ids=THEMES)
def test_borders_of_controls_focus_and_series_have_3_to_1(theme: int):
    for mark, ground in [(mark, ground) for mark in ("edge", "focus", *SERIES) for ground in ("bg", "surface")]:
        measured = contrast(COLOURS[mark][theme], COLOURS[ground][theme])
        assert measured >= 3, f"--{mark} on --{ground}: {measured:.2f}"


def test_the_contract_of_names_is_kept():
    wanted = {*GROUNDS, *TONES, *SERIES, "text", "muted", "line", "focus"}
    assert wanted <= COLOURS.keys()
    for name in ("radius", "mono", "sans", "size-s", "size-m", "size-l", *(f"space-{i}" for i in range(1, 7))):
        assert f"--{name}:" in TOKENS


def test_no_other_stylesheet_has_colours_of_its_own():
    for path in sorted(CSS.glob("*.css")):
        if path.name != "tokens.css":
            text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
            assert re.findall(r"#[0-9a-fA-F]{3,8}\b|\b(?:rgb|hsl|oklch)a?\(", text) == [], path.name
