"""The cross-check for people: a pure function of the report's body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def render_report(body: Mapping[str, Any]) -> str:
    """Markdown: whether the two agree, how far they lie apart, then one line a metric."""
    found = body["comparison"]
    verdict = "agree" if found["agree"] else f"differ in {', '.join(found['problems'])}"
    lines = [
        f"# Cross-check: {body['name']}",
        "",
        f"Weights `{body['weights_digest'][:12]}` of `{body['checkpoint']}`; lm-eval {body['lm_eval']['version']}, "
        f"task `{body['lm_eval']['task_digest'][:12]}`.",
        "",
        f"Our scorer and lm-eval **{verdict}** on {found['items']:,} items (tolerance {found['tolerance']}).",
        "",
        f"Largest difference of a log-likelihood: {found['max_difference']:.2e} nats; the item nearest to its limit, "
        f"or furthest beyond: `{found['worst']}`; "
        f"{found['beyond_tolerance']:,} items beyond the tolerance; {found['other_boundary']:,} items whose "
        f"continuation begins at another token; {len(body['too_long']):,} items too long for the context, in neither.",
        "",
        "| metric | ours | lm-eval | near ties | decided otherwise |",
        "| --- | --- | --- | --- | --- |",
        *(_line(name, metric) for name, metric in found["metrics"].items()),
    ]
    return "\n".join(lines) + "\n"


def _line(name: str, metric: Mapping[str, Any]) -> str:
    """Perplexities stand in the rows and here as nats a byte or a word, whose exponentials they are."""
    label = name.replace("_perplexity", ", nats (log of the perplexity)")
    otherwise = metric.get("decided_otherwise")
    return (
        f"| {label} | {metric['ours']:.6f} | {metric['theirs']:.6f} | {metric.get('near_ties', '')} | "
        f"{'' if otherwise is None else len(otherwise)} |"
    )
