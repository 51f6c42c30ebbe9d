"""Which files of a dataset are read: by globs, by its card, or by names that hold the split. Never by a guess."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from picochat.core.errors import refuse
from picochat.data.files import matches
from picochat.data.imports.config import ImportConfig
from picochat.data.imports.manifest import PlannedFile, Unit
from picochat.data.row_files import ROW_KINDS, kind_of

_WHOLE = "train"
"""The split of a dataset whose card gives files and no split: the convention of the hub's own loader."""


def choose_files(config: ImportConfig, files: Sequence[PlannedFile], card: list[dict[str, Any]]) -> tuple[Unit, ...]:
    """The chosen files in the order of their names, a unit each. `card` are the configurations of the dataset's card.

    Raises `import.no_files` when nothing matches or when what matches holds no rows, `config.value` for a
    configuration that the card does not have.
    """
    by_name = {file.name: file for file in files}
    if config.kind == "climbmix":
        chosen = _shards(config, by_name)
    elif config.files:
        chosen = [name for name in by_name if matches(name, tuple(config.files))]
    else:
        chosen = _of_split(config, sorted(by_name), card)
    _require_rows(config, chosen, sorted(by_name))
    units = [{"number": n, "kind": kind_of(name), "files": (by_name[name],)} for n, name in enumerate(sorted(chosen))]
    return tuple(Unit.model_validate(unit) for unit in units)


def _shards(config: ImportConfig, by_name: dict[str, PlannedFile]) -> list[str]:
    wanted = [f"shard_{number:05d}.parquet" for number in config.shard_numbers]
    missing = [name for name in wanted if name not in by_name]
    if missing:
        refuse("import.no_files", f"{config.dataset} has no {_listed(missing)}; {_there(sorted(by_name))}")
    return wanted


def _require_rows(config: ImportConfig, chosen: list[str], names: list[str]) -> None:
    wanted = f"files = {config.files}" if config.files else f"split {config.split!r}"
    if not chosen:
        refuse("import.no_files", f"nothing in {config.dataset} matches {wanted}; {_there(names)}")
    others = [name for name in chosen if kind_of(name) not in ROW_KINDS]
    if others:
        refuse(
            "import.no_files",
            f"{wanted} of {config.dataset} matches what is neither Parquet, JSON Lines nor CSV: {_listed(others)}",
            fix="choose the files that hold rows with the key files, a list of globs",
        )


def _of_split(config: ImportConfig, names: list[str], card: list[dict[str, Any]]) -> list[str]:
    if not card:
        return _by_name(config, names, config.config_name)
    entry = _configuration(config, card)
    folder = str(entry.get("data_dir") or "").strip("/")
    below = [name for name in names if not folder or name.startswith(folder + "/")]
    if "data_files" not in entry:
        return _by_name(config, below, None if folder else config.config_name)
    patterns = _patterns(entry["data_files"], str(config.split))
    known = sorted(_splits(entry["data_files"]))
    if not patterns:
        refuse(
            "import.no_files",
            f"the card of {config.dataset} gives no files for split {config.split!r}; its splits are {_listed(known)}",
            fix=f"choose one of them: --split {known[0]}" if known else None,
        )
    rooted = [f"{folder}/{pattern}" if folder else pattern.removeprefix("./") for pattern in patterns]
    return [name for name in below if matches(name, tuple(rooted))]


def _configuration(config: ImportConfig, card: list[dict[str, Any]]) -> dict[str, Any]:
    """The entry of the card that is meant: the named one, the only one, or the one that the card calls the default."""
    names = [str(entry.get("config_name", "default")) for entry in card]
    if config.config_name is not None:
        found = [entry for entry, name in zip(card, names, strict=True) if name == config.config_name]
    elif len(card) == 1:
        found = card
    else:
        found = [entry for entry in card if entry.get("default") is True]
        found = found or [entry for entry, name in zip(card, names, strict=True) if name == "default"]
    if len(found) != 1:
        asked = f"no configuration {config.config_name!r}" if config.config_name else "several configurations"
        refuse(
            "config.value",
            f"the card of {config.dataset} has {asked}: {_listed(names)}",
            fix=f"name one of them with the key config_name, as {names[0]!r}",
        )
    return found[0]


def _splits(data_files: Any) -> set[str]:
    entries = _entries(data_files)
    return {split for split, _ in entries}


def _patterns(data_files: Any, split: str) -> list[str]:
    return [pattern for name, patterns in _entries(data_files) if name == split for pattern in patterns]


def _entries(data_files: Any) -> list[tuple[str, list[str]]]:
    """(split, globs) of the forms that a card may have: a glob, a list of globs, a list of {split, path}, a dict."""
    if isinstance(data_files, str):
        return [(_WHOLE, [data_files])]
    if isinstance(data_files, dict):
        return [(str(split), _globs(path)) for split, path in data_files.items()]
    if not isinstance(data_files, list):
        return []
    entries = [(str(e["split"]), _globs(e.get("path"))) for e in data_files if isinstance(e, dict) and "split" in e]
    plain = [entry for entry in data_files if isinstance(entry, str)]
    return entries + ([(_WHOLE, plain)] if plain else [])


def _globs(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(item) for item in value] if isinstance(value, list) else []


def _by_name(config: ImportConfig, names: list[str], config_name: str | None) -> list[str]:
    """Files of rows whose names hold the split as a word, below a folder of the configuration when one is named."""
    word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(str(config.split))}(?![A-Za-z0-9])")
    return [
        name
        for name in names
        if kind_of(name) in ROW_KINDS
        and word.search(name)
        and (config_name is None or config_name in name.split("/")[:-1])
    ]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20:,} more" if len(names) > 20 else ""
    return ", ".join(map(repr, names[:20])) + more if names else "none"


def _there(names: list[str]) -> str:
    rows = [name for name in names if kind_of(name) in ROW_KINDS]
    return (
        f"its files of rows are {_listed(rows)}" if rows else f"it has no files of rows; its files are {_listed(names)}"
    )
