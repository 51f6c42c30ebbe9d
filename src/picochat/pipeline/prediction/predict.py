"""From a finished ladder to prediction.json in the folder of a run that is not trained yet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.ladder_record import LadderRecord
from picochat.artifacts.store import RunLock, RunStore, StageRecord
from picochat.core.clock import SystemClock
from picochat.core.errors import refuse
from picochat.core.events import iter_events
from picochat.evals.scaling.prediction import predict_loss, require_target
from picochat.pipeline.config import Resolved, RunConfig
from picochat.pipeline.prediction.ladder import load_ladder, require_rungs
from picochat.pipeline.prediction.plan import size_of
from picochat.pipeline.prediction.rules import differing_rules
from picochat.pipeline.runner import open_run

STAGE = "predict"
NUMBERS = re.compile(r"([0-9][0-9_.eE+]*),([0-9][0-9_.eE+]*)")


def parse_numbers(target: str) -> tuple[int, int] | None:
    """`1.1e9,22e9` -> (parameters, tokens); None when it is no such pair, as the name of a profile is not.

    Raises `prediction.target`.
    """
    if "," not in target:
        return None
    match = NUMBERS.fullmatch(target.replace(" ", ""))
    try:
        found = tuple(int(float(part)) for part in match.groups()) if match else ()
    except (ValueError, OverflowError):
        found = ()
    if len(found) != 2:
        refuse("prediction.target", f"{target!r} is no pair of parameters and tokens")
    require_target(*found)
    return found[0], found[1]


def predict_from(root: Path, target: tuple[int, int] | RunConfig) -> tuple[LadderRecord, dict[str, Any]]:
    """The ladder, whose rungs were hashed again, and the body of prediction.json."""
    record = load_ladder(root)
    require_rungs(root, record)
    parameters, tokens = size_of(target) if isinstance(target, RunConfig) else target
    found = predict_loss(record.rungs, parameters, tokens)
    body = {
        "ladder_profile": record.profile,
        "rungs": [rung.to_json() for rung in record.rungs],
        "text": record.rungs[0].inputs,
        "rules_differ": differing_rules(record.rules, target) if isinstance(target, RunConfig) else [],
        **found,
    }
    return record, body


def write_prediction(ladder: Path, run: Path, profile: str, resolved: Resolved) -> dict[str, Any]:
    """Opens the run, or makes it, and writes what the ladder says of it, once and before base begins.

    A refusal to predict is written like a prediction. Raises `prediction.late`, `prediction.written`, `run.*`,
    `ladder.*` or `artifact.*`.
    """
    _require_open(RunStore(run))
    _, body = predict_from(ladder, resolved.config)
    store = open_run(run, profile, resolved, resume=(run / layout.RUN).is_file())
    with RunLock(run):
        _require_open(store)  # again, now that nobody else can begin
        clock = SystemClock()
        record = StageRecord(store, STAGE, 1, resolved.config.base, clock.monotonic())
        record.add_input("ladder", ladder / layout.LADDER)
        store.write_report(layout.PREDICTION, "prediction", body, record.manifest(clock.monotonic()))
    return store.read_report(layout.PREDICTION, "prediction")


def _require_open(store: RunStore) -> None:
    """Neither was anything predicted yet, nor has base begun."""
    if store.has(layout.PREDICTION):
        refuse("prediction.written", f"{store.path(layout.PREDICTION)} was written before")
    began = store.path(layout.BASE).exists() or any(
        event.get("kind") == "stage_started" and event.get("stage") == layout.BASE
        for event in iter_events(store.path(layout.EVENTS))
    )
    if began:
        refuse("prediction.late", f"base has begun in {store.root}")
