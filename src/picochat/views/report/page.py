"""report.html: one file without script and without request, rendered from artifacts alone: equal ones give equal bytes.

`content` is what summary.json holds, `more` what `judgement.handover` adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.views.checks import check_rows
from picochat.views.evals.result_tables import cures
from picochat.views.gate.waivers import NOTE, TITLE, waivers_table
from picochat.views.markup import Child, Markup, element, join
from picochat.views.report import data, prediction, results, training
from picochat.views.report.style import STYLE
from picochat.views.report.tables import badge, bullets, check_ids, check_table, digest, table
from picochat.views.summary import RESEARCH, VERDICT_WORDS, verdict_words

Content = Mapping[str, Any]
NOTHING = "No check was judged."


def render_report(content: Content, more: Content) -> str:
    """The whole page. Raises KeyError or TypeError when a document is not of the form that this version writes."""
    facts = content["facts"]
    title = f"{(facts['run'] or {}).get('name', 'run')}: {content['verdict']} under {content['profile']}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", STYLE),
    )
    main = element(
        "main",
        element("h1", title),
        _verdict(content),
        results.at_a_glance(facts),
        _gate(content),
        section("Fit, held-out fit and eval", results.rates(facts)),
        section("With and without what stands in the training text", results.contamination(facts)),
        section("External benchmarks", results.benchmarks(facts)),
        section("Curves", training.curves(more)),
        section("Held-out losses", results.losses(facts)),
        _prediction(facts, more),
        section("Samples", training.samples(more)),
        section("Data", data.data(more)),
        section("Tokens and training", training.training(facts, more)),
        section("Machine and code", training.machine(more)),
        section("Lineage", data.lineage(more)),
    )
    page = element("html", head, element("body", main, _foot()), lang="en")
    return f"<!doctype html>\n{page}\n"


def section(title: str, *body: Child) -> Markup:
    """A part of the page; what is empty says so."""
    nothing = element("p", "Nothing is known of this.", class_="note")
    return element("section", element("h2", title), join(body) or nothing)


def _verdict(content: Content) -> Markup:
    verdict = content["verdict"]
    lines: list[Child] = [
        element("p", badge(verdict), f" {verdict_words(content)}."),
        element("p", f"Profile {content['profile']}, version {content['profile_version']}."),
        element("p", "Weights ", digest(content["weights_digest"]) or "unknown: no checkpoint was judged"),
    ]
    if content["profile"] == "research":
        lines.append(element("p", RESEARCH))
    if content["failpoints"]:
        lines.append(element("p", f"Fault injections were armed: {', '.join(content['failpoints'])}."))
    kind = verdict if verdict in VERDICT_WORDS else "unknown"
    return element("div", lines, class_=f"verdict {kind}")


def _gate(content: Content) -> Markup:
    """What was not run first, then what blocks and warns, then what passed."""
    checks = content["checks"]
    rows = check_rows(checks)
    wrong = [row for row in rows if row.verdict in ("block", "warn", "waived")]
    mending = [[fix, " ", element("span", f"({', '.join(ids)})", class_="note")] for fix, ids in cures(checks).items()]
    return element(
        "section",
        element("h2", "Gate"),
        element("h3", "Not run"),
        check_ids(content["not_run"]) or element("p", "Every check of the profile was run." if checks else NOTHING),
        element("h3", "Not judged by this version of the profile"),
        check_ids(content["not_judged"]) or element("p", "Nothing was left out."),
        element("h3", "Blocked and warned"),
        check_table("Checks that keep this from being a release", wrong)
        or element("p", "No check blocks or warns." if checks else NOTHING),
        _titled(TITLE, _waivers(content)),
        _titled("What to do next", bullets(mending)),
        element("h3", "Passed"),
        check_table("Checks that hold", [row for row in rows if row.verdict == "pass"])
        or element("p", "No check passed."),
        _titled(
            "Shown, not judged by this profile",
            check_table("These take no part in the verdict", check_rows(content["shown"])),
        ),
    )


def _waivers(content: Content) -> Markup | None:
    found = waivers_table(content)
    shown = table(found.title, found.columns, found.rows)
    return join([shown, element("p", NOTE, class_="note")]) if shown else None


def _prediction(facts: Content, more: Content) -> Markup | None:
    """A run of which nothing was predicted has no such part."""
    said = facts.get("prediction")
    return section("Predicted and measured loss", *prediction.prediction(said, more["prediction"])) if said else None


def _titled(title: str, body: Markup | None) -> Markup | None:
    return join([element("h3", title), body]) if body else None


def _foot() -> Markup:
    return element(
        "footer",
        element(
            "p",
            "Made from the artifacts of the run alone. ",
            element("code", "picochat verify RUN"),
            " hashes them again and renders this page again: one changed byte shows. The digests say what was judged, "
            "not who made it.",
        ),
    )
