from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.support.pages import HOSTILE, Page

from picochat.views.markup import Markup, element, escape, join, seen


def test_text_is_escaped_and_markup_is_not_escaped_twice() -> None:
    assert element("p", "a < b & c", element("b", "x"), None, ["1", "2"]) == "<p>a &lt; b &amp; c<b>x</b>12</p>"
    assert element("p", Markup("<i>x</i>")) == "<p><i>x</i></p>"


def test_attributes_are_quoted_and_named() -> None:
    made = element("td", data_label='a"b', class_="x", tabindex=0, hidden=True, title=None, lang=False)
    assert made == '<td data-label="a&quot;b" class="x" tabindex="0" hidden=""></td>'
    assert element("circle", cx=1.5) == '<circle cx="1.5"/>'
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_hostile_text_stays_text() -> None:
    page = Page.of(element("p", HOSTILE, title=HOSTILE))
    assert page.names == {"p"}
    (attributes,) = [found for name, found in page.elements if name == "p"]
    assert set(attributes) == {"title"}
    assert "<script>alert(1)</script>" in page.text
    assert "\u202e" not in page.text and "\\u202e" in page.text and "\\x1b" in page.text and "\\ud800" in page.text


@given(st.text(st.characters()))
def test_any_text_can_be_written_and_opens_nothing(text: str) -> None:
    made = join([escape(text)])
    made.encode()
    assert "<" not in made and ">" not in made and '"' not in made


def test_line_breaks_and_tabs_of_samples_stay() -> None:
    assert seen("a\n\tb\r") == "a\n\tb\\r"
