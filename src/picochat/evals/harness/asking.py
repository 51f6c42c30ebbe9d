"""lm-eval asked for its scores of one task: what it reports in all, and of each item."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picochat.core.errors import refuse
from picochat.evals.harness.compare import CHOICE_METRICS
from picochat.evals.harness.library import Library
from picochat.evals.harness.tasks import ROLLING_METRICS, HarnessTask, write_task

FILTER = ",none"
"""Ends the name of a metric of an unfiltered reply."""


@dataclass(frozen=True)
class Answers:
    """lm-eval's totals by metric, and the fields of a row that it answers, in the order of the task's items."""

    reported: dict[str, float]
    rows: list[dict[str, Any]]


def ask_harness(library: Library, lm: Any, task: HarnessTask) -> Answers:
    """Lets lm-eval run a task from files in a folder that is removed. Its progress bars are not shown.

    Raises `harness.result` for an answer of another form than this code reads.
    """
    with tempfile.TemporaryDirectory(prefix="picochat-harness-") as folder, contextlib.redirect_stderr(io.StringIO()):
        name = write_task(task, Path(folder))
        manager = library.task_manager(include_path=folder, include_defaults=False)
        found = library.evaluate(lm=lm, task_dict=manager.load([name]), bootstrap_iters=0, log_samples=True)
    answers = parse_result(task, found)
    for row in answers.rows:
        row["their_tokens"] = [count_tokens(lm, task, request) for request in row.pop("requests")]
    return answers


def count_tokens(lm: Any, task: HarnessTask, request: list[str]) -> int:
    """How many ids lm-eval scored for a request."""
    if task.kind == "text":
        return sum(len(rest) for _, rest in lm.windows(request[0]))
    return len(lm.encode_request(*request)[1])


def parse_result(task: HarnessTask, found: Any) -> Answers:
    """The numbers in lm-eval's result. `requests` of a row are the texts that it asked about.

    Raises `harness.result`, naming what is missing.
    """
    name = task.config["task"]
    try:
        results, samples = found["results"][name], found["samples"][name]
        by_id = {sample["doc"]["id"]: sample for sample in samples}
        metrics = tuple(CHOICE_METRICS) if task.kind == "choice" else ROLLING_METRICS
        reported = {metric: float(results[metric + FILTER]) for metric in metrics}
        if len(by_id) != len(task.items) or len(samples) != len(task.items):
            refuse("harness.result", f"{name}: {len(samples)} answers to {len(task.items)} items")
        rows = [_parse_sample(task, by_id[item.id]) for item in task.items]
    except (KeyError, IndexError, TypeError, ValueError) as err:
        refuse("harness.result", f"{name}: {type(err).__name__} {err}")
    return Answers(reported, rows)


def _parse_sample(task: HarnessTask, sample: Mapping[str, Any]) -> dict[str, Any]:
    requests = [list(arguments) for arguments in _in_order(sample["arguments"])]
    if task.kind == "text":
        (nats,) = sample["filtered_resps"]
        return {"theirs": [float(nats)], "requests": requests}
    theirs = [float(nats) for nats, _ in sample["filtered_resps"]]
    verdicts = {f"their_{metric}": float(sample[metric]) for metric in CHOICE_METRICS}
    return {"theirs": theirs, "requests": requests, **verdicts}


def _in_order(arguments: Any) -> list[Any]:
    """lm-eval lists the arguments of a sample's requests, or numbers them: gen_args_0, ..."""
    if isinstance(arguments, Mapping):
        numbered = (arguments[f"gen_args_{index}"] for index in range(len(arguments)))
        return [tuple(entry[f"arg_{place}"] for place in range(len(entry))) for entry in numbered]
    return list(arguments)
