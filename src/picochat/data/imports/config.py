"""What is imported: a local path, a dataset of the hub, or ClimbMix; which files, which column, which rows."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from pydantic import Field, field_validator, model_validator

from picochat.core.config import Config
from picochat.core.errors import refuse

HUB_PREFIX = "hf:"
CLIMBMIX = "climbmix"
CLIMBMIX_DATASET = "karpathy/climbmix-400b-shuffle"
CLIMBMIX_COLUMN = "text"
CLIMBMIX_LAST_SHARD = 6542
ANEW = "bring the source back as it was, or start anew in another --out-dir"
"""The cure where a source is no longer the one that an import began with."""
PART_BYTES = 64 * 1024 * 1024
COMMIT = re.compile(r"[0-9a-f]{40}")
_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_SHARDS = re.compile(r"(\d+)(?:-(\d+))?")
Plain = str | int | float | bool


class RowFilter(Config):
    """Keeps the rows whose column passes every condition; a row without a value passes only `exists = false`."""

    column: str = Field(min_length=1)
    """A column of the row itself; the inside of a nested one is not looked at."""
    equals: Plain | None = None
    """The value that the column must have. A CSV cell is compared as a number with a number."""
    one_of: list[Plain] | None = Field(default=None, min_length=1)
    """The values that the column may have."""
    min: float | None = None
    """The smallest number that is kept."""
    max: float | None = None
    """The largest number that is kept."""
    exists: bool | None = None
    """Whether the column must have a value, or must have none."""

    @model_validator(mode="after")
    def _conditions(self) -> RowFilter:
        given = [self.equals, self.one_of, self.min, self.max, self.exists]
        if all(value is None for value in given):
            raise ValueError("a filter needs equals, one_of, min, max or exists")
        if self.exists is False and any(value is not None for value in given[:4]):
            raise ValueError("exists = false leaves no value that another condition could look at")
        return self

    @property
    def reason(self) -> str:
        """Why a row that fails is dropped."""
        return f"filter:{self.column}"

    def passes(self, row: dict[str, Any]) -> bool:
        """Whether a row is kept."""
        value = row.get(self.column)
        if value is None:
            return self.exists is False
        if self.exists is False:
            return False
        if self.equals is not None and not _same(value, self.equals):
            return False
        if self.one_of is not None and not any(_same(value, wanted) for wanted in self.one_of):
            return False
        if self.min is None and self.max is None:
            return True
        number = _number(value)
        low, high = self.min is None or (number is not None and number >= self.min), self.max
        return number is not None and low and (high is None or number <= high)


def _number(value: Any) -> int | float | None:
    """A number, or the number that a text writes out; a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if not isinstance(value, str):
        return value
    for read in (int, float):  # a long identifier is not rounded
        with contextlib.suppress(ValueError):
            return read(value)
    return None


def _same(value: Any, wanted: Plain) -> bool:
    if isinstance(wanted, bool | str):
        return type(value) is type(wanted) and value == wanted
    return _number(value) == wanted


class ImportConfig(Config):
    """One import. The command line fills the first fields, `--set` the others."""

    source: str = Field(min_length=1)
    """A file or folder, `hf:ORG/NAME`, or `climbmix`."""
    text: str | None = None
    """The column that holds the text, for rows."""
    split: str | None = None
    """The split of a dataset of the hub."""
    revision: str | None = None
    """A branch, tag or commit of the hub; a branch or tag is resolved once and the commit stored."""
    licence: str | None = None
    """The licence of the texts; without it that of the dataset's card, else `unknown`."""
    max_rows: int | None = Field(default=None, ge=1)
    """Rows that are read, in the order of the files; the rest is left unread."""
    shards: str | None = None
    """Shards of ClimbMix: `7`, or `0-9` for the first ten."""
    config_name: str | None = None
    """The configuration of a dataset whose card names several."""
    files: list[str] = []
    """Globs of file names: in place of a split for the hub, below the folder for a local one."""
    filters: list[RowFilter] = []
    """Conditions on other columns; a row that fails one is dropped and counted."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """Processes that read files side by side; as many as there are processors when not given."""
    part_bytes: int = Field(default=PART_BYTES, ge=1)
    """Bytes of text after which a part file is closed."""
    endpoint: str | None = None
    """The address of the hub, for a mirror."""

    @field_validator("endpoint")
    @classmethod
    def _no_secret_in_address(cls, value: str | None) -> str | None:
        if value is not None and (not re.fullmatch(r"https?://[^@\s?#]+", value)):
            # not a ValueError, whose message would show the password
            refuse(
                "config.value",
                "endpoint: an address begins with http:// or https:// and holds no user name, password or query",
                fix="give the bare address; a token is read from HF_TOKEN",
            )
        return value

    @model_validator(mode="before")
    @classmethod
    def _known_column(cls, values: Any) -> Any:
        """The column of ClimbMix is known, so that naming it and leaving it out is the same."""
        if isinstance(values, dict) and values.get("source") == CLIMBMIX and values.get("text") is None:
            return values | {"text": CLIMBMIX_COLUMN}
        return values

    @model_validator(mode="after")
    def _fits_source(self) -> ImportConfig:
        own = {
            "split": self.kind == "hf",
            "config_name": self.kind == "hf",
            "revision": self.kind != "local",
            "endpoint": self.kind != "local",
            "files": self.kind != "climbmix",
            "shards": self.kind == "climbmix",
        }
        for name, allowed in own.items():
            if getattr(self, name) and not allowed:
                raise ValueError(f"{name} says nothing about the source {self.source!r}")
        if self.kind == "hf":
            self._check_hub()
        if self.kind == "climbmix":
            self._check_climbmix()
        return self

    def _check_hub(self) -> None:
        if not _DATASET.fullmatch(self.dataset):
            raise ValueError("a dataset is written hf:ORG/NAME")
        if self.text is None:
            raise ValueError("rows need --text COLUMN, the column that holds the text")
        if bool(self.split) == bool(self.files):
            raise ValueError("give either --split, or the key files with globs of file names")

    def _check_climbmix(self) -> None:
        if self.text != CLIMBMIX_COLUMN:
            raise ValueError(f"the column of the text is {CLIMBMIX_COLUMN!r}")
        if self.shards is None:
            raise ValueError(f"name the shards: --shards 0-9, of 0 to {CLIMBMIX_LAST_SHARD}")
        if not self.shard_numbers:
            raise ValueError(f"shards are A-B with A <= B, of 0 to {CLIMBMIX_LAST_SHARD}")

    @property
    def kind(self) -> str:
        """`local`, `hf` or `climbmix`."""
        if self.source == CLIMBMIX:
            return CLIMBMIX
        return "hf" if self.source.startswith(HUB_PREFIX) else "local"

    @property
    def dataset(self) -> str:
        """ORG/NAME on the hub; empty for a local source."""
        if self.kind == CLIMBMIX:
            return CLIMBMIX_DATASET
        return self.source.removeprefix(HUB_PREFIX) if self.kind == "hf" else ""

    @property
    def shard_numbers(self) -> range:
        """The chosen shards of ClimbMix; empty when they cannot be read as a range of them."""
        found = _SHARDS.fullmatch(self.shards or "")
        if found is None:
            return range(0)
        first, last = int(found[1]), int(found[2] or found[1])
        return range(first, last + 1) if last <= CLIMBMIX_LAST_SHARD else range(0)
