"""E1: every attack on the workbench is refused, nothing is started, nothing is told; and good requests are answered."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.abuse import Staller
from tests.support.attacks import ATTACKS, GOOD, PIPE, PIPED, SIZES, SYMLINK, Attack, Target
from tests.support.served import read_all
from tests.support.web_process import WebProcess, serving
from tests.support.web_runs import many_runs

from picochat.artifacts import layout
from picochat.core.jsonio import iter_jsonl

pytestmark = pytest.mark.bar("E1")
ANSWER_S = 2.0
GROWTH_BYTES = 50 * 2**20
CANARY = "canary-" + "c" * 32


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs, and beside them what is none: a link out, a pipe, a folder whose status is one."""
    folder = tmp_path_factory.mktemp("attacked")
    outside = folder / "outside"
    outside.mkdir()
    many_runs(outside, 1)
    runs = folder / "runs"
    runs.mkdir()
    many_runs(runs, 3)
    (runs / SYMLINK).symlink_to(outside / "run-000")
    os.mkfifo(runs / PIPE)
    (runs / PIPED).mkdir()
    shutil.copy(runs / "run-000" / layout.RUN, runs / PIPED)
    os.mkfifo(runs / PIPED / layout.STATUS)
    return runs


def log_in(process: WebProcess) -> tuple[str, str, str]:
    """(token, cookie value, CSRF value)."""
    token = process.link.partition("#token=")[2]
    origin = process.url.rstrip("/")
    answer = httpx.post(f"{process.url}api/login", json={"token": token}, headers={"origin": origin})
    assert answer.status_code == 200, answer.text
    return token, answer.cookies[f"picochat-{process.port}"], answer.json()["csrf"]


@pytest.fixture(scope="module")
def earlier(runs: Path) -> tuple[int, str]:
    """(port, token) of a server that has ended."""
    with serving(runs, cwd=runs.parent) as process:
        return process.port, log_in(process)[0]


@pytest.fixture(scope="module")
def process(runs: Path, earlier: tuple[int, str]) -> Iterator[WebProcess]:
    """The server under attack, on the port of the earlier one; no answer may hold the key of its environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUB_TOKEN", CANARY)
        with serving(runs, "--port", earlier[0], cwd=runs.parent) as process:
            yield process


@pytest.fixture(scope="module")
def target(process: WebProcess, runs: Path, earlier: tuple[int, str]) -> Iterator[Target]:
    """Knows a session, the token of the earlier server, and a session of one that lives on another port."""
    token, cookie, csrf = log_in(process)
    with serving(runs, cwd=runs.parent) as other:
        _, other_cookie, other_csrf = log_in(other)
        yield Target(process.port, token, cookie, csrf, "run-000", earlier[1], other_cookie, other_csrf)


def send(port: int, data: bytes) -> tuple[int, str, bytes, float]:
    """(status, head, body, seconds); 0 where no answer came."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        began = time.monotonic()
        threading.Thread(target=_push, args=(sock, data), daemon=True).start()
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
        seconds = time.monotonic() - began
    status = int(head.split()[1]) if head.startswith(b"HTTP/1.1 ") else 0
    return status, head.decode("latin-1").lower(), body, seconds


