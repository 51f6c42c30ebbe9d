"""summary.md, rendered from the content of summary.json alone: equal content gives equal bytes."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from picochat.views.checks import UNKNOWN, CheckRow, check_rows
from picochat.views.dataset import Table
from picochat.views.evals import result_tables as tables
from picochat.views.evals.memorisation import render_memorisation
from picochat.views.gate.prediction import prediction_notes, prediction_table
from picochat.views.gate.waivers import NOTE, TITLE, waivers_table
from picochat.views.markup import seen

VERDICT_WORDS = {
    "approved": "every required check passes",
    "warn": "nothing blocks, something warns: not a release",
    "blocked": "at least one required check fails or did not run: not a release",
}
WAIVED = "nothing blocks, something warns or is waived: not a release"
RESEARCH = "Under research the verdict speaks for the integrity of the numbers alone, not for quality."
THREE_FACTS = (
    "Three facts in three columns: answers to rows it trained on, to other templates and entities, "
    "and to independent rows."
)
THREE_SCORES = "No item is left out of the full score. What could not be checked is not counted as clean."
Content = Mapping[str, Any]


def render_summary(content: Content) -> str:
    """Markdown for people: the verdict, what was not run, what needs attention, the numbers, what to do next."""
    parts = [
        _head(content),
        _section("Not run", _not_run(content)),
        _section("Not judged by this version of the profile", _bullets(content["not_judged"])),
        _section("Blocked and warned", _checks(content, ("block", "warn", "waived"))),
        _section(TITLE, _waivers(content)),
        _section("What to do next", _next(content)),
        _section("Fit, held-out fit and eval", _rates(content["facts"])),
        _section("Scores with and without what stands in the training text", _contamination(content["facts"])),
        _section("Learned by heart", render_memorisation(content["facts"])),
        _section("Losses", _markdown(tables.losses_table(content["facts"]))),
        _section("Predicted and measured loss", _prediction(content["facts"])),
        _section("External benchmarks", _markdown(tables.benchmarks_table(content["facts"]["benchmarks"]))),
        _section("Training", _training(content["facts"])),
        _section("Passed", _checks(content, ("pass",))),
        _section("Shown, not judged by this profile", _table_of_checks(content["shown"])),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict_words(content: Content) -> str:
    """What the verdict means, in one sentence."""
    if content["verdict"] == "warn" and any(check["verdict"] == "waived" for check in content["checks"]):
        return WAIVED
    return VERDICT_WORDS.get(content["verdict"], "this word is unknown")


def _head(content: Content) -> str:
    run = content["facts"]["run"] or {}
    verdict = content["verdict"]
    lines = [
        f"# {run.get('name', 'run')}: {verdict} under {content['profile']}",
        f"{verdict}: {verdict_words(content)}. Profile `{content['profile']}` version {content['profile_version']}, "
        f"weights `{content['weights_digest'] or UNKNOWN}`.",
    ]
    if content["profile"] == "research":
        lines.append(RESEARCH.replace("research", "`research`"))
    if content["failpoints"]:
        lines.append(f"Fault injections were armed: {', '.join(content['failpoints'])}.")
    return "\n\n".join(lines)


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _bullets(items: Sequence[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )


def _not_run(content: Content) -> str:
    return _bullets([f"`{check}`" for check in content["not_run"]]) or "Every check of the profile was run."


def _checks(content: Content, verdicts: tuple[str, ...]) -> str:
    return _table_of_checks([check for check in content["checks"] if check["verdict"] in verdicts])


def _table_of_checks(checks: Sequence[Mapping[str, Any]]) -> str:
    rows = [(row.id, row.verdict, row.measured, row.threshold, _why(row)) for row in check_rows(checks)]
    return _table(("check", "verdict", "measured", "threshold", "why"), rows)


def _why(row: CheckRow) -> str:
    return f"{row.why}; {_said(row.waiver)}" if row.waiver else row.why


def _said(text: str) -> str:
    """What a person wrote, as text: it can neither mark up nor link."""
    return html.escape(seen(text), quote=False).replace("[", "\\[").replace("`", "\\`")


def _waivers(content: Content) -> str:
    table = waivers_table(content)
    if not table.rows:
        return ""
    shown = _table(table.columns, [[_said(cell) for cell in row] for row in table.rows])
    return f"{table.title}.\n\n{shown}\n\n{NOTE}"


def _next(content: Content) -> str:
    return _bullets([f"{fix} ({', '.join(ids)})" for fix, ids in tables.cures(content["checks"]).items()])


def _rates(facts: Content) -> str:
    return _with_note(tables.rates_table(facts["rates"]), THREE_FACTS)


def _contamination(facts: Content) -> str:
    """Three scores a row: on all items, on the clean, on the dirty ones; summaries of older versions have none."""
    found = facts.get("contamination")
    if found is None:
        return ""
    if not found["scanned"]:
        return f"{tables.NOT_SCANNED}{f' ({problem})' if (problem := found['problem']) else ''}."
    shown = [_markdown(tables.contaminated_items(found)), _markdown(tables.clean_scores(found))]
    return "\n\n".join([table for table in shown if table] + [THREE_SCORES])


def _prediction(facts: Content) -> str:
    """Predicted, band, measured; a run of which nothing was predicted has no such part."""
    said = facts.get("prediction")
    if said is None:
        return ""
    parts = [_markdown(prediction_table(said)), _bullets([_said(note) for note in prediction_notes(said)])]
    return "\n\n".join(part for part in parts if part)


def _training(facts: Content) -> str:
    return f"{tables.size_of_run(facts)}\n\n{_markdown(tables.training_table(facts))}"


def _markdown(table: Table) -> str:
    return _table(table.columns, table.rows)


def _with_note(table: Table, note: str) -> str:
    text = _markdown(table)
    return text and f"{text}\n\n{note}"
