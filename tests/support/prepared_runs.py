"""Runs with a whole configuration, one key of it given, made without training: what commands can go on with.

prepared_run(root)          the folder
refused_run(root)           one that is trained by a script and blocked as a release; commands can judge it again
judge_before(root, ...)     preflight.json, as the command writes it for a machine that DOCTOR describes
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.green_run import GreenRun, judge

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.config import flatten
from picochat.core.jsonio import pretty_json
from picochat.pipeline.config import RunConfig
from picochat.pipeline.preflight.gather import Watch, run_preflight, write_preflight
from picochat.pipeline.preflight.machine import this_machine
from picochat.pipeline.profiles import PROFILES

DOCTOR = {"memory_bytes": 16_000_000_000, "cuda_devices": [], "cpu_bf16": True}
ROWS = 40


class Configured(GreenRun):
    """A run with a whole configuration."""

    def write_run(self, failpoints: tuple[str, ...] = ()) -> None:
        super().write_run(failpoints)
        values = PROFILES["tiny"].build().as_dict()
        values["base"]["loop"]["tokens"] = 2_000_000
        origins = dict.fromkeys(flatten(values), "profile tiny") | {"base.loop.tokens": "--set"}
        record = self.store.read(layout.RUN) | {"config": values, "origins": origins}
        self.store.write(layout.RUN, pretty_json(record))


def prepared_run(root: Path) -> Path:
    run = Configured(root, name=root.name)
    root.mkdir(parents=True)
    run.write_run()
    run.write_corpus(ROWS)
    run.write_tokenizer()
    run.write_honesty()
    return root


def refused_run(root: Path) -> Path:
    Configured(root, name=root.name, rates={"eval": 0.2, "heldout": 0.2, "fit": 0.9}, profile="skill_release").build()
    (root / layout.LOGS).mkdir(exist_ok=True)
    judge(root, "skill_release")
    return root


def judge_before(root: Path, profile: str = "skill_release") -> dict[str, Any]:
    """The body, judged with the limits of a gate profile; an older record keeps a numbered name."""
    store, watch = RunStore(root), Watch()
    values = store.read(layout.RUN)["config"] | {"summary": {"gate_profile": profile}}
    config = RunConfig.from_dict(values, "test")
    body = run_preflight(store, config, this_machine(config, 1, 1, root, DOCTOR), None, watch)
    write_preflight(store, config, body, watch)
    return body
