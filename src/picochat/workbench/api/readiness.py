"""Beside the gate: the token budget, where a run could be started, and what was predicted of it."""

from __future__ import annotations

import shlex
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.judgement.documents import load_document
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.prediction import build_plot, build_prediction, load_prediction
from picochat.pipeline.budget import BUDGET_FILES, RATIO_CHECK, read_budget
from picochat.pipeline.launch.desk import LaunchDesk
from picochat.pipeline.launch.readiness import ask_readiness, judge_targets
from picochat.views.checks import UNKNOWN
from picochat.views.gate.budget import budget_json, budget_rows
from picochat.views.gate.prediction import prediction_notes, prediction_table
from picochat.views.runs.rework import settings_words
from picochat.workbench.bench import Workbench
from picochat.workbench.reading.check_sets import RunChecks
from picochat.workbench.routing import Call, Route

PREDICTED_FILES = (layout.PREDICTION, layout.PREDICTION_CHECK, layout.report_path(layout.BASE), layout.RUN)


def read_token_budget(call: Call) -> dict[str, Any]:
    """The budget of base training, and the gate's own ratio beside it."""
    store, checks = call.run, RunChecks(call.bench, call.names["run"])
    paths = [store.path(name) for name in BUDGET_FILES]
    found = call.bench.memo.read(("budget", checks.run), paths, lambda: budget_json(read_budget(store)))
    rows = (checks.found(layout.GATE, "gate").document or {}).get("checks", ())
    gate = next((row for row in rows if row["id"] == RATIO_CHECK), None)
    facts = checks.facts()
    return found | {
        "rows": budget_rows(found),
        "gate": checks.shown([gate])[0] if gate else None,
        "command": f"picochat plan {shlex.quote(facts.profile or 'PROFILE')}{settings_words(facts)} --json",
    }


def read_readiness(call: Call) -> dict[str, Any]:
    """One verdict a target. A run whose record or settings are of another version has none, and says why."""
    checks = RunChecks(call.bench, call.names["run"])
    preflight = checks.found(layout.PREFLIGHT, "preflight")
    fresh = checks.freshness(layout.PREFLIGHT, preflight.document) if preflight.document else None
    changed = [*(entry["path"] for entry in fresh.changed), *sorted(fresh.rows)] if fresh else []
    desk, doctor = LaunchDesk(call.bench.runs), doctor_facts(call.bench)
    try:
        question = ask_readiness(checks.store, desk, doctor, run=checks.run, changed=changed)
    except PicochatError as err:
        return {"state": "unreadable", "why": err.detail, "trained": None, "targets": []}
    targets = [target.to_json() for target in judge_targets(question)]
    for target in targets:
        target["rows"] = checks.shown(target.pop("checks"), plan=target["plan"])
    trained = checks.store.has(layout.report_path(layout.BASE))
    return {"state": "ready", "why": "", "trained": trained, "targets": targets}


def doctor_facts(bench: Workbench) -> dict[str, Any] | None:
    """What this machine is, from the answer that the system page shows."""
    return bench.doctor.ask().facts


def read_prediction(call: Call) -> dict[str, Any]:
    """Prediction beside outcome, judged as the gate judges it: what does not follow from its ladder is not shown."""
    store = call.run
    paths = [store.path(name) for name in PREDICTED_FILES]
    return call.bench.memo.read(("prediction", store.root), paths, lambda: _prediction(store))


def _prediction(store: RunStore) -> dict[str, Any]:
    said = load_document(store, layout.PREDICTION, "prediction")
    if not said.present:
        return {"state": "missing", "why": f"there is no {layout.PREDICTION}: nothing was predicted", "word": None}
    if not said.usable:
        return {"state": "unreadable", "why": said.problem, "word": None}
    check = load_document(store, layout.PREDICTION_CHECK, "prediction_check")
    base = load_document(store, layout.report_path(layout.BASE), "base_report")
    found = load_prediction(said, check if check.present else None, base, RunEvidence(store).run)
    shown = build_prediction(found) or {}
    table = prediction_table(shown)
    return {
        "state": "ready",
        "why": shown.get("problem", ""),
        "word": _word(shown),
        "said": shown,
        "columns": table.columns,
        "rows": table.rows,
        "notes": prediction_notes(shown),
        "plot": build_plot(found),
    }


def _word(shown: dict[str, Any]) -> str:
    """inside, outside, refused, not compared (yet), or a dash where the prediction is not sound."""
    if shown.get("problem"):
        return UNKNOWN
    if shown.get("refusal"):
        return "refused"
    return {True: "inside", False: "outside"}.get(shown.get("inside"), "not compared")  # type: ignore[arg-type]


ROUTES = [
    Route("GET", "api/runs/{run}/budget", read_token_budget, "Token budget", "picochat plan PROFILE --json"),
    Route("GET", "api/runs/{run}/readiness", read_readiness, "Where it could be started", "picochat launch ready RUN"),
    Route("GET", "api/runs/{run}/prediction", read_prediction, "Prediction and outcome", "picochat gate RUN --json"),
]
