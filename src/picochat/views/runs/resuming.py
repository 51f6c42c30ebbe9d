"""The command that goes on with a run: the one that began it, with every setting that was not the profile's own."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from picochat.artifacts import layout
from picochat.core.config import flatten
from picochat.views.runs.run_files import text_at, value_at

_TEXT_FLAGS = {"corpus": "--corpus", "tokenizer": "--tokenizer"}
_OF_THE_TOKENIZER = frozenset({"model.vocab_size", "tokenizer.vocab_size"})
PROFILE, DERIVED = "profile", "derived"


def resume_command(record: Mapping[str, Any], run: str) -> str:
    """`picochat run ... --resume`, or `picochat train ... --resume` for a run of one stage with inputs of its own.

    `record` is run.json, `run` the path as its reader would type it.
    """
    words, values = begin_words(record)
    words += ["--out-dir", run, "--resume"]
    for key, value in sorted(values.items()):
        words += ["--set", setting(key, value)]
    return shlex.join(words)


def begin_words(record: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The words that began a run, up to its profile, and the settings that are not said by them."""
    values = own_settings(record)
    words, inputs = _stage(record)
    for key in inputs:
        values.pop(key, None)
    if words[1] == "train":
        values = {key: value for key, value in values.items() if key not in _OF_THE_TOKENIZER}
    profile = text_at(record, "profile") or "PROFILE"
    return [*words, *(["--profile", profile] if words[1] == "train" else [profile])], values


def own_settings(record: Mapping[str, Any]) -> dict[str, Any]:
    """Flattened keys and values that came from a flag, a file or `--set`."""
    config, origins = value_at(record, "config"), value_at(record, "origins")
    flat = flatten(config) if isinstance(config, dict) else {}
    said = origins if isinstance(origins, dict) else {}
    return {key: value for key, value in flat.items() if value is not None and is_own(said.get(key))}


def is_own(origin: Any) -> bool:
    """Whether a value was given for this run."""
    return isinstance(origin, str) and origin != DERIVED and not (origin == PROFILE or origin.startswith("profile "))


def setting(key: str, value: Any) -> str:
    """`key=value` as `--set` reads it: the value in TOML, of which JSON's numbers, texts and lists are a part."""
    return f"{key}={toml_value(value)}"


def toml_value(value: Any) -> str:
    """A number, text, list or table in TOML's one-line form. ValueError for null, which TOML does not have."""
    if value is None:
        raise ValueError("TOML has no null")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _stage(record: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
    """The first words of the command and the keys that they set."""
    config = value_at(record, "config")
    if text_at(config, "sft", "base"):
        keys = {"sft.base": "--base", "sft.chat": "--chat"}
        return _train(layout.SFT, config, keys | {f"sft.text.{key}": flag for key, flag in _TEXT_FLAGS.items()})
    if text_at(config, "base", "text", "corpus"):
        return _train(layout.BASE, config, {f"base.text.{key}": flag for key, flag in _TEXT_FLAGS.items()})
    return ["picochat", "run"], {}


def _train(stage: str, config: Any, keys: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    words = ["picochat", "train", stage]
    for key, flag in keys.items():
        found = text_at(config, *key.split("."))
        words += [flag, found] if found else []
    return words, keys
