"""What an external score was made of, and what it is compared with: published files, and references of one setup."""

from __future__ import annotations

from typing import Any

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.evals.tasks.references import find_reference
from picochat.judgement.benchmarks import REGISTERED, BenchmarkEvidence
from picochat.judgement.documents import value_at
from picochat.judgement.rules.case import Case, Outcome, not_run

KIND = "benchmark"
"""The kind under which a benchmark report names its data files among its inputs."""


def judge_digest(case: Case) -> Outcome:
    """The data files are the published ones. An unknown file warns; a known name with other bytes blocks.

    What counts is what the stage hashed before it read (the inputs of the manifest): a report that lists other files
    than those blocks too.
    """
    found = [benchmark for benchmark in case.evidence.benchmarks if benchmark.report.usable]
    if not found:
        return not_run((layout.BENCHMARKS, ""), n=0)
    foreign = [(benchmark.report.path, pointer) for benchmark in found for pointer in find_foreign(benchmark)]
    unknown = [(benchmark.report.path, "/files") for benchmark in found if not benchmark.registered]
    verdict = "block" if foreign else "warn" if unknown else "pass"
    places = tuple(dict.fromkeys(foreign or unknown)) or tuple((b.report.path, "/files") for b in found)
    n = sum(len(benchmark.files) for benchmark in found)
    return Outcome(verdict, float(len(foreign or unknown)), 0.0, n, artifacts=places)


def find_foreign(benchmark: BenchmarkEvidence) -> list[str]:
    """Pointers to what cannot be the published benchmark: another digest under a registered name, or unread files."""
    if benchmark.registered and _same_files(benchmark):
        return []
    table = REGISTERED.get(benchmark.name, {})
    digests = {value_at(file, "sha256") for file in benchmark.files}
    pointers = [] if _same_files(benchmark) else ["/manifest/inputs"]
    for place, file in enumerate(benchmark.files):
        wanted = table.get(str(value_at(file, "key") or ""))
        if wanted is not None and wanted != value_at(file, "sha256"):
            pointers.append(f"/files/{place}/sha256")
    groups = benchmark.numbers["groups"] if benchmark.numbers else {}
    pointers += [f"/groups/{name}" for name in groups if name in table and table[name] not in digests]
    return pointers


def _same_files(benchmark: BenchmarkEvidence) -> bool:
    manifest = benchmark.report.manifest
    read = sorted(ref.sha256 for ref in manifest.inputs if ref.kind == KIND) if manifest else []
    return sorted(str(value_at(file, "sha256")) for file in benchmark.files) == read


def judge_setup(case: Case) -> Outcome:
    """No score is held against a published one that was made in another way. Without a claim there is none."""
    found = [benchmark for benchmark in case.evidence.benchmarks if benchmark.numbers]
    if not found:
        return not_run((layout.BENCHMARKS, ""), n=0)
    claims = [(benchmark, place, claim) for benchmark in found for place, claim in enumerate(_claims(benchmark))]
    unlike = [(b.report.path, f"/against/{place}") for b, place, claim in claims if not is_comparable(b, claim)]
    places = tuple(unlike) or tuple((benchmark.report.path, "/against") for benchmark in found)
    return Outcome("warn" if unlike else "pass", float(len(unlike)), 0.0, len(claims), artifacts=places)


def _claims(benchmark: BenchmarkEvidence) -> list[Any]:
    claims = benchmark.report.value("against")
    return claims if isinstance(claims, list) else []


def is_comparable(benchmark: BenchmarkEvidence, model: Any) -> bool:
    """Whether the published result of a model was made as this one: by the table, not by what the report says."""
    try:
        reference = find_reference(benchmark.name, str(model))
    except PicochatError:
        return False
    return reference.same_setup and not benchmark.own_setup and not benchmark.partial
