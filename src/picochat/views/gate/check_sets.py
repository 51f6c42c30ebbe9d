"""A gate or a preflight as a page shows it: its state, its verdict with profile and digests, its rows, what is stale.

The rows are those of `views.checks`, as the terminal and report.html have them; nothing is judged or computed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from picochat.artifacts.reports import self_digest
from picochat.artifacts.schema import schema_tag
from picochat.core.errors import PicochatError
from picochat.core.jsonio import read_json
from picochat.views.checks import check_row
from picochat.views.fixes import blanks_of, fill_fix

Content = Mapping[str, Any]
READY, MISSING, UNREADABLE, CHANGED, OTHER_VERSION = "ready", "missing", "unreadable", "changed", "other_version"
VERDICTS = ("block", "not_run", "warn", "waived", "pass")
_VALUES = ("measured", "threshold", "direction", "unit", "n", "interval")
_COMMAND = re.compile(r"picochat [^,;:]+")
_SENTENCE = ("then", "before", "shows", "lists", "measures", "or")
_GATE_WORDS = frozenset({"approved", "warn", "blocked"})
_PREFLIGHT_WORDS = frozenset({"pass", "warn", "blocked"})


class Found(NamedTuple):
    """A document, or the state in which it is and why."""

    state: str
    why: str
    document: Content | None


class Freshness(NamedTuple):
    """What became of the files that were judged. `rows` are the ids of checks whose own inputs changed."""

    changed: list[dict[str, str]]
    """`path` and `how`: changed, gone, or in words."""
    unhashed: list[str]
    """Files too large to be hashed for a page, whose size and time have not changed."""
    checked: int
    rows: frozenset[str] = frozenset()

    @property
    def stale(self) -> bool:
        return bool(self.changed or self.rows)


def read_checked(path: Path, schema: str) -> Found:
    """A document of checks. Missing, torn, edited and of another version are states; nothing is raised."""
    try:
        document = read_json(path)
    except PicochatError as err:
        if err.code == "artifact.missing":
            return Found(MISSING, f"there is no {path.name}", None)
        return Found(UNREADABLE, err.detail.replace(str(path), path.name), None)
    except OSError as err:
        return Found(UNREADABLE, f"{path.name} cannot be read: {err.strerror}", None)
    tag, wanted = document.get("schema") if isinstance(document, dict) else None, schema_tag(schema).to_json()
    if tag != wanted:
        why = f"{path.name} has schema {tag}, this program reads {wanted}"
        return Found(OTHER_VERSION if isinstance(tag, dict) else UNREADABLE, why, None)
    if document.get("self_digest") != self_digest(document):
        return Found(CHANGED, f"{path.name} was changed after it was written: it has another self_digest", None)
    return _well_formed(document, path.name, _GATE_WORDS if schema == "gate" else _PREFLIGHT_WORDS)


def _well_formed(document: dict[str, Any], name: str, words: frozenset[str]) -> Found:
    if document.get("verdict") not in words:
        return Found(UNREADABLE, f"{name} says {str(document.get('verdict'))[:40]!r}, which is no verdict", None)
    for key in ("checks", "shown"):
        rows = document.get(key, [])
        if not isinstance(rows, list) or not all(map(is_result, rows)):
            return Found(UNREADABLE, f"{key} of {name} are no check results", None)
    return Found(READY, "", document)


def is_result(check: Any) -> bool:
    """Whether it is a stored check result that can be shown."""
    texts = isinstance(check, dict) and all(isinstance(check.get(key), str) for key in ("id", "why", "fix"))
    places = check.get("evidence") if texts else None
    known = isinstance(places, list) and all(
        isinstance(place, dict) and isinstance(place.get("artifact"), str) and isinstance(place.get("pointer"), str)
        for place in places
    )
    return known and check.get("verdict") in VERDICTS and isinstance(check.get("inputs"), list)


def row_json(
    check: Content,
    *,
    run: str = "RUN",
    profile: str | None = None,
    titles: Mapping[str, str] | None = None,
    stale: frozenset[str] = frozenset(),
    advisory: bool = False,
) -> dict[str, Any]:
    """One result for a page: the row of `check_row`, with its fix filled, beside the values as they are stored.

    `advisory` is a result that is shown and takes no part in a verdict.
    """
    row = check_row(check)._asdict()
    return row | {
        "fix": fill_fix(row["fix"], run, profile),
        "title": (titles or {}).get(check["id"], ""),
        "values": {key: check.get(key) for key in _VALUES},
        "required": bool(check.get("required")) and not advisory,
        "advisory": advisory,
        "stale": check["id"] in stale,
        "places": [dict(place) for place in check.get("evidence", ())],
        "inputs": list(check.get("inputs", ())),
        "waived": dict(check["waiver"]) if check.get("waiver") else None,
    }


def with_commands(rows: Iterable[dict[str, Any]], steps: Iterable[Content]) -> list[dict[str, Any]]:
    """The rows, each with `commands` and `blanks` of the repair that names it; a fix that is a command is one too."""
    by_check = {check: step for step in steps for check in step["checks"]}
    found = []
    for row in rows:
        step = by_check.get(row["id"])
        commands = list(step["commands"]) if step else [row["fix"]] if _is_command(row["fix"]) else []
        blanks = list(dict.fromkeys(blank for command in commands for blank in blanks_of(command)))
        found.append(row | {"commands": commands, "blanks": blanks})
    return found


def _is_command(fix: str) -> bool:
    return _COMMAND.fullmatch(fix) is not None and not any(word in fix.split() for word in _SENTENCE)


def worst_first(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What blocks, then what was required and did not run, then the rest; within a verdict in the order given."""
    return sorted(rows, key=_rank)


