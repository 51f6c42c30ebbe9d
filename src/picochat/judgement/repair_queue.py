"""What mends a run, in order of dependency: data, tokenizer, base, SFT, evaluation, gate.

    check results + facts of the run -> repairs of the table -> steps, each once: commands, time, what goes stale

A run is evidence and is never trained again in place: what lies before evaluation is mended by a new run like it. All
such changes together are one new run, which `together` starts.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from picochat.judgement.repairs import ROOMS, Change, Repair, Room, repair_of
from picochat.views.fixes import blanks_of, fill_fix
from picochat.views.runs.rework import PACK, Rework, Word, settings_words, start_command

Content = Mapping[str, Any]
_ALWAYS_MADE = frozenset(ROOMS) - {"shards", "preflight", "benchmark"}
_TOKENS = {"base": "base.loop.tokens", "sft": "sft.loop.tokens"}
_VERDICTS = ("block", "not_run", "warn")
PROFILE = "summary.gate_profile"


def build_repairs(
    checks: Iterable[Content], facts: Rework, gate_profile: str | None, *, before: bool = False
) -> dict[str, Any]:
    """The queue for stored check results (their JSON form), as JSON: `steps` in order and `together`, the one new run
    that makes all changes (None where fewer than two steps need one). Passed and waived checks need nothing, nor does
    an advisory one that did not run. `before`: these are results of preflight, and a new run is judged by it first.
    """
    groups: dict[tuple[Any, ...], list[Content]] = {}
    repairs: dict[tuple[Any, ...], Repair] = {}
    for check in checks:
        if check["verdict"] not in _VERDICTS or (check["verdict"] == "not_run" and not check.get("required")):
            continue
        repair = _repair(check, facts)
        key = _key(check, repair)
        groups.setdefault(key, []).append(check)
        repairs[key] = repair
    ordered = sorted(groups, key=lambda key: (ROOMS.index(key[0]), not _blocks(groups[key])))
    steps = [_step(repairs[key], groups[key], facts, gate_profile, before=before) for key in ordered]
    return {"steps": steps, "together": _together(steps, facts, gate_profile, before=before)}


def _repair(check: Content, facts: Rework) -> Repair:
    artifacts = tuple(place["artifact"] for place in check["evidence"])
    return repair_of(check["id"], check["verdict"], artifacts, trained="sft" in facts.planned)


def _key(check: Content, repair: Repair) -> tuple[Any, ...]:
    """What is mended by the same act is one step; what only words can mend is grouped by the words."""
    keys = tuple(change.key for change in repair.changes)
    return repair.room, repair.commands, keys, repair.pack, repair.new_run, check["fix"] if repair.by_hand else ""


def _blocks(checks: list[Content]) -> bool:
    return any(check["verdict"] == "block" or (check["verdict"] == "not_run" and check["required"]) for check in checks)


def _step(
    repair: Repair, checks: list[Content], facts: Rework, gate_profile: str | None, *, before: bool
) -> dict[str, Any]:
    changes = _changes(repair, checks, facts)
    commands = _commands(repair, changes, facts, gate_profile, before=before)
    seconds = _seconds(repair.room, repair.new_run, bool(commands), changes, facts)
    return {
        "room": repair.room,
        "checks": [check["id"] for check in checks],
        "blocks": _blocks(checks),
        "why": list(dict.fromkeys(check["why"] for check in checks)),
        "fix": list(dict.fromkeys(fill_fix(check["fix"], facts.run, facts.profile) for check in checks)),
        "commands": commands,
        "blanks": list(dict.fromkeys(blank for command in commands for blank in blanks_of(command))),
        "new_run": facts.next_run if repair.new_run else None,
        "changes": changes,
        "edits_pack": repair.pack,
        "seconds": seconds,
        "usd": _usd(seconds, facts),
        "stale": _stale(repair.room, facts),
    }


def _changes(repair: Repair, checks: list[Content], facts: Rework) -> dict[str, Any]:
    """Keys and values of the new run; where several checks ask for the same key, the one that goes farthest."""
    found: dict[str, Any] = {}
    for check in checks:
        for change in _repair(check, facts).changes:
            found[change.key] = _farther(change, found.get(change.key), _value(change, check, facts))
    if repair.pack:
        found[PACK] = facts.pack if facts.pack not in (None, "builtin") else Word("PACK")
    return found


def _farther(change: Change, one: Any, other: Any) -> Any:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return min(one, other) if change.factor < 1 else max(one, other)
    return other if one is None or isinstance(one, str) else one


def _value(change: Change, check: Content, facts: Rework) -> Any:
    """What a key becomes; a word in capitals where only its reader can say."""
    now, blank = facts.config.get(change.key), Word(change.key.rpartition(".")[2].upper())
    if change.how == "say" or not isinstance(now, int | float) or isinstance(now, bool):
        return blank
    if change.how == "times":
        value = now * change.factor
        return max(1, math.ceil(value)) if isinstance(now, int) else value
    return _enough(check, facts) or blank


def _enough(check: Content, facts: Rework) -> int | None:
    """Tokens of base with which the ratio reaches its threshold, in whole steps; of a share of the target likewise."""
    measured, threshold, planned = check.get("measured"), check.get("threshold"), facts.planned.get("base")
    if not measured or not threshold:
        return None
    if planned is None:
        tokens, step = facts.config.get(_TOKENS["base"]), 1
    else:
        tokens, step = planned
    if check["unit"] == "tokens/parameter" and facts.parameters:
        wanted = threshold * facts.parameters
    else:
        wanted = (tokens or 0) * threshold / measured
    return math.ceil(wanted / step) * step or None


def _commands(
    repair: Repair, changes: Mapping[str, Any], facts: Rework, gate_profile: str | None, *, before: bool
) -> list[str]:
    if repair.new_run:
        return _new_run(facts, changes, gate_profile, preflight=before or repair.room == "preflight")
    blanks = {"run": facts.run, "resume": start_command(facts, "--resume")}
    filled = [_fill(command, blanks, facts) for command in repair.commands]
    return [_judge(command, gate_profile) for command in filled]


def _fill(command: str, values: Mapping[str, str], facts: Rework) -> str:
    if command == "{resume}":
        return values["resume"]
    command = command.replace("{settings}", settings_words(facts))
    text = fill_fix(command.replace("{run}", "RUN").replace("{profile}", "PROFILE"), facts.run, facts.profile)
    pack = f" --pack {shlex.quote(facts.pack)}" if facts.pack not in (None, "builtin") else ""
    return text.replace(" --pack {pack}", pack)


def _judge(command: str, gate_profile: str | None) -> str:
    """The gate that was asked, which need not be the run's own."""
    judges = command.startswith("picochat gate ") and gate_profile is not None
    return f"{command} --profile {gate_profile}" if judges else command


