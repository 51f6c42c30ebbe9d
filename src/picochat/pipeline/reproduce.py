"""Trains some steps of a run again, in a folder of its own, and compares the ledgers. The run is only read."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.code_record import environment_record
from picochat.artifacts.reports import Manifest
from picochat.artifacts.store import RunStore
from picochat.checkpoint.fingerprint import ACCEPTABLE, Difference
from picochat.checkpoint.format import CheckpointManifest
from picochat.checkpoint.verify import check_checkpoint_files
from picochat.core import fs
from picochat.core.errors import PicochatError, refuse
from picochat.core.events import EventWriter
from picochat.core.jsonio import canonical_json
from picochat.core.progress import Progress, SilentProgress
from picochat.pipeline.config import RunConfig
from picochat.pipeline.replay_ledger import Comparison, compare_ledgers
from picochat.pipeline.runner import STAGE_BY_NAME
from picochat.stages.contract import Replay, StageContext, StopFlag
from picochat.training.config import ResumeConfig
from picochat.training.ledger import spliced

START = "start"
MACHINE_KEYS = ("machine", "cpu_features")
"""Kernels are chosen by these, and two kernels need not round alike."""
FINISHED = "run.stopped"
"""The code with which a training ends that was stopped, as a replay always is before the last step."""


@dataclass(frozen=True)
class Request:
    """Which steps: `steps` of them, after `begin` (a step, or None for the seeded start)."""

    stage: str
    steps: int
    begin: int | None
    allow_differences: bool = False


class Reproduction(NamedTuple):
    """What was compared, and under which differing conditions."""

    request: Request
    last_step: int
    comparison: Comparison
    conditions: list[Difference]


def reproduce(
    store: RunStore,
    config: RunConfig,
    request: Request,
    progress: Progress | None = None,
    stop: StopFlag | None = None,
) -> Reproduction:
    """Raises `reproduce.conditions` when this machine or code is another one and that was not allowed.

    Also `reproduce.steps`, `artifact.*` for inputs that are not the recorded ones, `checkpoint.*`, and `run.stopped`
    when `stop` asked for it.
    """
    recorded = _read_recorded(store, request)
    source, manifest = _find_checkpoint(store, request)
    policy = ResumeConfig(elastic=True, accept=sorted(ACCEPTABLE)) if request.allow_differences else ResumeConfig()
    last = (request.begin or 0) + request.steps
    replay = Replay(last, manifest.fingerprint, policy, _compare_machines(store, request))
    stop = stop or StopFlag()
    with tempfile.TemporaryDirectory(prefix="picochat-reproduce-") as folder:
        scratch = RunStore(Path(folder))
        _lay_out(store, scratch, request, source)
        _train(scratch, config, request, replay, progress or SilentProgress(), stop)
        replayed = spliced(scratch.path(f"{request.stage}/{layout.LEDGER}"))
    wanted = [line for line in recorded if (request.begin or 0) < line["step"] <= last]
    compared = compare_ledgers(wanted, replayed, tolerant=bool(replay.differences))
    return Reproduction(request, last, compared, replay.differences)


def _read_recorded(store: RunStore, request: Request) -> list[dict[str, Any]]:
    """The ledger, when it is the one that the report names and holds the steps asked for."""
    path, report = f"{request.stage}/{layout.LEDGER}", layout.report_path(request.stage)
    if store.has(report):
        body = store.read_report(report, f"{request.stage}_report")
        for ref in Manifest.from_json(body["manifest"], report).outputs:
            if ref.path == path:
                store.require_unchanged(ref)
    try:
        lines = spliced(store.path(path))
        known = {line["step"] for line in lines}
    except (KeyError, TypeError, AttributeError):
        refuse("training.ledger", f"{store.path(path)} holds a line that is no step")
    begin = request.begin or 0
    wanted = set(range(begin + 1, begin + request.steps + 1))
    if absent := sorted(wanted - known):
        refuse(
            "reproduce.steps",
            f"steps {begin + 1:,} to {begin + request.steps:,} are asked for, and {path} has no step {absent[0]:,} "
            f"(its last is {max(known, default=0):,})",
        )
    return lines


def _find_checkpoint(store: RunStore, request: Request) -> tuple[Path | None, CheckpointManifest]:
    """The folder to begin with (None: the start) and the manifest whose fingerprint tells the conditions."""
    names = [layout.CHECKPOINT, layout.CHECKPOINT_PREVIOUS]
    kept = store.path(f"{request.stage}/{layout.KEPT}")
    names += sorted(f"{layout.KEPT}/{path.name}" for path in kept.glob("step-*")) if kept.is_dir() else []
    folders = [store.path(f"{request.stage}/{name}") for name in names]
    folders = [folder for folder in folders if folder.is_dir()]
    if not folders:
        refuse("checkpoint.missing", f"{store.path(request.stage)} holds no checkpoint, which tells how it was trained")
    if request.begin is None:
        return None, check_checkpoint_files(folders[0])
    manifests = {folder: check_checkpoint_files(folder) for folder in folders}
    for folder, manifest in reversed(manifests.items()):
        if manifest.step == request.begin:
            return folder, manifest
    steps = sorted({manifest.step for manifest in manifests.values()})
    refuse(
        "reproduce.steps",
        f"no checkpoint of step {request.begin:,} is kept; there are those of {', '.join(f'{s:,}' for s in steps)}",
        fix="choose one of them or --from start; a run with loop.keep_every keeps more",
    )


def _compare_machines(store: RunStore, request: Request) -> list[Difference]:
    """What the fingerprint does not hold and yet changes the last bits. Raises `reproduce.conditions`."""
    path = layout.report_path(request.stage)
    recorded = store.read(path)["manifest"]["environment"] if store.has(path) else store.read(layout.RUN)["environment"]
    now = environment_record()
    found = [
        Difference(f"environment.{key}", recorded.get(key), now.get(key), "accepted")
        for key in MACHINE_KEYS
        if recorded.get(key) != now.get(key)
    ]
    if found and not request.allow_differences:
        rows = "; ".join(f"({d.field}, saved {d.saved!r}, now {d.now!r})" for d in found)
        refuse("reproduce.conditions", f"{len(found)} facts about the machine differ: {rows}")
    return found


def _lay_out(store: RunStore, scratch: RunStore, request: Request, source: Path | None) -> None:
    """Links to what the stage reads, a copy of the checkpoint, and the ledger up to it."""
    for entry in sorted(store.root.iterdir()):
        if entry.name != request.stage and not layout.is_live(entry.name):
            (scratch.root / entry.name).symlink_to(entry.absolute())
    if source is None:
        return
    fs.make_dir(scratch.path(request.stage))
    shutil.copytree(source, scratch.path(layout.checkpoint_dir(request.stage)))
    begin = request.begin or 0
    lines = [line for line in spliced(store.path(f"{request.stage}/{layout.LEDGER}")) if line["step"] <= begin]
    text = b"".join(canonical_json(line) + b"\n" for line in lines)
    scratch.write(f"{request.stage}/{layout.LEDGER}", text)


def _train(
    scratch: RunStore, config: RunConfig, request: Request, replay: Replay, progress: Progress, stop: StopFlag
) -> None:
    """The stage itself, stopped after the last step asked for."""
    spec = STAGE_BY_NAME[request.stage]
    progress.stage(spec.name, f"{request.steps:,} steps again, after {request.begin or START}")
    events = EventWriter(scratch.path(layout.EVENTS))
    context = StageContext(
        scratch,
        events,
        config.seed,
        resume=request.begin is not None,
        resume_policy=replay.policy,
        progress=progress,
        stop=stop,
        replay=replay,
    )
    try:
        spec.run(context, *spec.arguments(config))
    except PicochatError as err:
        if err.code == "resume.fingerprint":
            refuse("reproduce.conditions", err.detail)
        if err.code != FINISHED or stop.requested:
            raise
    finally:
        events.close()
