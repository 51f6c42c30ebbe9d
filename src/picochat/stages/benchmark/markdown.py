"""The benchmark report for people: a pure function of the report's body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Body = Mapping[str, Any]


def render_report(body: Body) -> str:
    """Markdown: the headline with what limits it, other readings of the same rows, published results, the groups."""
    headline = body["headline"]
    parts = [
        f"# Benchmark: {body['name']}",
        f"Weights `{body['weights_digest'][:12]}` of `{body['checkpoint']}`; {_shots(body)}, "
        f"{body['prompt_form']}; {body['metric']}; chance {body['chance']:.2f}.",
        f"**{headline['point']:.3f}** {_interval(headline['interval'])} on {body['items']:,} items, chance-adjusted "
        f"{headline['adjusted']:.3f} {_interval(headline['adjusted_interval'])} ({_wanted(body)}).",
        *_limits(body),
        *_versions(body),
        *_beside(body),
        *_references(body),
        _groups(body) if len(body["groups"]) > 1 else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _shots(body: Body) -> str:
    return "shots of the bundle" if "versions" in body else f"{body['shots']} shots"


def _wanted(body: Body) -> str:
    threshold = body["adjusted_threshold"]
    if threshold is None:
        return "shown, not judged: no release asks for it"
    if threshold == 0:
        return "a release needs a lower bound above 0"
    return f"a release needs {threshold:.3g}, and a lower bound above 0"


def _limits(body: Body) -> list[str]:
    """What stands between this score and the published ones, and what happened to long items."""
    notes = list(body.get("notes", ()))
    if body["partial"]:
        notes.append(f"Partial: {_part(body)}; the score is not comparable with published ones.")
    if body.get("own_setup"):
        notes.append(
            "Another setup than the table's: "
            + ("; ".join(body.get("deviations", ())) or f"{body['shots']} shots")
            + ". The score is not comparable with published ones."
        )
    if not body["registered"]:
        names = _some([file["name"] for file in body["files"] if not file["registered"]])
        notes.append(f"Unregistered files, whose content nobody has compared with the published ones: {names}.")
    return notes + _long(body.get("long_items"))


def _part(body: Body) -> str:
    if "paradigms" in body:
        return f"{body['paradigms']} of {body['paradigms_published']} paradigms, {body['items']:,} items"
    if "tasks" in body:
        return f"{body['tasks']} of {body['tasks_published']} tasks, {body['items']:,} items"
    return f"{body['items']:,} of {body['items_published']:,} items"


def _some(names: Sequence[str], shown: int = 8) -> str:
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + rest


def _long(found: Body | None) -> list[str]:
    if not found or not any(found.values()):
        return []
    return [
        f"Longer than the context: {found['lost_examples']:,} items lost examples, {found['cut']:,} lost the beginning "
        f"of their own text too, {found['did_not_fit']:,} could not be asked and fail."
    ]


def _versions(body: Body) -> list[str]:
    """The CORE score by both versions of the baselines."""
    if "versions" not in body:
        return []
    rows = [
        (name, f"{found['score']:.4f}", _interval(found["interval"], 4))
        for name, found in sorted(body["versions"].items())
    ]
    return [_table(("baselines", "mean of centred scores", "95 % interval"), rows)]


def _beside(body: Body) -> list[str]:
    readings = body.get("beside") or {}
    rows = [(name.replace("_", " "), *_rate(rate)) for name, rate in sorted(readings.items())]
    return [_table(("other readings of the same rows", "k/n", "rate", "95 % interval"), rows)] if rows else []


def _references(body: Body) -> list[str]:
    """Published results: comparable ones in a table with ours, the others in a table of their own."""
    parts = []
    known = body.get("references") or []
    head = ("score", "tokens", "harness", "shots", "metric", *(("held against",) if body.get("against") else ()))
    for same, title in ((True, "published, the same setup"), (False, "published, another setup: not comparable")):
        chosen = [reference for reference in known if reference["same_setup"] is same]
        if not chosen:
            continue
        rows = [
            (r["model"], _value(r), _tokens(r), r["harness"], r["shots"], r["metric"], _claim(body, r))[: 1 + len(head)]
            for r in chosen
        ]
        parts.append(_table((title, *head), rows))
    return parts


def _value(reference: Body) -> str:
    high = reference["value_high"]
    return f"{reference['value']:.3f}" + (f" to {high:.3f}" if high is not None else "")


def _tokens(reference: Body) -> str:
    return "not published" if reference["tokens"] is None else f"{reference['tokens'] / 1e9:.1f} G"


def _claim(body: Body, reference: Body) -> str:
    """Higher, lower or within the interval, for a result that this score was to be held against."""
    if reference["model"] not in body.get("against", ()):
        return ""
    if not reference["same_setup"] or body["partial"] or body.get("own_setup"):
        return "not comparable"
    low, high = body["headline"]["interval"]
    return "higher" if low > reference["value"] else "lower" if high < reference["value"] else "within the interval"


def _groups(body: Body) -> str:
    names = {"versions": "task", "paradigms": "paradigm"}
    title = next((word for key, word in names.items() if key in body), "group")
    centred = [key for key in ("centred_v1", "centred_v2") if "versions" in body]
    rows = [(name, *_rate(rate), *(f"{rate[key]:.3f}" for key in centred)) for name, rate in body["groups"].items()]
    return _table((title, "k/n", "rate", "95 % interval", *(key.replace("_", " ") for key in centred)), rows)


def _rate(rate: Body) -> tuple[str, str, str]:
    return f"{rate['k']}/{rate['n']}", f"{rate['rate']:.3f}", _interval(rate["interval"])


def _interval(interval: Sequence[float], digits: int = 3) -> str:
    low, high = interval
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
