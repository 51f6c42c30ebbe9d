"""How a run is gone on with: the command that does it, and the conditions that it will be held to.

The command is made of run.json, which knows every value that was not the profile's. Of the conditions in a checkpoint
those that this process can know without torch are compared here; a resume compares all of them before its first step.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

import picochat
from picochat.artifacts import layout
from picochat.artifacts.code_record import package_digest
from picochat.artifacts.run_record import RunRecord
from picochat.artifacts.store import RunStore
from picochat.checkpoint.fingerprint import ACCEPTABLE, Difference, compare_fingerprints
from picochat.core.config import flatten
from picochat.core.errors import PicochatError
from picochat.core.jsonio import read_json
from picochat.core.workers import available_processes
from picochat.pipeline.config import RunConfig
from picochat.views.runs import resuming as views
from picochat.views.runs.resuming import resume_command

TRAININGS = (layout.BASE, layout.SFT)


class Condition(NamedTuple):
    """One condition of the training. `now` is None where only the resume itself can tell."""

    field: str
    saved: Any
    now: Any
    verdict: Literal["same", "later", "safe", "elastic", "accepted", "refused"]


class Resume(NamedTuple):
    """What a resume of a run would begin with. `why_not` is empty where it can be started here."""

    argv: tuple[str, ...]
    """The words after `picochat`."""
    stage: str | None
    """The training that was interrupted; None where none was."""
    step: int | None
    world_size: int | None
    conditions: tuple[Condition, ...]
    acceptable: tuple[str, ...]
    """Differences that can be accepted by name; the resume is then no longer called exact."""
    why_not: str


def plan_resume(store: RunStore, record: RunRecord, accept: Collection[str] = ()) -> Resume:
    """Raises `config.*` for a record that no configuration can be read from."""
    config = RunConfig.from_dict(record.config, str(store.path(layout.RUN)))
    stage, manifest = _interrupted(store)
    conditions = tuple(_conditions(stage, manifest, config, accept)) if stage and manifest else ()
    refused = [condition for condition in conditions if condition.verdict == "refused"]
    world_size = manifest.get("world_size") if manifest else None
    acceptable = sorted({row.field.rpartition(".")[2] for row in refused} & ACCEPTABLE)
    return Resume(
        resume_words(store.root, record, accept),
        stage,
        manifest.get("step") if manifest else None,
        world_size,
        conditions,
        tuple(acceptable),
        _why_not(record, world_size, refused),
    )


def resume_words(root: Path, record: RunRecord, accept: Collection[str] = ()) -> tuple[str, ...]:
    """The words after `picochat` of the command that every other place shows for a resume."""
    words = shlex.split(resume_command(record.to_json(), str(root)))[1:]
    accepted = ["--set", f"resume.accept={json.dumps(sorted(accept), separators=(',', ':'))}"] if accept else []
    return (*words, *accepted)


def own_settings(record: RunRecord) -> dict[str, str]:
    """Keys whose values do not come from the profile, with the value as `--set` takes it, without blanks."""
    values = sorted(views.own_settings(record.to_json()).items())
    return {key: json.dumps(value, separators=(",", ":")) for key, value in values}


def _interrupted(store: RunStore) -> tuple[str | None, dict[str, Any]]:
    """The first training without a report, and the manifest of its checkpoint where there is one."""
    for stage in TRAININGS:
        if store.has(layout.report_path(stage)):
            continue
        try:
            found = read_json(store.path(f"{layout.checkpoint_dir(stage)}/{layout.CKPT_MANIFEST}"))
        except (PicochatError, OSError):
            return stage, {}
        return stage, found if isinstance(found, dict) else {}
    return None, {}


def _conditions(stage: str, manifest: dict[str, Any], config: RunConfig, accept: Collection[str]) -> list[Condition]:
    saved = manifest.get("fingerprint")
    if not isinstance(saved, dict):
        return []
    known = {key: value for key, value in _known_now(config).items() if key in saved}
    loop = config.base.loop if stage == layout.BASE else config.sft.loop
    settled = flatten({"model": config.model.as_dict(), "loop": loop.as_dict()})
    found: dict[str, Difference] = {row.field: row for row in compare_fingerprints(saved, saved | known, accept)}
    rows = []
    for field, value in flatten(saved).items():
        row = found.get(field)
        if row is not None:
            rows.append(Condition(field, row.saved, row.now, row.verdict))
        else:
            # Another value in the record may still be right: a training may take its model from elsewhere.
            told = field in known or (field in settled and settled[field] == value)
            rows.append(Condition(field, value, value if told else None, "same" if told else "later"))
    return sorted(rows, key=lambda row: (row.verdict in ("later", "same"), row.verdict == "later", row.field))


def _known_now(config: RunConfig) -> dict[str, Any]:
    """What of the conditions of this process can be known without torch."""
    return {
        "torch_version": metadata.version("torch"),
        "package_version": picochat.__version__,
        # Of the files as they are now: whoever asks may have been started before an upgrade, the resume is not.
        "code_digest": package_digest(Path(picochat.__file__).parent),
        "threads": config.machine.threads or available_processes(),
        "seed": config.seed,
        "world_size": 1,
    }


def _why_not(record: RunRecord, world_size: int | None, refused: list[Condition]) -> str:
    if record.failpoints:
        return "it has armed faults, which only a test sets"
    if world_size not in (None, 1):
        return f"it runs on {world_size} processes: start the same command under torchrun, with --ddp --resume"
    if refused:
        return f"{len(refused)} conditions of the training differ, {refused[0].field} first"
    return ""
