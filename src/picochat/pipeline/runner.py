"""The factory: opens the run folder, then walks its stages in order. Torch comes in with the stages that need it."""

from __future__ import annotations

import contextlib
import importlib
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.code_record import code_record, environment_record
from picochat.artifacts.reports import Manifest
from picochat.artifacts.run_record import RunRecord
from picochat.artifacts.schema import schema_tag
from picochat.artifacts.store import RunLock, RunStore
from picochat.core import failpoints, fs
from picochat.core.clock import Clock, SystemClock, utc_now
from picochat.core.config import Config, flatten
from picochat.core.errors import PicochatError, refuse
from picochat.core.events import EventWriter, SilentEvents, iter_events
from picochat.core.log import LOGGER, close_log, open_log
from picochat.core.progress import Progress, SilentProgress
from picochat.core.workers import available_processes
from picochat.distributed.config import DistributedConfig
from picochat.distributed.ranks import Ranks, SoloRanks
from picochat.pipeline.config import Resolved, RunConfig
from picochat.pipeline.live import NoStatus, Status, StatusThread
from picochat.pipeline.spending.config import LaunchConfig
from picochat.pipeline.spending.meter import SpendingMeter
from picochat.stages.benchmark.config import BenchmarkConfig
from picochat.stages.contract import StageContext, StopFlag
from picochat.stages.harness.config import HarnessConfig
from picochat.training.config import MachineConfig, ResumeConfig


class StageSpec(NamedTuple):
    """A stage of the factory: its module, its report, and the parts of the configuration it is called with.

    A `shared` stage is run by all ranks together; the others by rank 0 while the rest wait.
    """

    name: str
    title: str
    report: str
    schema: str
    arguments: Callable[[RunConfig], tuple[Config, ...]]
    shared: bool = False
    wanted: Callable[[RunConfig], bool] = lambda config: True
    """Whether a run of this configuration has the stage at all."""
    work: str = ""
    """The folder of its working state, which goes with its report."""
    needed: Callable[[RunStore], bool] = lambda store: True
    """Whether there is anything for it to do, by what other stages have written."""

    @property
    def run(self) -> Callable[..., Any]:
        """Imported by name, so that plans and gates never wait for torch."""
        return importlib.import_module(f"picochat.stages.{self.name}.run").run


ATTEMPT_KEYS = {f"distributed.{key}" for key in DistributedConfig.model_fields} | {"machine.workers"}
ATTEMPT_KEYS |= {f"launch.{key}" for key in LaunchConfig.model_fields}
"""Settings of how processes share work: an attempt may have others than the one before. The fingerprint of a
checkpoint holds what of them matters to a training."""
STAGES = (
    StageSpec(
        "dataset",
        "corpus and chat rows",
        layout.CORPUS_MANIFEST,
        "corpus_manifest",
        lambda c: (c.data, c.honesty.contamination),
        work=layout.DATASET_WORK,
    ),
    StageSpec("honesty", "contamination", layout.HONESTY, "honesty", lambda c: (c.honesty,)),
    StageSpec(
        "tokenizer", "tokenizer and baselines", layout.TOKENIZER_REPORT, "tokenizer_report", lambda c: (c.tokenizer,)
    ),
    StageSpec(
        "shards",
        "tokens on disk",
        layout.SHARDS_MANIFEST,
        "shards_manifest",
        lambda c: (c.shards_stage(),),
        wanted=lambda c: c.base.data_mode != "memory",
        work=layout.SHARDS_WORK,
    ),
    StageSpec(
        "base",
        "base training",
        layout.report_path(layout.BASE),
        "base_report",
        lambda c: (c.base, c.model, c.machine),
        shared=True,
    ),
    StageSpec(
        "prediction",
        "predicted and measured loss",
        layout.PREDICTION_CHECK,
        "prediction_check",
        lambda c: (c.base,),
        needed=lambda store: store.has(layout.PREDICTION),
    ),
    StageSpec(
        "sft", "fine-tuning", layout.report_path(layout.SFT), "sft_report", lambda c: (c.sft, c.machine), shared=True
    ),
    StageSpec(
        "evaluate",
        "evaluation",
        layout.report_path(layout.EVAL),
        "eval_report",
        lambda c: (c.eval, c.machine),
        shared=True,
    ),
    StageSpec(
        "memorisation",
        "what was learned by heart",
        layout.MEMORISATION,
        "memorisation",
        lambda c: (c.memorisation, c.machine),
        shared=True,
        wanted=lambda c: c.base.text.corpus is None,
    ),
    StageSpec("summary", "gate and summary", layout.SUMMARY, "summary", lambda c: (c.summary,)),
)
STAGE_BY_NAME = {spec.name: spec for spec in STAGES}


