"""What making a run again would take: how it was started, how long each room took, what its tokens cost.

Read from run.json and the manifests of a run, whatever is there of them; what is not known is None, never 0.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.core.config import flatten
from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json, read_json

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
_NOT_OF_THE_START = ("launch",)
PACK = "data.pack"
BUILTIN = "builtin"


class Rework(NamedTuple):
    """Facts of one run. `run` is its path as its reader would type it."""

    run: str
    next_run: str
    """A folder beside it that does not exist yet."""
    profile: str | None
    pack: str | None
    settings: dict[str, Any]
    """Flattened keys that did not come from the profile, but for the pack and those of a launch."""
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
    record = _read(root / layout.RUN)
    config = flatten(_dict(record.get("config")))
    origins = _dict(record.get("origins"))
    own = {key: config[key] for key, origin in origins.items() if key in config and _is_own(key, origin)}
    reports = {name: _read(root / layout.report_path(name)) for name in (layout.BASE, layout.SFT)}
    parameters = _number(_dict(reports[layout.BASE].get("model")).get("parameters"))
    profile = record.get("profile")
    return Rework(
        run=run,
        next_run=_next_name(root, run),
        profile=profile if isinstance(profile, str) else None,
        pack=config.get(PACK) if isinstance(config.get(PACK), str) else None,
        settings={key: value for key, value in own.items() if key != PACK and value is not None},
        config=config,
        seconds=_seconds(root),
        planned={name: found for name, report in reports.items() if (found := _planned(report))},
        parameters=int(parameters) if parameters else None,
        usd_per_hour=_usd_per_hour(config),
    )


def start_command(facts: Rework, *words: str, run: str | None = None, changes: Mapping[str, Any] | None = None) -> str:
    """The command that starts a run like this one, or goes on with it: `words` are flags such as --resume.

    Values are printed as `--set` reads them: TOML, of which JSON's numbers, texts and lists are a part.
    """
    settings = facts.settings | dict(changes or {})
    pack = settings.pop(PACK, facts.pack)
    parts = ["picochat", "run", facts.profile or "PROFILE"]
    parts += ["--pack", str(pack)] if pack not in (None, BUILTIN) else []
    parts += ["--out-dir", run or facts.run, *words]
    for key, value in sorted(settings.items()):
        parts += ["--set", f"{key}={setting_text(value)}"]
    return shlex.join(parts)


def setting_text(value: Any) -> str:
    """A value as `--set KEY=` takes it; a text that is a word stands bare."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w./-]*", value) and value not in ("true", "false"):
        return value
    return json.dumps(value)


def _is_own(key: str, origin: Any) -> bool:
    said = isinstance(origin, str) and not origin.startswith("profile ") and origin not in ("profile", "derived")
    return said and key.partition(".")[0] not in _NOT_OF_THE_START


def _next_name(root: Path, run: str) -> str:
    """`runs/demo-1` -> `runs/demo-2`, the first number that is free."""
    stem, number = re.fullmatch(r"(.*?)(?:-([0-9]{1,6}))?", root.name, re.DOTALL).groups()  # type: ignore[union-attr]
    place = int(number or 1) + 1
    while (root.parent / f"{stem}-{place}").exists():
        place += 1
    return str(Path(run).parent / f"{stem}-{place}")


def _seconds(root: Path) -> dict[str, float]:
    """By room, as the stages said when they finished; what no event speaks of, by the manifests."""
    return _by_manifest(root) | _by_events(root / layout.EVENTS)


def _by_events(path: Path) -> dict[str, float]:
    """The latest duration of each stage, summed over those of a room. Lines that are no events are passed over."""
    last: dict[str, float] = {}
    try:
        if path.stat().st_size > MAX_EVENTS_BYTES:
            return {}
        lines = [line for line in path.read_bytes().splitlines() if b'"stage_finished"' in line]
    except OSError:
        return {}
    for line in lines:
        with contextlib.suppress(PicochatError):
            event = _dict(parse_json(line, path.name))
            seconds, stage = _number(event.get("duration_s")), event.get("stage")
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
        times = {path: _number(_dict(_read(root / path).get("manifest")).get("duration_s")) for path in paths}
        known = [seconds for seconds in times.values() if seconds is not None]
        missing = [path for path, seconds in times.items() if seconds is None and path not in _OPTIONAL]
        if known and not missing:
            found[room] = sum(known)
    return found


def _planned(report: dict[str, Any]) -> tuple[int, int] | None:
    training = _dict(report.get("training"))
    tokens, steps = _number(training.get("planned_tokens")), _number(training.get("planned_steps"))
    step = _number(_dict(report.get("recipe")).get("tokens_per_step"))
    return (int(tokens), int(step or math.ceil(tokens / steps))) if tokens and steps else None


def _usd_per_hour(config: dict[str, Any]) -> float | None:
    rate, gpus = _number(config.get("launch.rate_usd_per_gpu_hour")), _number(config.get("launch.gpus"))
    return rate * gpus if rate and gpus else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        return _dict(read_json(path))
    except (PicochatError, OSError):
        return {}