def _push(sock: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # It was refused in the middle.
        sock.sendall(data)


def started(runs: Path) -> list[str]:
    """What a launch or a command would have left beside the runs. A refusal leaves its line in the audit trail."""
    desk, trail = runs / layout.DESK, runs / layout.DESK / layout.DESK_AUDIT
    files = [str(path.relative_to(desk)) for path in desk.rglob("*") if path.is_file() and path != trail]
    lines = iter_jsonl(trail) if trail.exists() else ()
    return files + [line["action"] for line in lines if line["action"] != "refused"]


def memory_bytes(process: WebProcess) -> int:
    return int(Path(f"/proc/{process.popen.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def fault_of(attack: Attack, target: Target) -> str | None:
    """What is wrong with the answer to an attack."""
    status, head, body, seconds = send(target.port, attack.build(target))
    if status not in attack.statuses:
        return f"answered {status}: {body[:200]!r}"
    if "access-control-" in head or "x-content-type-options: nosniff" not in head:
        return f"has the wrong headers: {head}"
    if attack.build(target)[:4] != b"HEAD" and json.loads(body).keys() < {"status", "code", "detail", "request_id"}:
        return f"is no problem document: {body[:200]!r}"
    told = [
        word
        for word in (target.token, target.cookie, target.csrf, CANARY, "root:", "Traceback")
        if word.encode() in body
    ]
    if told or seconds > ANSWER_S:
        return f"tells {told}, after {seconds:.2f} s"
    return None


def test_the_list_is_whole():
    counts = {group: sum(attack.group == group for attack in ATTACKS) for group in SIZES}
    assert counts == SIZES and sum(SIZES.values()) >= 60
    assert len({(attack.group, attack.name) for attack in ATTACKS}) == len(ATTACKS)
    assert len({good.name for good in GOOD}) == len(GOOD) == 20


def test_every_attack_is_refused_and_nothing_is_started(process: WebProcess, target: Target, runs: Path, measured):
    before = started(runs)
    faults = [(attack.group, attack.name, fault) for attack in ATTACKS if (fault := fault_of(attack, target))]
    assert faults == []
    assert started(runs) == before
    groups = ", ".join(
        f"{group} {sum(a.group == group for a in ATTACKS)}" for group in dict.fromkeys(a.group for a in ATTACKS)
    )
    measured(f"{len(ATTACKS)} of {len(ATTACKS)} attacks refused ({groups}), nothing started")


def test_the_matching_good_requests_are_answered(target: Target, measured):
    answers = [(good, *send(target.port, good.build(target))[:3]) for good in GOOD]
    assert [(good.name, status, body[:200]) for good, status, _, body in answers if status != good.status] == []
    refusals = [json.loads(body)["code"] for good, status, _, body in answers if status == 404]
    assert set(refusals) <= {"not_found", "process.unknown"}, refusals
    measured(f"{len(GOOD)} of {len(GOOD)} good requests answered")


def test_the_stream_is_opened_to_its_page_alone(target: Target):
    with socket.create_connection(("127.0.0.1", target.port), timeout=5) as sock:
        sock.sendall(target.get("/api/events"))
        data = b""
        while b"retry: " not in data:
            data += sock.recv(4096)
    assert data.startswith(b"HTTP/1.1 200") and b"text/event-stream" in data
    assert send(target.port, target.get("/api/events", cookie=None))[0] == 401
    assert send(target.port, target.get("/api/events", sec_fetch_site="same-site"))[0] == 403


def test_stalled_clients_shut_nobody_out(process: WebProcess, target: Target, size, measured):
    grown_from = memory_bytes(process)
    slowest, answers = 0.0, 0
    with Staller(process.port, 300) as stalled:
        while stalled.begun < 300:
            time.sleep(0.05)
        until = time.monotonic() + size(1, 10)
        while time.monotonic() < until:
            status, _, _, seconds = send(target.port, target.get("/api/runs"))
            assert status == 200
            slowest, answers = max(slowest, seconds), answers + 1
    grown = memory_bytes(process) - grown_from
    assert slowest < ANSWER_S and grown <= GROWTH_BYTES
    measured(
        f"{answers} good answers beside {stalled.begun} stalled clients, the slowest after {slowest * 1e3:.0f} ms, "
        f"{grown / 2**20:.1f} MB grown"
    )


def test_read_only_leaves_no_write_but_the_login(runs: Path):
    with serving(runs, "--set", "web.read_only=true", cwd=runs.parent) as process:
        token, cookie, csrf = log_in(process)
        target = Target(process.port, token, cookie, csrf, "run-000")
        assert send(target.port, target.post("/api/processes/none/cancel"))[0] == 404
        assert send(target.port, target.post())[0] == 404
        assert send(target.port, target.get("/api/runs"))[0] == 200
