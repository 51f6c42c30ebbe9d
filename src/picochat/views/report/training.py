"""How the model was made, as parts of report.html: curves, samples, tokens, machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from picochat.core.units import format_bytes, format_count
from picochat.views.checks import UNKNOWN, format_value
from picochat.views.evals import result_tables
from picochat.views.evals.result_tables import optional
from picochat.views.markup import Child, Markup, element, join
from picochat.views.report import tables
from picochat.views.report.charts import Series, draw_chart

Content = Mapping[str, Any]
TOKEN_COLUMNS = ("stage", "planned", "seen", "different ones", "passes", "resumes")
COUNTS = ("planned_tokens", "tokens_seen", "unique_tokens")
NAMES = {"base": "Base", "sft": "SFT"}


def curves(more: Content) -> Markup | None:
    """Loss, bits per byte and learning rate of both trainings."""
    parts: list[Child] = []
    for stage, name in NAMES.items():
        found = more["trainings"][stage]["curves"]
        charts = [_figure(stage, *chart) for chart in _charts(name, found)]
        drawn = [chart for chart in charts if chart is not None]
        notes = [element("p", note, class_="note") for note in _notes(found)]
        if drawn or notes:
            parts.append(element("h3", name))
            parts += [element("div", drawn, class_="curves") if drawn else None, *notes]
    return join(parts) if parts else None


def _charts(name: str, found: Content) -> list[tuple[str, str, str, list[Series]]]:
    """(id, title, unit, series)."""
    loss = [Series("train", found["loss"]), Series("held-out", found["val_loss"], "dots")]
    bpb = [Series("train", found["bpb"]), Series("held-out", found["val_bpb"], "dots")]
    same = name == NAMES["base"]
    return [
        ("loss", f"{name}: loss", "nats a target", loss if same else loss[:1]),
        ("bpb", f"{name}: bits per byte", "bits a byte", bpb),
        ("lr", f"{name}: learning rate", "rate", [Series("learning rate", found["lr"])]),
    ]


def _figure(stage: str, name: str, title: str, unit: str, series: Sequence[Series]) -> Markup | None:
    told = "; ".join(text for text in map(describe_series, series) if text)
    chart = draw_chart(f"{stage}-{name}", title, f"{unit}, over steps. {told}.", series, unit)
    return element("figure", chart, element("figcaption", f"{title}. {told}.")) if chart else None


def describe_series(series: Series) -> str:
    """First, lowest and last value in words."""
    if not series.points:
        return ""
    (first_step, first), (last_step, last) = series.points[0], series.points[-1]
    if len(series.points) == 1:
        return f"{series.label}: {first:.4g} at step {first_step:,}"
    lowest = min(point[1] for point in series.points)
    text = f"{series.label}: from {first:.4g} at step {first_step:,} to {last:.4g} at step {last_step:,}"
    return text if series.label == "learning rate" else f"{text}, lowest {lowest:.4g}"


def _notes(found: Content) -> list[str]:
    notes = []
    if found["problem"]:
        notes.append(f"The training's own curve is unknown: {found['problem']}.")
    if (found["steps_a_point"] or 1) > 1:
        notes.append(f"Each point of the training is the mean of {found['steps_a_point']:,} steps.")
    if found["skipped"]:
        notes.append(f"{found['skipped']:,} steps that the guard skipped are left out.")
    if found["bpb"]:
        notes.append("Bits per byte of the training follow from its loss by the tokenizer's mean bytes a token.")
    return notes


def samples(more: Content) -> Markup | None:
    """The last samples of both trainings, as the model wrote them."""
    parts: list[Child] = []
    for stage, name in NAMES.items():
        rows = more["trainings"][stage]["samples"]
        if rows:
            parts.append(element("h3", f"{name}, step {format_value(rows[0]['step'])}"))
        for row in rows:
            parts.append(
                element(
                    "div",
                    element("div", "Prompt", class_="who"),
                    element("pre", row["prompt"]),
                    element("div", "The model wrote", class_="who"),
                    element("pre", row["text"] or "(nothing)", "\n(cut here)" if row["cut"] else None),
                    class_="sample",
                )
            )
    return join(parts) if parts else None


def training(facts: Content, more: Content) -> Markup:
    """Steps, tokens and recipe."""
    shown = result_tables.training_table(facts)
    parts: list[Child] = [
        element("p", result_tables.size_of_run(facts)),
        tables.table("Both trainings", shown.columns, shown.rows),
        tables.table("Tokens and passes", TOKEN_COLUMNS, _tokens(more)),
        tables.table("Passes over each source", ("source", "stage", "different tokens", "passes"), _exposure(more)),
    ]
    for stage, name in NAMES.items():
        found = more["trainings"][stage]
        pairs = [(key, format_value(value)) for key, value in sorted(found["optim"].items()) if _is_plain(value)]
        if found["tokens_per_step"] is not None:
            pairs.append(("tokens a step", format_value(found["tokens_per_step"])))
        for key in ("data_mode", "documents"):
            pairs += [(key.replace("_", " "), found[key])] if found[key] else []
        if pairs and more["run"] and more["run"]["seed"] is not None:
            pairs.append(("seed", str(more["run"]["seed"])))
        if pairs:
            parts += [element("h3", f"Recipe, {name}"), tables.facts(pairs)]
    model = more["trainings"]["base"]["model"]
    pairs = [(key, format_value(value)) for key, value in sorted(model.items()) if _is_plain(value)]
    if pairs:
        parts += [element("h3", "Model"), tables.facts(pairs)]
    return join(parts)


def _tokens(more: Content) -> list[list[str]]:
    rows = []
    for stage in NAMES:
        found = more["trainings"][stage]
        if found["present"]:
            counts = [optional(found["numbers"][key], format_count) for key in COUNTS]
            rows.append([stage, *counts, format_value(found["numbers"]["epochs"]), format_value(found["resumes"])])
    return rows


def _exposure(more: Content) -> list[list[str]]:
    rows = []
    for stage in NAMES:
        for entry in more["trainings"][stage]["exposure"]:
            tokens = optional(entry["unique_tokens"], format_count)
            rows.append([entry["source"] or UNKNOWN, stage, tokens, format_value(entry["passes"])])
    return rows


def machine(more: Content) -> Markup | None:
    """Where it was trained, by which code."""
    parts: list[Child] = []
    for stage, name in NAMES.items():
        found = more["trainings"][stage]
        known = {**found["environment"], **found["machine"]}
        pairs = [(key.replace("_", " "), _words(value)) for key, value in sorted(known.items()) if _words(value)]
        if found["peak_rss_bytes"] is not None:
            pairs.append(("peak memory", format_bytes(found["peak_rss_bytes"])))
        if code := found["code"]:
            pairs += _code(code)
        if pairs:
            parts += [element("h3", name), tables.facts(pairs)]
    return join(parts) if parts else None


def _code(code: Content) -> list[tuple[str, Child]]:
    dirty = {True: "yes", False: "no"}.get(code["git_dirty"], "unknown")
    return [
        ("picochat", code["version"]),
        ("git commit", code["git_commit"] or "unknown"),
        ("changed after the commit", dirty),
        ("digest of the package", tables.digest(code["package_digest"])),
    ]


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return format_value(value) if _is_plain(value) and value not in (None, "") else ""
