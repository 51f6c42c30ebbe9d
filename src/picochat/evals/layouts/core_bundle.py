"""The files of the CORE bundle: `core.yaml` lists tasks, `eval_meta_data.csv` their baselines, `eval_data/` their rows.

Labels, types and shots are those of the bundle; a task that the table does not know has no baseline and is refused.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, NoReturn

from picochat.core.errors import refuse
from picochat.core.extras import require_extra
from picochat.core.hashing import sha256_bytes
from picochat.evals.tasks.base import BenchmarkFile
from picochat.evals.tasks.core_tasks import CORE_TASKS, VERSIONS
from picochat.evals.tasks.facts import REGISTERED
from picochat.evals.tasks.items import Kind

NAME = "core"
TASKS, BASELINES, DATA = "core.yaml", "eval_meta_data.csv", "eval_data"
_KINDS: dict[str, Kind] = {"multiple_choice": "choice", "schema": "schema", "language_modeling": "cloze"}


class BundleTask(NamedTuple):
    """One task as the bundle describes it."""

    label: str
    kind: Kind
    path: Path
    uri: str
    shots: int
    delimiter: str


class Bundle(NamedTuple):
    """The tasks in their order, the records of the two files, and which version of the baselines the bundle carries."""

    tasks: tuple[BundleTask, ...]
    files: tuple[BenchmarkFile, ...]
    baselines: str


def read_bundle(root: Path) -> Bundle:
    """Raises `benchmark.missing`, `benchmark.layout` or `usage.extra`."""
    if not root.is_dir():
        refuse("benchmark.missing", f"{NAME}: {root} is not a folder")
    listed, named = _read(root / TASKS), _read(root / BASELINES)
    tasks = tuple(_iter_tasks(listed, root))
    files = tuple(core_file(name, data, 0) for name, data in ((TASKS, listed), (BASELINES, named)))
    return Bundle(tasks, files, _version_of(_baselines(named, root / BASELINES), root / BASELINES, tasks))


def core_file(name: str, data: bytes, n_items: int) -> BenchmarkFile:
    """The record of a file of the bundle, known by its place in it."""
    digest = sha256_bytes(data)
    return BenchmarkFile(name, digest, n_items, REGISTERED[NAME].get(name) == digest, name)


def _read(path: Path) -> bytes:
    if not path.is_file():
        refuse("benchmark.missing", f"{NAME}: {path} does not exist")
    return path.read_bytes()


def _iter_tasks(data: bytes, root: Path) -> Iterator[BundleTask]:
    yaml = require_extra("yaml", f"{root / TASKS} is a YAML file", "eval")
    try:
        document = yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError) as err:
        _refuse(root / TASKS, f"not YAML: {' '.join(str(err).split())}")
    entries = document.get("icl_tasks") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        _refuse(root / TASKS, "icl_tasks is no list of tasks")
    labels: set[str] = set()
    for place, entry in enumerate(entries, 1):
        task = _task(entry, place, root)
        if task.label in labels:
            _refuse(root / TASKS, f"task {task.label!r} stands twice")
        labels.add(task.label)
        yield task


def _task(entry: Any, place: int, root: Path) -> BundleTask:
    where = root / TASKS
    if not isinstance(entry, dict):
        _refuse(where, f"task {place} is {entry!r}, keys and values are needed")
    label, kind, uri = (entry.get(key) for key in ("label", "icl_task_type", "dataset_uri"))
    if label not in CORE_TASKS:
        _refuse(where, f"task {place} is {label!r}, which is none of the {len(CORE_TASKS)} tasks with known baselines")
    if kind not in _KINDS:
        _refuse(where, f"task {label}: icl_task_type is {kind!r}, one of {', '.join(_KINDS)} is needed")
    parts = PurePosixPath(uri) if isinstance(uri, str) and uri else None
    if parts is None or parts.is_absolute() or ".." in parts.parts:
        _refuse(where, f"task {label}: dataset_uri is {uri!r}, a path below {DATA} is needed")
    shots, delimiter = entry.get("num_fewshot"), entry.get("continuation_delimiter", " ")
    if not isinstance(shots, list) or len(shots) != 1 or not isinstance(shots[0], int) or shots[0] < 0:
        _refuse(where, f"task {label}: num_fewshot is {shots!r}, a list of one number is needed")
    if not isinstance(delimiter, str):
        _refuse(where, f"task {label}: continuation_delimiter is {delimiter!r}, a text is needed")
    return BundleTask(label, _KINDS[kind], root / DATA / parts, f"{DATA}/{parts}", shots[0], delimiter)


def _baselines(data: bytes, path: Path) -> dict[str, float]:
    """Per cent by task. Raises `benchmark.layout`."""
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
        found = {row["Eval Task"].strip(): float(row["Random baseline"]) for row in rows if row["Random baseline"]}
    except (UnicodeDecodeError, csv.Error, KeyError, ValueError, AttributeError) as err:
        _refuse(path, f"columns Eval Task and Random baseline with numbers are needed: {err}")
    return found


def _version_of(found: dict[str, float], path: Path, tasks: tuple[BundleTask, ...]) -> str:
    """Which version of the table the bundle's baselines are; `other` where they are neither."""
    for task in tasks:
        if task.label not in found:
            _refuse(path, f"no Random baseline of task {task.label}")
    for version in VERSIONS:
        wanted = {task.label: 100 * CORE_TASKS[task.label].baseline(version) for task in tasks}
        if all(math.isclose(found[label], value, abs_tol=0.05) for label, value in wanted.items()):
            return version
    return "other"


def _refuse(path: Path, what: str) -> NoReturn:
    refuse("benchmark.layout", f"{path}: {what}")
