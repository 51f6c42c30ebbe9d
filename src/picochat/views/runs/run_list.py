"""A run in one line of a list: what it is, how far it came, what it measured, what the gate said.

read_run_line(root)       from files alone, without a clock: may be kept until one of LINE_FILES changes
run_line(line, state)     with the state as it is now
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.core.event_tail import EventScan
from picochat.views.formats import (
    UNKNOWN,
    format_age,
    format_bpb,
    format_count,
    format_duration,
    format_integer,
    format_money,
    format_percent,
)
from picochat.views.runs.run_files import Document, RunReader, Unreadable, list_at, number_at, text_at, value_at
from picochat.views.runs.run_state import RUNNING, STATE_FILES, RunFiles, RunState, judge_run_state, read_run_files

TRAININGS = (layout.BASE, layout.SFT)
REPORTS = (*(layout.report_path(stage) for stage in TRAININGS), layout.report_path(layout.EVAL))
JUDGED = (layout.RUN, layout.CORPUS_MANIFEST, layout.TOKENIZER_REPORT, layout.SHARDS_MANIFEST, layout.HONESTY)
JUDGED += (*REPORTS, layout.MEMORISATION)
"""Documents whose change makes a verdict speak of something else."""
LINE_FILES = tuple(dict.fromkeys((*STATE_FILES, *REPORTS, *JUDGED)))
"""What a line is read from."""
RARE_EVENTS = ("stage_started", "stage_finished", "eval", "failed", "control_ack")
CountParameters = Callable[[Mapping[str, Any]], int | None]
"""From a configuration to the parameters of its model; None where that cannot be told."""
COLUMNS = ["run", "state", "stage", "progress", "params", "best bpb", "held-out fit", "eval", "gate", "tokens/s"]
COLUMNS += ["left", "cost", "age"]


class RunLine(NamedTuple):
    """`files` say the state, `facts` the rest."""

    files: RunFiles
    facts: Mapping[str, Any]


def read_run_line(root: Path, count: CountParameters, scan: EventScan | None = None) -> RunLine:
    """Reads a run for a list. Events are only searched where no report says how the training went."""
    files, reader = read_run_files(root), RunReader(root)
    record = reader.read(layout.RUN)
    reports = {path: reader.read(path) for path in REPORTS}
    trainings = {stage: reports[layout.report_path(stage)] for stage in TRAININGS}
    evaluation = reports[layout.report_path(layout.EVAL)]
    scores = {name: mean_skill(evaluation, name) for name in ("eval", "heldout", "fit")}
    facts = {
        "profile": text_at(record, "profile"),
        "gate_profile": text_at(record, "gate_profile"),
        "created_at": text_at(record, "created_at"),
        "parameters": count_parameters(record, trainings.values(), count),
        "best_bpb": best_bpb(trainings, lambda: read_evals(root, scan or EventScan(RARE_EVENTS), reader)),
        "trained_tokens_per_s": last_known(
            number_at(trainings[stage], "training", "tokens_per_s") for stage in TRAININGS
        ),
        "stale": verdict_is_stale(reader),
        **scores,
    }
    known = {file.file for file in files.unreadable}
    broken = tuple(file for file in reader.unreadable if file.file not in known)
    return RunLine(files._replace(unreadable=(*files.unreadable, *broken)), facts)


def run_line(line: RunLine, state: RunState | None = None) -> dict[str, Any]:
    """The document of a line: the state now beside the facts."""
    found = state or judge_run_state(line.files)
    document = found.to_json() | {"judged_under": found.profile} | dict(line.facts)
    if document["tokens_per_s"] is None:
        document["tokens_per_s"] = line.facts["trained_tokens_per_s"]
    return document


def unreadable_line(name: str, why: str) -> dict[str, Any]:
    """A folder that cannot be looked into, as a line that hides no other one."""
    problem = (Unreadable(".", why),)
    files = RunFiles(name, {}, {}, dict.fromkeys(("verdict", "profile", "weights_digest")), False, problem)
    keys = ("created_at", "parameters", "best_bpb", "trained_tokens_per_s", "eval", "heldout", "fit", "gate_profile")
    return run_line(RunLine(files, {"profile": None, "stale": False, **dict.fromkeys(keys)}))


def verdict_is_stale(reader: RunReader) -> bool:
    """Whether gate.json names other digests of reports than those that lie there now."""
    inputs = list_at(reader.read(layout.GATE), "manifest", "inputs")
    named = {text_at(ref, "path"): text_at(ref, "sha256") for ref in inputs}
    there = reader.hash_files([path for path in JUDGED if path in named])
    return any(named[path] != digest for path, digest in there.items())


def count_parameters(record: Document, reports: Iterable[Document], count: CountParameters) -> int | None:
    """As a report counted them, else as the configuration says."""
    counted = next(filter(None, (number_at(report, "model", "parameters") for report in reports)), None)
    config = value_at(record, "config")
    return counted or (count(config) if isinstance(config, dict) else None)


def best_bpb(
    trainings: Mapping[str, Document], evals: Callable[[], Iterable[Mapping[str, Any]]]
) -> dict[str, Any] | None:
    """The least held-out bits a byte of the base training, and its step; of SFT where a run has no base of its own."""
    for stage in TRAININGS:
        points = validations(trainings[stage])
        if points:
            return min(points, key=lambda point: point["bpb"]) | {"stage": stage}
    found = [event for event in evals() if number_at(event, "bpb") is not None and event.get("stage") in TRAININGS]
    for stage in TRAININGS:
        points = [{"step": number_at(e, "step"), "bpb": number_at(e, "bpb")} for e in found if e["stage"] == stage]
        if points:
            return min(points, key=lambda point: point["bpb"]) | {"stage": stage}
    return None


def validations(report: Document) -> list[dict[str, Any]]:
    """[{step, bpb}] of a training's report, in their order."""
    points = [(number_at(point, "step"), number_at(point, "bpb")) for point in list_at(report, "validation", "history")]
    if not points:
        last = number_at(report, "validation", "bpb")
        points = [(number_at(report, "training", "steps"), last)]
    return [{"step": step, "bpb": bpb} for step, bpb in points if bpb is not None]


