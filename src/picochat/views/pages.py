"""The pages of a run, each rendered from artifacts alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.artifacts import layout
from picochat.views.card.page import render_model_card
from picochat.views.report.page import render_report
from picochat.views.summary import render_summary

Content = Mapping[str, Any]


def render_pages(content: Content, more: Content) -> dict[str, str]:
    """By file name: the summary in words, the report for a reviewer, the model card."""
    return {
        layout.SUMMARY_MD: render_summary(content),
        layout.REPORT_HTML: render_report(content, more),
        layout.MODEL_CARD: render_model_card(content, more),
    }