def _new_run(facts: Rework, changes: Mapping[str, Any], gate_profile: str | None, *, preflight: bool) -> list[str]:
    """A new run like this one, under the gate that was asked, whose limits its preflight then has; where preflight was
    what failed it comes first.
    """
    asked = {} if gate_profile in (None, facts.config.get(PROFILE)) else {PROFILE: Word(gate_profile)}
    changes = dict(changes) | asked
    commands = [start_command(facts, run=facts.next_run, changes=changes)]
    if preflight:
        first = start_command(facts, "--preflight-only", run=facts.next_run, changes=changes)
        commands = [first, start_command(facts, "--resume", run=facts.next_run, changes=changes)]
    return [*commands, _judge(fill_fix("picochat gate RUN", facts.next_run, None), gate_profile)]


def _seconds(room: Room, new_run: bool, can_be_run: bool, changes: Mapping[str, Any], facts: Rework) -> float | None:
    """How long it takes, as this run took: of a new run all rooms, each training in proportion to its tokens.

    None where a room that is made anew was never made here, or nothing is known of the step.
    """
    if not can_be_run:
        return None
    made = _ALWAYS_MADE | facts.seconds.keys()
    rooms = [name for name in ROOMS if name in made and (new_run or ROOMS.index(name) >= ROOMS.index(room))]
    if not new_run:
        rooms = [name for name in (room, "gate") if name in rooms or name == room]
    times = [_scaled(name, changes, facts) for name in dict.fromkeys(rooms)]
    known = [seconds for seconds in times if seconds is not None]
    return sum(known) if len(known) == len(times) else None


def _scaled(room: str, changes: Mapping[str, Any], facts: Rework) -> float | None:
    seconds, key = facts.seconds.get(room), _TOKENS.get(room, "")
    now, then = facts.config.get(key), changes.get(key)
    if seconds is None or not isinstance(now, int) or not isinstance(then, int) or not now:
        return seconds
    return seconds * then / now


def _usd(seconds: float | None, facts: Rework) -> float | None:
    if seconds is None or facts.usd_per_hour is None:
        return None
    return facts.usd_per_hour * seconds / 3600


def _stale(room: Room, facts: Rework) -> list[str]:
    """The rooms after it that this run has been through: what they made speaks of something else then."""
    after = ROOMS[ROOMS.index(room) + 1 :]
    return [name for name in after if name in facts.seconds or name in _ALWAYS_MADE]


def _together(
    steps: list[dict[str, Any]], facts: Rework, gate_profile: str | None, *, before: bool
) -> dict[str, Any] | None:
    """One new run with the changes of all steps that need one."""
    made = [step for step in steps if step["new_run"]]
    if len(made) < 2:
        return None
    changes = {key: value for step in made for key, value in step["changes"].items()}
    preflight = before or any(step["room"] == "preflight" for step in made)
    commands = _new_run(facts, changes, gate_profile, preflight=preflight)
    seconds = _seconds("data", True, True, changes, facts)
    return {
        "checks": [check for step in made for check in step["checks"]],
        "commands": commands,
        "blanks": list(dict.fromkeys(blank for command in commands for blank in blanks_of(command))),
        "new_run": facts.next_run,
        "changes": changes,
        "edits_pack": any(step["edits_pack"] for step in made),
        "seconds": seconds,
        "usd": _usd(seconds, facts),
    }
