"""What making a run again would take: how it was started, how long each room took, what its tokens cost.

Read from run.json and the manifests of a run, whatever is there of them; what is not known is None, never 0.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.core.config import flatten
from picochat.core.confined import open_below
from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json
from picochat.views.reading import dict_of, find_document, number_of
from picochat.views.runs.resuming import begin_words, setting

_ROOMS: dict[str, tuple[str, ...]] = {
    "data": (layout.CORPUS_MANIFEST, layout.HONESTY),
    "tokenizer": (layout.TOKENIZER_REPORT,),
    "shards": (layout.SHARDS_MANIFEST,),
    "base": (layout.report_path(layout.BASE),),
    "sft": (layout.report_path(layout.SFT),),
    "evaluate": (layout.report_path(layout.EVAL), layout.MEMORISATION),
    "gate": (layout.GATE,),
}
"""The reports by whose manifests a room's duration is known."""
_ROOM_OF_STAGE = {
    "dataset": "data",
    "honesty": "data",
    "tokenizer": "tokenizer",
    "shards": "shards",
    layout.BASE: "base",
    layout.SFT: "sft",
    "evaluate": "evaluate",
    "memorisation": "evaluate",
    "benchmark": "benchmark",
    "summary": "gate",
}
MAX_EVENTS_BYTES = 256_000_000
"""A longer list of events is not gone through for a duration."""
_OPTIONAL = frozenset({layout.SHARDS_MANIFEST, layout.MEMORISATION, layout.HONESTY, layout.GATE})
_OF_A_LAUNCH = "launch."
PACK = "data.pack"
BUILTIN = "builtin"


class Rework(NamedTuple):
    """Facts of one run. `run` is its path as its reader would type it."""

    run: str
    next_run: str
    """A folder beside it that does not exist yet."""
    profile: str | None
    pack: str | None
    record: dict[str, Any]
    """run.json, or {}."""
    config: dict[str, Any]
    """All keys, flattened."""
    seconds: dict[str, float]
    """By room, as this run took."""
    planned: dict[str, tuple[int, int]]
    """By training: planned tokens and tokens a step."""
    parameters: int | None
    usd_per_hour: float | None
    """Of all its GPUs together; None where nobody said what an hour costs."""


def read_rework(root: Path, run: str) -> Rework:
    """Reads what there is of a run folder; raises nothing."""
    record = find_document(root, layout.RUN).body
    config = flatten(dict_of(record.get("config")))
    reports = {name: find_document(root, layout.report_path(name)).body for name in (layout.BASE, layout.SFT)}
    parameters = number_of(dict_of(reports[layout.BASE].get("model")).get("parameters"))
    profile = record.get("profile")
    return Rework(
        run=run,
        next_run=_next_name(root, run),
        profile=profile if isinstance(profile, str) else None,
        pack=config.get(PACK) if isinstance(config.get(PACK), str) else None,
        record=record,
        config=config,
        seconds=_seconds(root),
        planned={name: found for name, report in reports.items() if (found := _planned(report))},
        parameters=int(parameters) if parameters else None,
        usd_per_hour=_usd_per_hour(config),
    )


class Word(str):
    """A value that `--set` takes as it stands: a name, or in capitals what only the reader of a command knows."""


def start_command(facts: Rework, *flags: str, run: str | None = None, changes: Mapping[str, Any] | None = None) -> str:
    """The command that starts a run like this one, or goes on with it: `flags` are such as --resume."""
    words, values = begin_words(facts.record)
    again = run is None or run == facts.run
    values = {key: value for key, value in values.items() if again or not key.startswith(_OF_A_LAUNCH)}
    values |= dict(changes or {})
    pack = values.pop(PACK, None)
    words += ["--pack", str(pack)] if pack not in (None, BUILTIN) else []
    words += ["--out-dir", run or facts.run, *flags]
    for key, value in sorted(values.items()):
        words += ["--set", f"{key}={value}" if isinstance(value, Word) else setting(key, value)]
    return shlex.join(words)


def settings_words(facts: Rework) -> str:
    """The settings of a run as the end of a command: nothing, or ` --set KEY=VALUE ...`."""
    _, values = begin_words(facts.record)
    said = {key: value for key, value in values.items() if key != PACK and not key.startswith(_OF_A_LAUNCH)}
    return "".join(f" --set {shlex.quote(setting(key, value))}" for key, value in sorted(said.items()))


def _next_name(root: Path, run: str) -> str:
    """`runs/demo-1` -> `runs/demo-2`, the first number that is free."""
    stem, number = re.fullmatch(r"(.*?)(?:-([0-9]{1,6}))?", root.name, re.DOTALL).groups()  # type: ignore[union-attr]
    place = int(number or 1) + 1
    while (root.parent / f"{stem}-{place}").exists():
        place += 1
    return str(Path(run).parent / f"{stem}-{place}")


def _seconds(root: Path) -> dict[str, float]:
    """By room, as the stages said when they finished; what no event speaks of, by the manifests."""
    return _by_manifest(root) | _by_events(root)


def _by_events(root: Path) -> dict[str, float]:
    """The latest duration of each stage, summed over those of a room. Lines that are no events are passed over."""
    last: dict[str, float] = {}
    try:
        with open_below(root, layout.EVENTS) as stream:
            if os.fstat(stream.fileno()).st_size > MAX_EVENTS_BYTES:
                return {}
            lines = [line for line in stream if b'"stage_finished"' in line]
    except OSError:
        return {}
    for line in lines:
        with contextlib.suppress(PicochatError):
            event = dict_of(parse_json(line, layout.EVENTS))
            seconds, stage = number_of(event.get("duration_s")), event.get("stage")
            if event.get("kind") == "stage_finished" and seconds is not None and isinstance(stage, str):
                last[stage] = seconds
    found: dict[str, float] = {}
    for stage, seconds in last.items():
        if room := _ROOM_OF_STAGE.get(stage):
            found[room] = found.get(room, 0.0) + seconds
    return found


def _by_manifest(root: Path) -> dict[str, float]:
    """A room counts when each report that it must have is there."""
    found: dict[str, float] = {}
    for room, paths in _ROOMS.items():
        times = {path: find_document(root, path).number("manifest", "duration_s") for path in paths}
        known = [seconds for seconds in times.values() if seconds is not None]
        missing = [path for path, seconds in times.items() if seconds is None and path not in _OPTIONAL]
        if known and not missing:
            found[room] = sum(known)
    return found


def _planned(report: dict[str, Any]) -> tuple[int, int] | None:
    training = dict_of(report.get("training"))
    tokens, steps = number_of(training.get("planned_tokens")), number_of(training.get("planned_steps"))
    step = number_of(dict_of(report.get("recipe")).get("tokens_per_step"))
    return (int(tokens), int(step or math.ceil(tokens / steps))) if tokens and steps else None


def _usd_per_hour(config: dict[str, Any]) -> float | None:
    rate, gpus = number_of(config.get("launch.rate_usd_per_gpu_hour")), number_of(config.get("launch.gpus"))
    return rate * gpus if rate and gpus else None