def chosen_stages(config: RunConfig, names: tuple[str, ...] | None) -> list[StageSpec]:
    """The stages of a run in their order: all that it has, or those of the names that it has."""
    return [spec for spec in STAGES if (names is None or spec.name in names) and spec.wanted(config)]


def run_benchmark(values: dict[str, Any], machine: MachineConfig) -> tuple[StageSpec, ...]:
    """The benchmark stage as an extra one: its configuration is no part of the run's. Raises `config.*`.

    After it, items that have not been compared with the training text yet are compared.
    """
    config = BenchmarkConfig.from_dict(values, "benchmark")
    report = layout.report_path(layout.benchmark_dir(config.name))
    measure = StageSpec(
        "benchmark",
        f"benchmark {config.name}",
        report,
        "benchmark_report",
        lambda _: (config, machine),
        shared=True,
    )
    return measure, STAGE_BY_NAME["honesty"]._replace(needed=lambda store: _is_uncompared(store, report))


def run_harness(values: dict[str, Any], machine: MachineConfig) -> StageSpec:
    """A task of the harness stage as an extra stage: its configuration is no part of the run's. Raises `config.*`."""
    config = HarnessConfig.from_dict(values, "harness")
    return StageSpec(
        "harness",
        f"cross-check {config.task}",
        layout.report_path(layout.harness_dir(config.task)),
        "harness_report",
        lambda _: (config, machine),
        shared=True,
    )


def _is_uncompared(store: RunStore, report: str) -> bool:
    """Whether the honesty report knows nothing of a benchmark's files, or names a report that was replaced since.

    A run whose text is gone cannot be compared with anything.
    """
    if not store.has(layout.CORPUS):
        return False
    if not store.has(layout.HONESTY):
        return True
    manifest = Manifest.from_json(store.read(layout.HONESTY)["manifest"], layout.HONESTY)
    compared = {ref.sha256 for ref in manifest.inputs}
    files = {file["sha256"] for file in store.read(report)["files"]}
    return report in {ref.path for ref in manifest.inputs} or not files <= compared


@dataclass(frozen=True)
class Factory:
    """How a run is worked on: where it says what it does, what may stop it, what a resume may pass over, by whom."""

    progress: Progress = field(default_factory=SilentProgress)
    clock: Clock = field(default_factory=SystemClock)
    stop: StopFlag = field(default_factory=StopFlag)
    resume_policy: ResumeConfig = field(default_factory=ResumeConfig)
    ranks: Ranks = field(default_factory=SoloRanks)


class _CountedProgress:
    """Shows progress, and lets the ranks that wait for rank 0 know of it."""

    def __init__(self, shown: Progress, ranks: Ranks) -> None:
        self._shown, self._ranks = shown, ranks

    def stage(self, name: str, title: str) -> None:
        self._ranks.advance()
        self._shown.stage(name, title)

    def update(self, done: float, total: float, note: str = "") -> None:
        self._ranks.advance()
        self._shown.update(done, total, note)

    def say(self, text: str) -> None:
        self._ranks.advance()
        self._shown.say(text)


def require_machine(config: MachineConfig) -> None:
    """Resolves device and precision before any work is done. Raises `device.missing` or `usage.unavailable`."""
    importlib.import_module("picochat.training.machine").build_machine(config)


