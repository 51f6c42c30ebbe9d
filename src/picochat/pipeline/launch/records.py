"""A launch plan: everything that decides what is started where and what it may cost, in one immutable document.

    canonical JSON -> sha256 -> the plan's digest: any edit is another plan

Commands are argv lists; of environment variables only the names stand here; every value has a narrow pattern and none
begins with `-`, so that nothing of a plan can turn into another argument of a command.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from picochat.artifacts.schema import Record, SchemaTag, schema_tag
from picochat.core.errors import refuse
from picochat.core.hashing import sha256_bytes
from picochat.core.jsonio import canonical_json, parse_json

SCHEMA = "launch_plan"
TargetKind = Literal["ssh", "torchrun", "slurm", "skypilot", "hf_jobs"]
WORD = re.compile(r"[A-Za-z0-9_./@:=+,\[\]{}\"%-]{1,512}")
"""What an argument may consist of. Quotes and brackets are for values of settings, which are JSON."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
HOST = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_-]{0,31}@)?[A-Za-z0-9\[][A-Za-z0-9.:\]-]{0,252}")
FOLDER = re.compile(r"[A-Za-z0-9_./~][A-Za-z0-9_./~-]{0,255}")
CENT = Decimal("0.01")


class TravellingFile(Record):
    """A file that the run needs there: relative to the run folder, with what it must be."""

    path: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        parts = path.split("/")
        if path.startswith(("/", "-")) or ".." in parts or "" in parts or not WORD.fullmatch(path):
            raise ValueError(f"{path!r} is no plain path below the run")
        return path


class Target(Record):
    """Where it is started. `host` is for ssh, `queue` for Slurm, `flavor` for the services."""

    kind: TargetKind
    host: str | None = None
    port: int | None = Field(default=None, ge=1, le=65_535)
    folder: str = "picochat"
    """The working folder there; the run lies below it."""
    python: str = "python3"
    """The interpreter that has picochat."""
    queue: str | None = None
    flavor: str | None = None
    image: str | None = None
    """A container by digest: name@sha256:..."""

    @model_validator(mode="after")
    def _plain_values(self) -> Self:
        for key, pattern in (("host", HOST), ("folder", FOLDER), ("python", FOLDER), ("queue", NAME), ("flavor", NAME)):
            value = getattr(self, key)
            if value is not None and not pattern.fullmatch(value):
                raise ValueError(f"target.{key} {value!r} does not match {pattern.pattern}")
        if self.kind == "ssh" and not self.host:
            raise ValueError("a target over ssh needs a host")
        if self.image is not None and not re.fullmatch(r"[a-z0-9][a-z0-9._/:-]{0,199}@sha256:[0-9a-f]{64}", self.image):
            raise ValueError(f"target.image {self.image!r} is not pinned: name@sha256:DIGEST")
        return self


class Money(Record):
    """Dollars, as decimal strings with two places: sums that a person types are compared as text."""

    rate_usd_per_gpu_hour: str
    hours: tuple[float, float, float]
    """Low, expected and high."""
    estimate_usd: tuple[str, str, str]
    cap_usd: str

    @model_validator(mode="after")
    def _decimals(self) -> Self:
        for value in (self.rate_usd_per_gpu_hour, *self.estimate_usd, self.cap_usd):
            if dollars(value) is None:
                raise ValueError(f"{value!r} is no sum in dollars and cents")
        if not (0 < self.hours[0] <= self.hours[1] <= self.hours[2]):
            raise ValueError(f"hours {self.hours} do not rise")
        return self


class LaunchPlan(Record):
    """See the module. `settings` are the `--set` pairs of the run, the cap and its rate among them."""

    schema_tag: SchemaTag = Field(alias="schema")
    name: str = Field(pattern=NAME.pattern)
    created_at: str
    nonce: str = Field(pattern=r"^[0-9a-f]{32}$")
    """Makes a plan that was made again another plan: a start is for one document."""
    profile: str = Field(pattern=NAME.pattern)
    run: str = Field(pattern=NAME.pattern)
    """Name of the run folder there."""
    argv: tuple[str, ...]
    """The command on every node, without a shell."""
    environment: tuple[str, ...] = ()
    """Names of variables that must be set there; never values."""
    target: Target
    nodes: int = Field(ge=1, le=1024)
    gpus_per_node: int = Field(ge=1, le=64)
    card: str = Field(pattern=NAME.pattern)
    money: Money
    autostop_minutes: int = Field(ge=1, le=1440)
    """After the end the machine is given back within so long."""
    files: tuple[TravellingFile, ...]
    config_digest: str
    code_digest: str
    preflight_digest: str | None
    """Of preflight.json; None where none was made, which blocks the start."""
    parameters: int = Field(gt=0)
    tokens: int = Field(gt=0)
    steps: int = Field(gt=0)
    predicted: dict[str, float | None]
    """What the dry run is held against: `tokens_per_s`, and `needed_bytes` of one rank."""
    dry_run_of: str | None = None
    """Digest of the plan whose first steps this one rehearses; None for a run itself."""

    @model_validator(mode="after")
    def _plain_words(self) -> Self:
        for word in self.argv:
            if not WORD.fullmatch(word):
                raise ValueError(f"argument {word!r} is no plain word")
        for name in self.environment:
            if not VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} is no name of an environment variable")
        if len({file.path for file in self.files}) != len(self.files):
            raise ValueError("a file travels twice")
        return self

    @property
    def gpus(self) -> int:
        """On all nodes."""
        return self.nodes * self.gpus_per_node

    def data(self) -> bytes:
        """The one form of the document."""
        return canonical_json(self.to_json()) + b"\n"

    def digest(self) -> str:
        """sha256 of `data`: what a person confirms."""
        return sha256_bytes(self.data())


def plan_tag() -> SchemaTag:
    return schema_tag(SCHEMA)


def dollars(text: str) -> Decimal | None:
    """The sum that a text names in plain digits with exactly two places; None for anything else."""
    if not re.fullmatch(r"[0-9]{1,9}\.[0-9]{2}", text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def format_dollars(value: float) -> str:
    """A sum rounded up to whole cents: an estimate is never shown smaller than it is."""
    exact = Decimal(repr(value))
    rounded = exact.quantize(CENT)
    return str(rounded if rounded >= exact else rounded + CENT)


def parse_plan(data: bytes, what: str) -> LaunchPlan:
    """Reads a plan strictly. Raises `json.invalid`, `artifact.schema`, or `launch.plan` when it is not canonical."""
    plan = LaunchPlan.from_json(parse_json(data, what), what)
    if plan.schema_tag != plan_tag():
        refuse("artifact.schema", f"{what} has schema {plan.schema_tag.to_json()}, expected {plan_tag().to_json()}")
    if plan.data() != data:
        refuse("launch.plan", f"{what} is not in the one form of a plan: it was edited after it was written")
    return plan