def _rank(row: Content) -> float:
    place = VERDICTS.index(row["verdict"])
    return place + 1.5 if row["verdict"] == "not_run" and not row["required"] else place


def count_verdicts(rows: Iterable[Content]) -> dict[str, int]:
    """How many rows have each verdict, all of them named."""
    found = [row["verdict"] for row in rows]
    return {verdict: found.count(verdict) for verdict in VERDICTS}


def build_set(
    name: str, found: Found, fresh: Freshness | None, *, run: str, profile: str | None, titles: Mapping[str, str]
) -> dict[str, Any]:
    """What `gate` and `preflight` share. Without a document the verdict is None and there are no rows."""
    document = found.document or {}
    fields: dict[str, Any] = {"run": run, "profile": profile, "titles": titles}
    fields["stale"] = fresh.rows if fresh else frozenset()
    rows = worst_first(row_json(check, **fields) for check in document.get("checks", ()))
    manifest = document.get("manifest")
    manifest = manifest if isinstance(manifest, dict) else {}
    return {
        "set": name,
        "state": found.state,
        "why": found.why,
        "verdict": document.get("verdict"),
        "profile": document.get("profile"),
        "rows": rows,
        "shown": [row_json(check, advisory=True, **fields) for check in document.get("shown", ())],
        "counts": count_verdicts(rows),
        "judged_at": manifest.get("finished_at"),
        "duration_s": manifest.get("duration_s"),
        "inputs": [_input(ref, fresh) for ref in manifest.get("inputs", ()) if isinstance(ref, dict)],
        "stale": _stale(fresh),
    }


def _input(ref: Content, fresh: Freshness | None) -> dict[str, Any]:
    changed = {entry["path"]: entry["how"] for entry in fresh.changed} if fresh else {}
    path = str(ref.get("path"))
    state = None if fresh is None else changed.get(path, "not hashed" if path in fresh.unhashed else "unchanged")
    return {"path": path, "bytes": ref.get("bytes"), "sha256": ref.get("sha256"), "state": state}


def _stale(fresh: Freshness | None) -> dict[str, Any]:
    """`is` None: there is nothing that could be stale."""
    if fresh is None:
        return {"is": None, "changed": [], "unhashed": [], "checked": 0, "rows": []}
    return {"is": fresh.stale, **fresh._asdict(), "rows": sorted(fresh.rows)}


def changes_since(before: Content, after: Content) -> list[dict[str, Any]]:
    """The checks of which two documents say different things, in the order of the later: verdict and measured."""
    old = {check["id"]: check_row(check) for check in before.get("checks", ())}
    new = {check["id"]: check_row(check) for check in after.get("checks", ())}
    found = []
    for check in [*new, *(check for check in old if check not in new)]:
        was, now = old.get(check), new.get(check)
        pair = [{"verdict": row.verdict, "measured": row.measured} if row else None for row in (was, now)]
        if pair[0] != pair[1]:
            found.append({"id": check, "before": pair[0], "after": pair[1]})
    return found
