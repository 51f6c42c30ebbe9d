"""Where the numbers of a token budget stand: configuration and plan, reports, preflight, the live status."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.confined import open_below
from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json
from picochat.judgement.profile import load_profile
from picochat.pipeline.config import RunConfig
from picochat.pipeline.preflight.recipe import TARGET_TOKENS_PER_PARAMETER, recipe_facts
from picochat.views.gate.budget import Budget
from picochat.views.reading import dict_of, find_document, number_of

TAIL_BYTES = 65_536
"""Of the events, enough for some hundred steps."""
RATIO_CHECK = "budget.target_ratio"
BUDGET_FILES = (
    layout.RUN,
    layout.STATUS,
    layout.EVENTS,
    layout.report_path(layout.BASE),
    layout.SHARDS_MANIFEST,
    layout.PREFLIGHT,
    layout.TOKENIZER_REPORT,
)
"""Everything that `read_budget` looks at."""


def read_budget(store: RunStore) -> Budget:
    """The budget of a run; what cannot be read is unknown."""
    record, base = _read(store, layout.RUN), _read(store, layout.report_path(layout.BASE))
    planned = _planned(record, base)
    training = dict_of(base.get("training"))
    unique, interval, source = _unique(store, training)
    return Budget(
        target_ratio=_target(record),
        unique_tokens=unique,
        unique_interval=interval,
        unique_from=source,
        used_tokens=_used(store, training),
        **planned,
    )


def _planned(record: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """Parameters and tokens as a plan has them; of a configuration that this program cannot read, as base reported."""
    try:
        config = RunConfig.from_dict(dict_of(record.get("config")), layout.RUN)
        recipe = recipe_facts(config)
    except PicochatError as err:
        training = dict_of(base.get("training"))
        tokens, parameters = _int(training.get("planned_tokens")), _int(dict_of(base.get("model")).get("parameters"))
        numbers = {"parameters": parameters, "asked_tokens": tokens, "planned_tokens": tokens}
        return numbers | {"why": f"the configuration is not one of this version: {err.detail}"}
    return {
        "parameters": recipe.parameters,
        "asked_tokens": config.base.loop.tokens,
        "planned_tokens": recipe.planned_tokens,
    }


def _target(record: dict[str, Any]) -> float:
    """Tokens a parameter, by the gate profile of the run."""
    try:
        checks = load_profile(str(record.get("gate_profile"))).profile.checks
    except PicochatError:
        return float(TARGET_TOKENS_PER_PARAMETER)
    found = next((check.threshold for check in checks if check.id == RATIO_CHECK), None)
    return float(TARGET_TOKENS_PER_PARAMETER) if found is None else found


def _unique(store: RunStore, training: dict[str, Any]) -> tuple[float | None, tuple[float, float] | None, str]:
    """Counted where they were trained on, else in the shards, else by preflight, else by the tokenizer."""
    base = layout.report_path(layout.BASE)
    for source, exposure in ((base, training), (layout.SHARDS_MANIFEST, _read(store, layout.SHARDS_MANIFEST))):
        if total := _sum_unique(exposure.get("exposure")):
            return total, None, source
    tokens = dict_of(dict_of(_read(store, layout.PREFLIGHT).get("facts")).get("tokens"))
    if unique := number_of(tokens.get("unique")):
        return unique, _interval(tokens.get("interval")), str(tokens.get("source") or layout.PREFLIGHT)
    report = _read(store, layout.TOKENIZER_REPORT)
    if dict_of(report.get("measured")).get("limited") is False and (counted := number_of(report.get("train_tokens"))):
        return counted, None, layout.TOKENIZER_REPORT
    return None, None, ""


def _sum_unique(exposure: Any) -> float | None:
    sources = exposure if isinstance(exposure, list) else []
    counts = [number_of(dict_of(source).get("unique_tokens")) for source in sources]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def _used(store: RunStore, training: dict[str, Any]) -> int | None:
    """Tokens that base has seen: as it reported, else as its newest step says, else as the live status says."""
    seen = _int(training.get("tokens_seen"))
    if seen is not None:
        return seen
    steps = [event for event in _newest_events(store) if event.get("kind") == "step"]
    if steps and steps[-1].get("stage") == layout.BASE:
        return _int(steps[-1].get("tokens"))
    status = _read(store, layout.STATUS)
    return _int(status.get("tokens_seen")) if status.get("stage") == layout.BASE else None


def _newest_events(store: RunStore) -> list[dict[str, Any]]:
    """The whole lines at the end of the events."""
    try:
        with open_below(store.root, layout.EVENTS) as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL_BYTES))
            lines = stream.read(TAIL_BYTES).split(b"\n")[:-1]
    except OSError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(PicochatError):
            found.append(dict_of(parse_json(line, layout.EVENTS)))
    return found


def _interval(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    low, high = number_of(value[0]), number_of(value[1])
    return None if low is None or high is None else (low, high)


def _int(value: Any) -> int | None:
    number = number_of(value)
    return None if number is None else int(number)


def _read(store: RunStore, path: str) -> dict[str, Any]:
    return find_document(store.root, path).body
