"""Every route of the workbench over runs whose files were spoilt, and with hostile words: a refusal or a state, no bug.

A spoilt file is empty, torn, no JSON, JSON of another shape, a folder, a pipe, a link out of the run, or has every
number, text, list and record replaced by one of another type.
"""

from __future__ import annotations

import json
import os
import shutil
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.support.asgi import ask
from tests.support.green_run import GreenRun, judge

from picochat.artifacts import layout
from picochat.workbench import doctor
from picochat.workbench.app import Application
from picochat.workbench.bench import Workbench
from picochat.workbench.routing import Route, Router
from picochat.workbench.served import served_routes
from picochat.workbench.site import load_site

pytestmark = pytest.mark.timeout(600)
NAME = "green"
ANSWER_S = 5.0
ROUTES = served_routes(read_only=False)
APART = ("api/events", "api/doctor", "api/login", "api/session")
"""Tested by themselves: a stream, a process, and what needs a session."""
OF_RUNS = ("api/runs", "api/compare")
SITE = load_site()
QUERIES = {
    "api/compare": f"runs={NAME},other",
    "api/runs/{run}/nearest": "set=eval&row=0",
    "api/runs/{run}/tokens": "text=abc",
    "api/runs/{run}/explain": "check=sft.fit",
}
HOSTILE = (
    "", "0", "-1", "1e309", "NaN", "9" * 40, "../../etc/passwd", "--help", "a\x00b", "\u202eabc", "[", "(" * 300, "%",
    "a" * 3000, "null", "{}", ",", ",,,", "tiny-1,tiny-1", "\U0001f600",
)  # fmt: skip


@pytest.fixture(autouse=True)
def silent_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process with torch in it for each of the servers."""
    monkeypatch.setattr(doctor, "run_quiet", lambda argv, timeout_s: None)


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scripted run with a verdict."""
    root = tmp_path_factory.mktemp("sweep") / NAME
    GreenRun(root, name=NAME).build()
    judge(root, "research")
    status = {"state": "running", "stage": "base", "step": 3, "steps": 9, "pid": os.getpid(), "host": "elsewhere"}
    (root / layout.STATUS).write_text(json.dumps(status))
    return root


def of_another_type(value: Any) -> Any:
    """Numbers are texts, texts lists, lists records, records numbers: one of them at each place."""
    if isinstance(value, dict):
        return {key: of_another_type(item) for key, item in value.items()}
    if isinstance(value, list):
        return {"0": of_another_type(value[0])} if value else 7
    if isinstance(value, bool) or value is None:
        return {"a": []}
    return "x" if isinstance(value, int | float) else [value]


def swapped(data: bytes) -> bytes:
    """JSON, or lines of it, with everything of another type; other files with their bytes turned round."""
    try:
        return json.dumps(of_another_type(json.loads(data))).encode()
    except ValueError:
        pass
    try:
        lines = [json.loads(line) for line in data.splitlines()]
        return b"".join(json.dumps(of_another_type(line)).encode() + b"\n" for line in lines)
    except ValueError:
        return data[::-1]


def emptied(data: bytes) -> bytes:
    """JSON with nothing in its records and lists."""
    try:
        found = json.loads(data)
    except ValueError:
        return b"{}\n" * 3
    return json.dumps({key: type(value)() if value is not None else None for key, value in found.items()}).encode()


TURNED: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "torn": lambda data: data[: len(data) // 2],
    "no text": lambda data: b"\xff\x00\xfe" * 100,
    "a list": lambda data: b"[]",
    "a number": lambda data: b"7",
    "a record": lambda data: b"{}",
    "deep": lambda data: b"[" * 100_000,
    "emptied": emptied,
    "swapped": swapped,
}
PLACED: dict[str, Callable[[Path], None]] = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a link out": lambda path: path.symlink_to("/etc/passwd"),
    "missing": lambda path: None,
}