def open_run(root: Path, profile: str, resolved: Resolved, resume: bool) -> RunStore:
    """Creates the run folder with run.json, or opens the one to resume. Raises `run.*`, `config.*` or `disk.*`."""
    store = RunStore(root)
    if store.has(layout.RUN):
        if not resume:
            refuse("run.not_empty", f"{root} already holds a run")
        _require_same_config(store, resolved)
        return store
    if root.is_dir() and not all(map(_is_of_a_dead_start, root.iterdir())):
        refuse("run.not_empty", f"{root} is not empty and holds no run.json", fix="choose another --out-dir")
    fs.make_dir(root)
    fs.make_dir(root / layout.LOGS)
    record = RunRecord(
        schema=schema_tag("run"),
        name=root.name,
        profile=profile,
        gate_profile=resolved.config.summary.gate_profile,
        nonce=secrets.token_hex(16),
        created_at=utc_now(),
        config=resolved.config.as_dict(),
        origins=resolved.origins,
        failpoints=tuple(failpoints.armed()),
        code=code_record(),
        environment=environment_record(),
    )
    fs.write_json(store.path(layout.RUN), record.to_json())
    return store


def open_shared_run(root: Path, profile: str, resolved: Resolved, resume: bool, ranks: Ranks) -> RunStore:
    """`open_run` on rank 0; the other ranks then find the same settings there as they were started with."""

    def open_it() -> None:
        open_run(root, profile, resolved, resume)

    ranks.on_main("opening the run", open_it)
    store = RunStore(root)
    _require_same_config(store, resolved)
    return store


def _is_of_a_dead_start(path: Path) -> bool:
    """What an attempt leaves that died before it had written run.json."""
    if path.name == layout.LOGS and path.is_dir():
        return all(entry.match("rank*.log") for entry in path.iterdir())
    live = path.name in (layout.LOCK, layout.STATUS, layout.DDP_CONTROL)
    temporary = path.name.startswith((fs.TMP_PREFIX, fs.LIVE_PREFIX))
    return (live or temporary) and not path.is_dir()  # a temporary file may have gone by now


def load_run_record(store: RunStore) -> RunRecord:
    """run.json of a run. Raises `run.missing` when the folder holds none."""
    if not store.has(layout.RUN):
        refuse("run.missing", f"{store.root} holds no run: there is no {layout.RUN}")
    return RunRecord.from_json(store.read(layout.RUN), str(store.path(layout.RUN)))


def _require_same_config(store: RunStore, resolved: Resolved) -> None:
    saved, now = flatten(load_run_record(store).config), flatten(resolved.config.as_dict())
    asked = sorted(key for key in saved.keys() | now.keys() if key not in ATTEMPT_KEYS)
    differing = [key for key in asked if saved.get(key) != now.get(key)]
    if differing:
        rows = "; ".join(f"{key} was {saved.get(key)!r}, now {now.get(key)!r}" for key in differing)
        refuse("run.config", f"the settings differ from {store.path(layout.RUN)}: {rows}")


def run_stages(
    store: RunStore,
    config: RunConfig,
    factory: Factory,
    names: tuple[str, ...] | None = None,
    resume: bool = False,
    extra: tuple[StageSpec, ...] = (),
) -> None:
    """Walks the stages (all, or those named), skipping on a resume what is finished and unchanged.

    Errors are written to events, log and status before they are raised again.
    """
    ranks = factory.ranks
    with contextlib.ExitStack() as held:
        attempt = ranks.on_main("taking the run's lock", lambda: _take_over(store, held))
        log = open_log(store.path(layout.rank_log(ranks.launch.rank)))
        held.callback(close_log, log)
        events = EventWriter(store.path(layout.EVENTS), attempt) if ranks.is_main else SilentEvents(attempt)
        held.callback(events.close)
        live: dict[str, Any] = {}
        context = StageContext(
            store,
            events,
            config.seed,
            attempt,
            resume,
            factory.resume_policy,
            _CountedProgress(factory.progress, ranks),
            factory.clock,
            factory.stop,
            ranks,
            config.machine.workers or available_processes(),
            live,
        )

        def acknowledge(request: str) -> None:
            events.emit("control_ack", live.get("stage", ""), request=request)

        def emit(kind: str, fields: dict[str, Any]) -> None:
            events.emit(kind, live.get("stage", ""), **fields)

        earlier = iter_events(store.path(layout.EVENTS))
        meter = (
            SpendingMeter(config.launch, earlier, factory.clock, factory.stop, emit, live) if ranks.is_main else None
        )
        watch = (
            StatusThread(store, live, factory.stop, attempt, acknowledge, meter=meter) if ranks.is_main else NoStatus()
        )
        with watch as status:
            try:
                for spec in (*chosen_stages(config, names), *extra):
                    _run_stage(context, spec, config)
            except BaseException as err:
                _record_failure(events, status, live, err)
                raise
            status.close("finished")


