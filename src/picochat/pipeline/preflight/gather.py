"""From a configuration, a run folder and a machine to preflight.json: facts are gathered here, judged in judgement.

recipe (configuration) + text (run folder) + machine (doctor) -> judge_preflight -> preflight.json, preflight.md
"""

from __future__ import annotations

from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.clock import Clock, SystemClock
from picochat.judgement.preflight.facts import LaunchFacts, MachineFacts, PreflightFacts
from picochat.judgement.preflight.judge import judge_preflight
from picochat.pipeline.config import RunConfig
from picochat.pipeline.preflight.recipe import recipe_facts
from picochat.pipeline.preflight.text import chat_facts, token_facts
from picochat.views.gate.preflight import preflight_markdown

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


class Watch:
    """How long preflight took, and each of its checks: about the judging, so it stands in the manifest, not the body.

    What a check reads first is its own time: one that is quick may stand on what another one read.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.started_s = self._clock.monotonic()
        self.check_seconds: dict[str, float] = {}
        self._last_s = self.started_s

    def begin(self) -> None:
        """The facts are gathered, the first check begins."""
        self._last_s = self._clock.monotonic()

    def lap(self, check: str) -> None:
        """A check was judged."""
        now_s = self._clock.monotonic()
        self.check_seconds[check], self._last_s = round(now_s - self._last_s, 4), now_s

    def now_s(self) -> float:
        return self._clock.monotonic()


def run_preflight(
    store: RunStore,
    config: RunConfig,
    machine: MachineFacts,
    launch: LaunchFacts | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """The body of preflight.json for a run folder, which may be missing. Writes nothing."""
    watch = watch or Watch()
    facts = PreflightFacts(
        recipe=recipe_facts(config),
        tokens=token_facts(store, config.seed),
        machine=machine,
        chat=chat_facts(store, config),
        launch=launch,
    )
    watch.begin()
    return judge_preflight(store, facts, config.summary.gate_profile, config.as_dict(), watch=watch.lap)


def write_preflight(store: RunStore, config: RunConfig, body: dict[str, Any], watch: Watch | None = None) -> None:
    """Writes both files into the run, whose lock the caller holds; older ones are kept under a number."""
    watch = watch or Watch()
    record = StageRecord(store, STAGE, 1, config, watch.started_s)
    for path in _JUDGED:
        if store.has(path):
            record.add_input("judged", path)
    store.write_evidence(layout.PREFLIGHT_MD, preflight_markdown(body).encode())
    record.add_output("page", layout.PREFLIGHT_MD)
    store.write_report(layout.PREFLIGHT, STAGE, body, record.manifest(watch.now_s(), check_seconds=watch.check_seconds))
