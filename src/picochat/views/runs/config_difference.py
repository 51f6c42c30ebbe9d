"""Configurations side by side: which keys differ, where each value came from, and how to give it again."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from picochat.core.config import flatten, merge, nest
from picochat.views.checks import UNKNOWN
from picochat.views.dataset import Table
from picochat.views.runs.resuming import setting, toml_value
from picochat.views.runs.run_files import text_at, value_at

_BARE = re.compile(r"[A-Za-z0-9_-]+")
ABSENT = "absent"
"""The origin of a key that a configuration does not have."""


class Side(NamedTuple):
    """One configuration, flat: `label` is its letter or word, `origins` say where each value came from."""

    label: str
    values: Mapping[str, Any]
    origins: Mapping[str, str]


def side_of_record(label: str, record: Mapping[str, Any]) -> Side:
    """The configuration of run.json; empty for a record that has none."""
    config, origins = value_at(record, "config"), value_at(record, "origins")
    said = origins if isinstance(origins, dict) else {}
    flat = flatten(config) if isinstance(config, dict) else {}
    return Side(label, flat, {key: text for key in flat if (text := text_at(said, key)) is not None})


def difference(sides: Sequence[Side], every: bool = False) -> dict[str, Any]:
    """Rows of the keys that are not the same on all sides, in the order of their names; of all keys with `every`.

    `settings` and `toml` give the last side's differing values over the first one.
    """
    keys = sorted(set().union(*(side.values for side in sides)))
    rows = [_row(key, sides) for key in keys]
    differing = [row for row in rows if row["differs"]]
    changed = {row["key"]: sides[-1].values[row["key"]] for row in differing if _can_be_given(row["key"], sides[-1])}
    return {
        "sides": [side.label for side in sides],
        "total": len(rows),
        "differing": len(differing),
        "rows": rows if every else differing,
        "settings": " ".join(f"--set {shlex.quote(setting(key, value))}" for key, value in changed.items()),
        "toml": toml_document(changed),
        "unset": [row["key"] for row in differing if row["key"] not in changed],
    }


def _row(key: str, sides: Sequence[Side]) -> dict[str, Any]:
    values = [_shown(side.values, key) for side in sides]
    return {
        "key": key,
        "values": values,
        "origins": [side.origins.get(key) if key in side.values else ABSENT for side in sides],
        "differs": len(set(values)) > 1,
    }


def _shown(values: Mapping[str, Any], key: str) -> str | None:
    """The value as JSON, so that a text and a number never look the same; None where there is none."""
    return json.dumps(values[key], sort_keys=True, ensure_ascii=False) if key in values else None


def _can_be_given(key: str, side: Side) -> bool:
    """TOML has no null: a key whose value is none, or that is absent, cannot be set back."""
    return key in side.values and not _holds_null(side.values[key])


def _holds_null(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(map(_holds_null, items))


def toml_document(flat: Mapping[str, Any]) -> str:
    """Flat keys as a TOML file: one table a group of keys, as `--config` reads it."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        nested = merge(nested, nest(key, value))
    return "\n".join(_tables(nested, "")).strip() + ("\n" if flat else "")


def _tables(group: Mapping[str, Any], name: str) -> list[str]:
    plain = [f"{_key(key)} = {toml_value(value)}" for key, value in group.items() if not isinstance(value, dict)]
    lines = ([f"[{name}]"] if name and plain else []) + plain + ([""] if plain else [])
    for key, value in group.items():
        if isinstance(value, dict):
            lines += _tables(value, f"{name}.{_key(key)}" if name else _key(key))
    return lines


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else toml_value(key)


def difference_table(found: Mapping[str, Any]) -> Table:
    """A row a key, for a terminal."""
    columns = ["key"] + [cell for label in found["sides"] for cell in (label, "from")]
    rows = [
        [row["key"]] + [cell for pair in zip(row["values"], row["origins"], strict=True) for cell in map(_cell, pair)]
        for row in found["rows"]
    ]
    return Table(f"{found['differing']:,} of {found['total']:,} keys differ", columns, rows)


def _cell(text: str | None) -> str:
    return UNKNOWN if text is None else text