def _take_over(store: RunStore, held: contextlib.ExitStack) -> int:
    """Takes the lock for as long as `held` lasts, sweeps what dead writers left, and numbers the attempt."""
    held.enter_context(RunLock(store.root))
    fs.sweep_temporaries(store.root)
    return 1 + max((event.get("attempt", 0) for event in iter_events(store.path(layout.EVENTS))), default=0)


def _run_stage(context: StageContext, spec: StageSpec, config: RunConfig) -> None:
    arguments = spec.arguments(config)
    ranks = context.ranks
    if not ranks.on_main(f"looking at stage {spec.name}", lambda: _is_due(context, spec, arguments[0])):
        return
    context.live.clear()
    context.live["stage"] = spec.name
    context.progress.stage(spec.name, spec.title)
    context.events.emit("stage_started", spec.name)
    LOGGER.info("stage %s starts, attempt %d", spec.name, context.attempt)
    started = context.clock.monotonic()
    if spec.shared:
        spec.run(context, *arguments)
    else:
        ranks.on_main(spec.name, lambda: _run_alone(context, spec, arguments))
    seconds = context.clock.monotonic() - started
    context.events.emit("stage_finished", spec.name, duration_s=round(seconds, 3))
    LOGGER.info("stage %s finished in %.1f s", spec.name, seconds)


def _run_alone(context: StageContext, spec: StageSpec, arguments: tuple[Config, ...]) -> None:
    """What a stage returns is for its callers in this process; the other ranks read its files."""
    spec.run(context, *arguments)


def _is_due(context: StageContext, spec: StageSpec, config: Config) -> bool:
    """Whether the stage is to be run: not on a resume that finds it finished. Raises `run.stopped`."""
    if not spec.needed(context.store):
        return False
    if context.resume and (found := inspect_finished(context.store, spec, config)):
        context.progress.say(f"{spec.name}: {found.reason}")
        if found.files:
            _remove_work(context.store, spec)
            return False
    if context.stop.requested:
        refuse("run.stopped", f"stopped before stage {spec.name}: {context.stop.reason}")
    return True


def _remove_work(store: RunStore, spec: StageSpec) -> None:
    """What a stage that was killed after its report has left of its working state."""
    if spec.work:
        shutil.rmtree(store.path(spec.work), ignore_errors=True)


class Finished(NamedTuple):
    """What a resume found of a stage: the number of files that verified, 0 when it is run again, and why."""

    files: int
    reason: str


def inspect_finished(store: RunStore, spec: StageSpec, config: Config) -> Finished | None:
    """Whether a stage's report stands, was made with this configuration, and its files are the recorded ones.

    An input from outside that is gone changes nothing about what was made of it. None when it never finished.
    """
    if not store.has(spec.report):
        return None
    try:
        report = store.require_outputs(spec.report, spec.schema)
        manifest = Manifest.from_json(report["manifest"], spec.report)
        gone = [ref for ref in manifest.inputs if ref.external and not Path(ref.path).exists()]
        for ref in manifest.inputs:
            if ref not in gone:
                store.require_unchanged(ref)
    except PicochatError as err:
        LOGGER.warning("%s is run again: %s", spec.name, err.detail)
        return Finished(0, f"run again, {err.code}: {err.detail}")
    if manifest.config != config.digest():
        return Finished(0, "run again, its configuration is another one than its report's")
    files = 1 + len(manifest.inputs) + len(manifest.outputs) - len(gone)
    missing = f"; {len(gone)} inputs from outside the run are not there any more" if gone else ""
    return Finished(files, f"finished before, skipped: {files} files have their recorded digests{missing}")


def _record_failure(events: EventWriter, status: Status, live: dict[str, Any], err: BaseException) -> None:
    known = isinstance(err, PicochatError)
    code = err.code if known else type(err).__name__
    detail = err.detail if known else str(err)
    LOGGER.error("%s: %s", code, detail, exc_info=not known)
    stopped = code in ("run.stopped", "KeyboardInterrupt")
    try:
        events.emit("failed", live.get("stage", ""), code=code, detail=detail)
        status.close("stopped" if stopped else "failed", {"code": code, "detail": detail})
    except PicochatError as second:
        LOGGER.error("the failure could not be recorded: %s", second.detail)
