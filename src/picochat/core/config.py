"""Configurations: frozen, strict, composed, and each value knows where it came from."""

from __future__ import annotations

import datetime
import difflib
import tomllib
from pathlib import Path
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from picochat.core.errors import refuse
from picochat.core.hashing import digest_of


class Config(BaseModel):
    """Base of every component's configuration. Unknown keys and wrong types are refused; values never change."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def from_dict(cls, values: dict[str, Any], what: str = "configuration") -> Self:
        """Builds and checks. Raises `config.key` with the nearest spelling, or `config.value` with the key's path."""
        check_keys(cls, values, what)
        try:
            return cls.model_validate(values)
        except ValidationError as err:
            first = err.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "configuration"
            refuse(
                "config.value",
                f"{what}: {key}: {first['msg'].removeprefix('Value error, ')} (got {_short(first['input'])})",
            )

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)

    def digest(self) -> str:
        return digest_of(self.as_dict())


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _submodel(annotation: Any) -> type[BaseModel] | None:
    """The configuration class inside an annotation: X, X | None, list[X]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_submodel, get_args(annotation))), None)


def check_keys(cls: type[BaseModel], values: dict[str, Any], what: str, prefix: str = "") -> None:
    """Refuses unknown keys at any depth, naming the nearest spelling."""
    fields = {field.alias or name: field for name, field in cls.model_fields.items()}
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(key, list(fields), n=1, cutoff=0.5)
            hint = f"; did you mean {prefix + near[0]!r}?" if near else f"; known keys: {', '.join(fields)}"
            refuse("config.key", f"{what}: unknown key {prefix + key!r}{hint}")
        inner = _submodel(fields[key].annotation)
        for item in value if isinstance(value, list) else [value]:
            if inner is not None and isinstance(item, dict):
                check_keys(inner, item, what, f"{prefix}{key}.")


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file. Raises `usage.path` or `config.value`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        refuse("usage.path", f"{path} does not exist")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        refuse("config.value", f"{path} is not TOML: {err}")


def parse_setting(text: str) -> tuple[str, Any]:
    """`key.path=value`, the value in TOML (`lr=0.1`, `on=true`, `name="x"`); a bare word is a string."""
    key, separator, raw = text.partition("=")
    if not separator or not key.strip():
        refuse("config.value", f"--set {text!r} is not key=value")
    return key.strip(), _parse_value(raw.strip())


def _parse_value(raw: str) -> Any:
    """One TOML value; what TOML does not read as one, or reads as a date, is the string itself."""
    try:
        found = tomllib.loads(f"value = {raw}")
    except tomllib.TOMLDecodeError:
        return raw
    value = found.pop("value")
    return raw if found or isinstance(value, datetime.date | datetime.time) else value


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, nested keys one by one."""
    out = dict(base)
    for key, value in over.items():
        both = isinstance(out.get(key), dict) and isinstance(value, dict)
        out[key] = merge(out[key], value) if both else value
    return out


def nest(dotted: str, value: Any) -> dict[str, Any]:
    """`a.b`, 1 -> {"a": {"b": 1}}."""
    for part in reversed(dotted.split(".")):
        value = {part: value}
    return value


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}; empty dicts stay as values."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            out.update(flatten(value, f"{prefix}{key}."))
        else:
            out[prefix + key] = value
    return out
