"""The body of a benchmark report: what was asked, what follows from the rows, and what was published beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.evals.tasks.references import find_reference, references_of
from picochat.judgement.benchmark_status import OWN_HARNESS
from picochat.judgement.benchmarks import METRICS
from picochat.stages.benchmark.config import BenchmarkConfig
from picochat.stages.benchmark.questions import Questions


def report_numbers(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the report that follows from the rows alone."""
    pooled = numbers["pooled"]
    paradigms = (
        {"paradigms": numbers["n_paradigms"], "paradigms_published": numbers["paradigms_published"]}
        if "paradigms" in numbers
        else {}
    )
    return {
        "items": numbers["n"],
        "partial": numbers["partial"],
        **paradigms,
        "shots": numbers["shots"],
        "own_setup": numbers["own_setup"],
        "chance": numbers["chance"],
        "adjusted_threshold": numbers["adjusted_threshold"],
        "items_published": numbers["published_items"],
        "prompt_form": numbers["prompt"],
        "metric": METRICS[numbers["name"]],
        "ties": numbers.get("ties", 0),
        "headline": {
            "point": numbers["rate"],
            "interval": numbers["interval"],
            "adjusted": numbers["adjusted"],
            "adjusted_interval": numbers["adjusted_interval"],
            "k": pooled["k"],
            "n": pooled["n"],
        },
        "groups": numbers["groups"],
        **numbers.get("shown", {}),
    }


def build_body(config: BenchmarkConfig, questions: Questions, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The report without what the model and the store add."""
    body = {
        "name": config.name,
        "harness": OWN_HARNESS,
        "notes": list(questions.notes),
        "files": [
            {"name": f.name, "key": f.key, "sha256": f.sha256, "items": f.n_items, "registered": f.registered}
            for f in questions.files
        ],
        "registered": all(file.registered for file in questions.files),
        **report_numbers(numbers),
        "against": list(config.against),
        "references": [reference.as_dict() for reference in references_of(config.name)],
    }
    body["partial"] = body["partial"] or questions.limited
    return body


def require_references(config: BenchmarkConfig) -> None:
    """Raises `config.value` for a model without a published result, before anything is scored."""
    for model in config.against:
        find_reference(config.name, model)
