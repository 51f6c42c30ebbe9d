"""model_card.md: what the hub and a reader ask of a model, from artifacts alone. What is not known is said to be so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from picochat.core.units import format_bytes, format_count, format_duration
from picochat.views.card import markdown as md
from picochat.views.card.metadata import UNKNOWN, build_metadata
from picochat.views.checks import check_rows, format_value
from picochat.views.dataset import Table
from picochat.views.evals import result_tables
from picochat.views.evals.result_tables import optional
from picochat.views.gate.waivers import NOTE, waivers_table
from picochat.views.summary import RESEARCH, THREE_FACTS, THREE_SCORES, verdict_words

Content = Mapping[str, Any]


def render_model_card(content: Content, more: Content) -> str:
    """Metadata, then the verdict, then everything else."""
    parts = [f"---\n{md.yaml(build_metadata(content, more))}\n---", *card_parts(content, more)]
    return "\n\n".join(part for part in parts if part) + "\n"


def card_parts(content: Content, more: Content) -> list[str]:
    """The verdict, and the sections after it."""
    facts = content["facts"]
    return [
        _verdict(content),
        _section("Model", _model(facts, more)),
        _section("What it is for", _use(content)),
        _section("Training data", _data(more)),
        _section("Training", _training(facts, more)),
        _section("Evaluation", _evaluation(facts)),
        _section("Contamination", _contamination(facts)),
        _section("Gate", _gate(content)),
        _section("Cost", _cost(facts, more)),
        _section("How to check this card", _check(content, more)),
    ]


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}"


def _bullets(items: Sequence[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _verdict(content: Content) -> str:
    name = (content["facts"]["run"] or {}).get("name") or "run"
    verdict = content["verdict"]
    lines = [
        f"# {md.text(name)}",
        f"**Verdict: {md.text(verdict)}** under profile **{md.text(content['profile'])}** "
        f"version {content['profile_version']}: {verdict_words(content)}.",
    ]
    if content["profile"] == "research":
        lines.append(RESEARCH)
    if content["failpoints"]:
        lines.append(f"Fault injections were armed: {md.text(', '.join(content['failpoints']))}.")
    lines.append(f"Weights {md.code(content['weights_digest'] or UNKNOWN)}. The verdict speaks of these weights alone.")
    return "\n\n".join(lines)


def _model(facts: Content, more: Content) -> str:
    base = more["trainings"]["base"]
    shape = {key: value for key, value in base["model"].items() if isinstance(value, str | int | float)}
    rows = [[key, format_value(value)] for key, value in sorted(shape.items())]
    size = [
        f"{optional(facts['parameters'], format_count)} parameters, "
        f"{format_value(facts['tokenizer']['vocab_size'])} tokens in the vocabulary.",
        "Decoder-only transformer, trained from random weights: there is no base model of others.",
        md.table(Table("", ["setting", "value"], rows)) or "Its shape is unknown.",
    ]
    return "\n\n".join(size)


def _use(content: Content) -> str:
    """What the evidence allows to be said, and no more."""
    lines = [
        "Intended use beyond what was measured below: unknown.",
        "Out of scope: anything that a wrong or harmful answer would hurt. Small models state falsehoods fluently.",
    ]
    if content["verdict"] != "approved":
        lines.append("It is not released: the gate names what is missing.")
    return _bullets(lines)


def _data(more: Content) -> str:
    found = more["data"]
    rows = []
    for source in found["sources"]:
        numbers = [format_value(source[key]) for key in ("read", "kept", "dropped")]
        name = source["hub_dataset"] or source["id"] or UNKNOWN
        rows.append([name, source["licence"] or UNKNOWN, source["revision"] or UNKNOWN, *numbers])
    dropped = [[reason.replace("_", " "), format_value(count)] for reason, count in found["dropped"] or ()]
    personal = [sum(source[key] or 0 for source in found["sources"]) for key in ("emails", "secrets")]
    known = bool(found["sources"])
    parts = [
        f"Pack {md.text(found['pack'] or UNKNOWN)}. {md.text(found['description'] or '')}".strip(),
        f"Languages: {md.text(', '.join(found['languages']) or UNKNOWN)}.",
        md.table(Table("", ["source", "licence", "revision", "read", "kept", "dropped"], rows))
        or "The sources are unknown.",
        md.table(Table("", ["dropped because", "documents"], dropped))
        or ("Which documents were dropped is unknown." if found["dropped"] is None else "No document was dropped."),
        f"Held out: {format_value(found['counts'].get('val_documents'))} of "
        f"{format_value(found['counts'].get('documents'))} documents, chosen by the text alone.",
        f"Kept documents with an e-mail address: {personal[0]:,}; with a string like a key: {personal[1]:,}."
        if known
        else "",
        f"Chat rows that were made for it: {format_value(more['chat']['rows'])}.",
        _bullets([md.text(warning) for warning in found["warnings"]]),
    ]
    return "\n\n".join(part for part in parts if part)


def _training(facts: Content, more: Content) -> str:
    parts = [md.table(result_tables.training_table(facts))]
    for stage, found in more["trainings"].items():
        rules = [[key, str(rule)] for key, rule in sorted(found["rules"].items())]
        if rules:
            parts.append(f"Recipe of {stage}:\n\n{md.table(Table('', ['setting', 'rule'], rules))}")
    return "\n\n".join(parts)


def _evaluation(facts: Content) -> str:
    rates = md.table(result_tables.rates_table(facts["rates"]))
    benchmarks = md.table(result_tables.benchmarks_table(facts["benchmarks"]))
    losses = md.table(result_tables.losses_table(facts))
    parts = [
        f"{rates}\n\n{THREE_FACTS}" if rates else "Its answers were not measured.",
        benchmarks or "No external benchmark was run.",
        losses or "Its held-out loss is unknown.",
        "Bias and safety beyond these questions were not measured.",
    ]
    return "\n\n".join(parts)


def _contamination(facts: Content) -> str:
    found = facts.get("contamination")
    if found is None or not found["scanned"]:
        return f"{result_tables.NOT_SCANNED}."
    shown = [md.table(result_tables.contaminated_items(found)), md.table(result_tables.clean_scores(found))]
    return "\n\n".join([table for table in shown if table] + [THREE_SCORES])


def _gate(content: Content) -> str:
    """Not run first, then blocked and warned, then passed."""
    rows = check_rows(content["checks"])
    wrong = [
        [
            row.id,
            row.verdict,
            row.measured,
            row.threshold,
            f"{row.why}; {row.waiver}" if row.waiver else row.why,
            row.fix,
        ]
        for row in rows
        if row.verdict in ("block", "warn", "waived")
    ]
    passed = [md.code(row.id) for row in rows if row.verdict == "pass"]
    not_run = ", ".join(md.code(check) for check in content["not_run"])
    not_judged = ", ".join(md.code(check) for check in content["not_judged"])
    columns = ["check", "verdict", "measured", "asked for", "why", "fix"]
    if not rows:
        return "No check was judged."
    parts = [
        f"Not run: {not_run or 'nothing'}.",
        f"Not judged by this version of the profile: {not_judged or 'nothing'}.",
        md.table(Table("", columns, wrong)) or "No check blocks or warns.",
        _waivers(content),
        f"Passed: {', '.join(passed) or 'nothing'}.",
    ]
    return "\n\n".join(part for part in parts if part)


def _waivers(content: Content) -> str:
    """Every waiver with its person, reason and expiry; the row of a waived check says it too."""
    found = waivers_table(content)
    return f"{md.text(found.title)}:\n\n{md.table(found)}\n\n{NOTE}" if found.rows else ""


def _cost(facts: Content, more: Content) -> str:
    lines = []
    for stage, found in more["trainings"].items():
        machine, environment = found["machine"], found["environment"]
        device = machine.get("device") or environment.get("device")
        words = [
            f"{stage}: {optional(facts[stage]['duration_s'], format_duration)}",
            f"device {md.text(str(device)) if device else UNKNOWN}",
            f"{md.text(str(environment.get('platform') or UNKNOWN))}",
            f"peak memory {optional(found['peak_rss_bytes'], format_bytes)}",
        ]
        lines.append(", ".join(words))
    return _bullets([*lines, "Energy, carbon and money: unknown."])


def _check(content: Content, more: Content) -> str:
    run = more["run"] or {}
    code = run.get("code") or {}
    lines = [
        f"Made by picochat {md.text(str(code.get('version') or UNKNOWN))}, "
        f"commit {md.text(str(code.get('git_commit') or UNKNOWN))}.",
        f"Digest of the run's configuration: {md.code(run.get('digest') or UNKNOWN)}.",
        f"{md.code('picochat verify RUN')} hashes every file again, computes every rate again from stored replies, "
        "and renders this card again.",
        "In the metadata `verified` is false everywhere: it would mean that the hub had measured, and it has not.",
    ]
    return _bullets(lines)
