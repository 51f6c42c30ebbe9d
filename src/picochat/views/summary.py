"""summary.md, rendered from the content of summary.json alone: equal content gives equal bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from picochat.core.units import format_bytes, format_count, format_duration
from picochat.views.checks import UNKNOWN, check_rows, format_interval, format_value
from picochat.views.memorisation import render_memorisation

_WORDS = {
    "approved": "every required check passes",
    "warn": "nothing blocks, something warns: not a release",
    "blocked": "at least one required check fails or did not run: not a release",
}
_THREE_FACTS = (
    "Three facts in three columns: answers to rows it trained on, to other templates and entities, "
    "and to independent rows."
)
_NOT_SCANNED = "Not scanned: whether eval rows or benchmark items stand in the training text is not known"
_THREE_SCORES = "No item is left out of the full score. What could not be checked is not counted as clean."
Content = Mapping[str, Any]


def render_summary(content: Content) -> str:
    """Markdown for people: the verdict, what was not run, what needs attention, the numbers, what to do next."""
    parts = [
        _head(content),
        _section("Not run", _not_run(content)),
        _section("Not judged by this version of the profile", _bullets(content["not_judged"])),
        _section("Blocked and warned", _checks(content, ("block", "warn", "waived"))),
        _section("What to do next", _next(content)),
        _section("Fit, held-out fit and eval", _rates(content["facts"]["rates"])),
        _section("Scores with and without what stands in the training text", _contamination(content["facts"])),
        _section("Learned by heart", render_memorisation(content["facts"])),
        _section("Losses", _losses(content["facts"])),
        _section("External benchmarks", _benchmarks(content["facts"]["benchmarks"])),
        _section("Training", _training(content["facts"])),
        _section("Passed", _checks(content, ("pass",))),
        _section("Shown, not judged by this profile", _table_of_checks(content["shown"])),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(content: Content) -> str:
    run = content["facts"]["run"] or {}
    verdict = content["verdict"]
    lines = [
        f"# {run.get('name', 'run')}: {verdict} under {content['profile']}",
        f"{verdict}: {_WORDS[verdict]}. Profile `{content['profile']}` version {content['profile_version']}, "
        f"weights `{content['weights_digest'] or UNKNOWN}`.",
    ]
    if content["profile"] == "research":
        lines.append("Under `research` the verdict speaks for the integrity of the numbers alone, not for quality.")
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
    rows = [(row.id, row.verdict, row.measured, row.threshold, row.why) for row in check_rows(checks)]
    return _table(("check", "verdict", "measured", "threshold", "why"), rows)


def _next(content: Content) -> str:
    """The cures of what did not pass, each once, with the checks that it mends."""
    cures: dict[str, list[str]] = {}
    for check in content["checks"]:
        if check["verdict"] != "pass" and check["fix"]:
            cures.setdefault(check["fix"], []).append(check["id"])
    return _bullets([f"{fix} ({', '.join(ids)})" for fix, ids in cures.items()])


def _rates(rates: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (name, *(_rate(sets.get(key)) for key in ("fit", "heldout", "eval"))) for name, sets in sorted(rates.items())
    ]
    table = _table(("rows", "fit", "held-out fit", "eval"), rows)
    return table and f"{table}\n\n{_THREE_FACTS}"


def _rate(numbers: Mapping[str, Any] | None) -> str:
    if not numbers or numbers["rate"] is None:
        return UNKNOWN
    return f"{numbers['rate']:.3f} {format_interval(numbers['interval'])} ({numbers['k']:,} of {numbers['n']:,})"


def _contamination(facts: Content) -> str:
    """Three scores a row: on all items, on the clean, on the dirty ones; summaries of older versions have none."""
    found = facts.get("contamination")
    if found is None:
        return ""
    if not found["scanned"]:
        return f"{_NOT_SCANNED}{f' ({problem})' if (problem := found['problem']) else ''}."
    counts, scores = [], []
    for name, entry in sorted(found["sets"].items()):
        numbers = [format_value(entry[key]) for key in ("items", "dirty", "clean", "uncheckable")]
        counts.append((name, *numbers, entry["problem"]))
        for label, sides in entry["scores"].items():
            three = (_score(sides[side]) for side in ("all", "clean", "dirty", "uncheckable"))
            scores.append((name if label == "score" else f"{name}: {label}", *three))
    tables = [
        _table(("set", "items", "in the training text", "clean", "uncheckable", "problem"), counts),
        _table(("rows", "all", "clean", "in the training text", "uncheckable"), scores),
    ]
    return "\n\n".join([table for table in tables if table] + [_THREE_SCORES])


def _score(numbers: Mapping[str, Any] | None) -> str:
    if not numbers or numbers["rate"] is None:
        return UNKNOWN
    return f"{numbers['rate']:.3f} {format_interval(numbers['interval'])} (n = {numbers['n']:,})"


def _losses(facts: Content) -> str:
    """Held-out bits per byte, the model among its n-gram baselines, best first."""
    values = [(f"n-gram: {name}", bpb) for name, bpb in facts["baselines"].items()]
    values += [("base", facts["base"]["bpb"]), ("base, after SFT", facts["forgetting"]["after_bpb"])]
    known = sorted(((name, bpb) for name, bpb in values if bpb is not None), key=lambda pair: (pair[1], pair[0]))
    return _table(("model", "held-out bits per byte"), [(name, f"{bpb:.4f}") for name, bpb in known])


def _benchmarks(benchmarks: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for found in benchmarks:
        name = found["name"] + (" (partial)" if found["partial"] else "")
        score = f"{format_value(found['rate'], 'fraction')} {format_interval(found['interval'])}"
        adjusted = f"{format_value(found['adjusted'], 'fraction')} {format_interval(found['adjusted_interval'])}"
        rows.append(
            (
                name,
                format_value(found["n"]),
                score,
                adjusted,
                format_value(found["chance"], "fraction"),
                found["problem"],
            )
        )
    return _table(("benchmark", "items", "score", "above chance", "chance", "problem"), rows)


def _training(facts: Content) -> str:
    rows = []
    for stage in ("base", "sft"):
        numbers = facts[stage]
        steps = f"{format_value(numbers['steps'])} of {format_value(numbers['planned_steps'])}"
        seconds, speed = numbers["duration_s"], numbers["tokens_per_s"]
        rows.append(
            (
                stage,
                steps,
                _optional(numbers["tokens_seen"], format_count),
                _optional(seconds, format_duration),
                _optional(speed, lambda value: f"{value:,.0f}"),
                format_value(numbers["skipped_steps"]),
            )
        )
    table = _table(("stage", "steps", "tokens", "time", "tokens/s", "skipped"), rows)
    corpus = facts["corpus"]
    words = [
        f"{_optional(facts['parameters'], format_count)} parameters,",
        f"{format_value(facts['tokenizer']['vocab_size'])} tokens in the vocabulary.",
        f"Corpus: {format_value(corpus['documents'])} documents, {_optional(corpus['bytes'], format_bytes)},",
        f"{format_value(corpus['val_documents'])} held out.",
    ]
    return " ".join(words) + f"\n\n{table}"


def _optional(value: float | None, form: Any) -> str:
    return UNKNOWN if value is None else form(value)
