"""From a configuration, a run folder and a machine to preflight.json: facts are gathered here, judged in judgement.

recipe (configuration) + text (run folder) + machine (doctor) -> judge_preflight -> preflight.json, preflight.md
"""

from __future__ import annotations

from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.clock import SystemClock
from picochat.judgement.preflight.facts import LaunchFacts, MachineFacts, PreflightFacts
from picochat.judgement.preflight.judge import judge_preflight
from picochat.pipeline.config import RunConfig
from picochat.pipeline.preflight.recipe import recipe_facts
from picochat.pipeline.preflight.text import chat_facts, token_facts
from picochat.views.preflight import preflight_markdown

STAGE = "preflight"
_JUDGED = (
    layout.RUN,
    layout.CORPUS_MANIFEST,
    layout.CORPUS,
    layout.CORPUS_DOCUMENTS,
    layout.CHAT_TRAIN,
    layout.CHAT_HELDOUT,
    layout.CHAT_EVAL,
    layout.TOKENIZER,
    layout.TOKENIZER_REPORT,
    layout.SHARDS_MANIFEST,
)
"""What training will read. The honesty report is made anew when a benchmark is measured, so check results alone name
the one that was judged."""


def run_preflight(
    store: RunStore, config: RunConfig, machine: MachineFacts, launch: LaunchFacts | None = None
) -> dict[str, Any]:
    """The body of preflight.json for a run folder, which may be missing. Writes nothing."""
    facts = PreflightFacts(
        recipe=recipe_facts(config),
        tokens=token_facts(store, config.seed),
        machine=machine,
        chat=chat_facts(store, config),
        launch=launch,
    )
    return judge_preflight(store, facts, config.summary.gate_profile, config.as_dict())


def write_preflight(store: RunStore, config: RunConfig, body: dict[str, Any]) -> None:
    """Writes both files into the run, whose lock the caller holds; older ones are kept under a number."""
    clock = SystemClock()
    record = StageRecord(store, STAGE, 1, config, clock.monotonic())
    for path in _JUDGED:
        if store.has(path):
            record.add_input("judged", path)
    store.write_evidence(layout.PREFLIGHT_MD, preflight_markdown(body).encode())
    record.add_output("page", layout.PREFLIGHT_MD)
    store.write_report(layout.PREFLIGHT, STAGE, body, record.manifest(clock.monotonic()))