def read_evals(root: Path, scan: EventScan, reader: RunReader) -> list[dict[str, Any]]:
    """The validations that the events tell of."""
    try:
        return [event for event in scan.read(root / layout.EVENTS)[0] if event["kind"] == "eval"]
    except OSError as err:
        reader.refuse_error(layout.EVENTS, err)
        return []


def mean_skill(report: Document, name: str) -> dict[str, Any] | None:
    """Rate, interval and n over the skills of a set; None where it was not measured."""
    summary = value_at(report, "sets", name, "summary")
    rate = number_at(summary, "mean_skill", "rate")
    if rate is None:
        return None
    return {
        "rate": rate,
        "interval": interval_of(value_at(summary, "mean_skill", "interval")),
        "n": number_at(summary, "n"),
    }


def interval_of(value: Any) -> list[float] | None:
    """Two finite numbers, else None."""
    ends = [number_at({"end": end}, "end") for end in value] if isinstance(value, list) else []
    return ends if len(ends) == 2 and None not in ends else None


def last_known(values: Iterable[Any]) -> Any:
    found = [value for value in values if value is not None]
    return found[-1] if found else None


def line_cells(line: Mapping[str, Any], now: datetime | None = None) -> list[str]:
    """A line in words, in the order of COLUMNS."""
    best, spent, cap = line["best_bpb"], line["spent_usd"], line["cap_usd"]
    at = f" at {format_integer(best['step'])}" if best and best["step"] is not None else ""
    cost = f"{format_money(spent)} of {format_money(cap)}" if spent is not None and cap is not None else UNKNOWN
    return [
        line["name"],
        line["state"],
        line["stage"] or UNKNOWN,
        progress_words(line),
        format_count(line["parameters"]),
        f"{format_bpb(best['bpb'])}{at}" if best else UNKNOWN,
        rate_words(line["heldout"]),
        rate_words(line["eval"]),
        verdict_words(line),
        format_count(line["tokens_per_s"]),
        format_duration(line["eta_s"]),
        cost,
        format_age(line["created_at"], now),
    ]


def verdict_words(line: Mapping[str, Any]) -> str:
    """A run without gate shows no verdict."""
    return (line["verdict"] or UNKNOWN) + (" (stale)" if line["stale"] else "")


def progress_words(line: Mapping[str, Any]) -> str:
    """Steps of the stage at work, or of the one in which a run ended."""
    step, steps = line["step"], line["steps"]
    if step is None or not steps:
        return UNKNOWN
    share = f" ({format_percent(step / steps)})" if line["process"] == RUNNING else ""
    return f"{format_integer(step)} of {format_integer(steps)}{share}"


def rate_words(score: Mapping[str, Any] | None) -> str:
    """`80.5 % [77.2, 83.9]`, or a dash."""
    if score is None:
        return UNKNOWN
    ends = [format_percent(end).removesuffix(" %") for end in score["interval"] or ()]
    return format_percent(score["rate"]) + (f" [{', '.join(ends)}]" if ends else "")
