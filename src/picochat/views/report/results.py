"""What the model scored, as parts of report.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.core.units import format_count, format_duration
from picochat.views.checks import UNKNOWN, format_value
from picochat.views.dataset import Table
from picochat.views.evals import result_tables
from picochat.views.evals.result_tables import optional
from picochat.views.markup import Markup, element, join
from picochat.views.report import tables
from picochat.views.summary import THREE_FACTS, THREE_SCORES

Content = Mapping[str, Any]


def show(caption: str, table: Table) -> Markup | None:
    return tables.table(caption, table.columns, table.rows)


def at_a_glance(facts: Content) -> Markup:
    """The handful of numbers that a reader looks for first."""
    run, base, sft = facts["run"] or {}, facts["base"], facts["sft"]
    return tables.facts(
        [
            ("Profile of the run", str(run.get("profile", UNKNOWN))),
            ("Made at", str(run.get("created_at", UNKNOWN))),
            ("Parameters", optional(facts["parameters"], format_count)),
            ("Vocabulary", f"{format_value(facts['tokenizer']['vocab_size'])} tokens"),
            ("Tokens seen, base", optional(base["tokens_seen"], format_count)),
            ("Tokens seen, SFT", optional(sft["tokens_seen"], format_count)),
            ("Held-out bits per byte, base", optional(base["bpb"], lambda bpb: f"{bpb:.4f}")),
            ("Training time, base", optional(base["duration_s"], format_duration)),
            ("Training time, SFT", optional(sft["duration_s"], format_duration)),
        ]
    )


def rates(facts: Content) -> Markup | None:
    """Three facts side by side."""
    shown = show("Share of right answers, with 95 % intervals", result_tables.rates_table(facts["rates"]))
    return join([shown, element("p", THREE_FACTS, class_="note")]) if shown else None


def contamination(facts: Content) -> Markup | None:
    """Clean and dirty scores; not scanned is said, never taken as clean."""
    found = facts.get("contamination")
    if found is None or not found["scanned"]:
        problem = (found or {}).get("problem", "")
        return element("p", f"{result_tables.NOT_SCANNED}{f' ({problem})' if problem else ''}.")
    return join(
        [
            show("Items of each set that stand in the training text", result_tables.contaminated_items(found)),
            show("Scores on all, clean and dirty items", result_tables.clean_scores(found)),
            element("p", THREE_SCORES, class_="note"),
        ]
    )


def benchmarks(facts: Content) -> Markup:
    shown = show("Scores with 95 % intervals", result_tables.benchmarks_table(facts["benchmarks"]))
    return shown or element("p", "No external benchmark was run.")


def losses(facts: Content) -> Markup | None:
    return show("Bits per byte on the held-out documents, best first", result_tables.losses_table(facts))