def spoil(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.unlink()
    if how in TURNED:
        path.write_bytes(TURNED[how](data))
    else:
        PLACED[how](path)


def targets(routes: list[Route]) -> Iterator[tuple[Route, str]]:
    """Every read of the table, with a query that it takes."""
    for route in routes:
        if route.method == "GET" and route.path not in APART:
            path = route.path.format(run=NAME, process="none", plan="0" * 64, name=layout.SUMMARY)
            query = QUERIES.get(route.path, "")
            yield route, f"/{path}" + (f"?{query}" if query else "")


def faults(runs: Path, wanted: list[str], method: str = "GET", body: bytes = b"") -> list[str]:
    """What is neither an answer nor a refusal."""
    app, found = Application(Workbench(runs), SITE, Router(ROUTES)), []
    for target in wanted:
        try:
            told = ask(app, method, target, {"content-type": "application/json"}, body, ANSWER_S)
        except Exception as err:  # a bug, told with its route and its line
            last = traceback.extract_tb(err.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            found.append(f"{target[:120]}: {type(err).__name__}: {err} ({place})"[:300])
            continue
        if told.status >= 500 or b"root:" in told.body:
            found.append(f"{target[:120]}: {told.status} {told.body[:120]!r}")
    return found


def spoilt_files(root: Path) -> list[str]:
    """Records, rows and events; weights and shards are read by no page."""
    kinds = (".json", ".jsonl", ".md", ".html", ".log")
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.suffix in kinds and path.is_file())


def test_a_whole_run_is_answered(green: Path, tmp_path: Path):
    shutil.copytree(green, tmp_path / NAME)
    shutil.copytree(green, tmp_path / "other")
    wanted = [target for _, target in targets(ROUTES)]
    assert len(wanted) > 25 and faults(tmp_path, wanted) == []


@pytest.mark.parametrize("how", [*TURNED, *PLACED])
def test_a_spoilt_file_is_a_state_or_a_refusal(green: Path, tmp_path: Path, how: str, size):
    """A few files at once, in the short form more of them."""
    wanted = [target for route, target in targets(ROUTES) if "{run}" in route.path or route.path in OF_RUNS]
    shutil.copytree(green, tmp_path / "pristine")
    (tmp_path / "runs").mkdir()
    shutil.copytree(green, tmp_path / "runs" / "other")
    names, found = spoilt_files(green), []
    step = size(24, 3)
    for first in range(0, len(names), step):
        root = tmp_path / "runs" / NAME
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(tmp_path / "pristine", root)
        chosen = names[first : first + step]
        for name in chosen:
            spoil(root / name, how)
        found += [f"{chosen}: {fault}" for fault in faults(tmp_path / "runs", wanted)]
    assert found == []


def test_everything_spoilt_at_once_is_a_state_or_a_refusal(green: Path, tmp_path: Path):
    wanted = [target for _, target in targets(ROUTES)]
    found = []
    for how in (*TURNED, *PLACED):
        root = tmp_path / how / NAME
        shutil.copytree(green, root)
        for name in spoilt_files(root):
            spoil(root / name, how)
        found += [f"{how}: {fault}" for fault in faults(tmp_path / how, wanted)]
    assert found == []


def test_hostile_words_in_a_query_are_refused_or_nothing(green: Path, tmp_path: Path):
    shutil.copytree(green, tmp_path / NAME)
    wanted = []
    for route, target in targets(ROUTES):
        path, _, query = target.partition("?")
        known = dict(pair.split("=") for pair in query.split("&")) if query else {}
        for key in route.query.model_fields:
            for word in HOSTILE:
                pairs = {name: quote(value) for name, value in known.items()} | {key: quote(word)}
                wanted.append(f"{path}?" + "&".join(f"{name}={value}" for name, value in pairs.items()))
    assert len(wanted) > 500
    assert faults(tmp_path, wanted) == []


def test_hostile_names_in_a_path_are_refused(green: Path, tmp_path: Path):
    shutil.copytree(green, tmp_path / NAME)
    wanted = []
    for route in ROUTES:
        if "{" in route.path and route.method == "GET":
            for word in (*HOSTILE, "..", ".", NAME + "%2f", "x" * 80):
                names = {"run": word, "process": word, "plan": word, "name": word}
                wanted.append("/" + route.path.format(**{key: quote(value, safe="%") for key, value in names.items()}))
                names = names | {"run": NAME}
                wanted.append("/" + route.path.format(**{key: quote(value, safe="%") for key, value in names.items()}))
    assert faults(tmp_path, wanted) == []


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"null", b'{"a": 1}', b'"x"', b"1e400", b'{"run": "../x"}', b""], ids=range(8)
)
def test_hostile_bodies_start_nothing(green: Path, tmp_path: Path, body: bytes):
    """No body that lacks what is asked for reaches a command."""
    (tmp_path / "green").mkdir()
    wanted = []
    for route in ROUTES:
        if route.method == "POST" and route.body.model_fields:
            wanted.append("/" + route.path.format(run="none", process="none", plan="0" * 64))
    assert len(wanted) >= 5
    assert faults(tmp_path, wanted, "POST", body) == []
    written = [path.name for path in (tmp_path / layout.DESK).rglob("*") if path.is_file()]
    assert set(written) <= {layout.DESK_AUDIT}  # refusals are on record
