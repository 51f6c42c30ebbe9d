"""`picochat web` as a process: ready soon, small, without torch, and ended at once, whoever listens."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from tests.support.tiny_run import environment, picochat
from tests.support.web_process import WebProcess, read_link, serving
from tests.support.web_runs import many_runs

from picochat.artifacts import layout
from picochat.core.events import EventWriter

pytestmark = pytest.mark.integration
READY_S, END_S, NEWS_S = 2.0, 2.0, 1.0
MEMORY_BYTES = 150 * 2**20
SLACK = 3.0
"""Limits are measured in benchmarks/workbench_cost.py; here a busy machine may take so many times as long."""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    many_runs(folder, 3)
    return folder


@contextmanager
def browser(process: WebProcess) -> Iterator[httpx.Client]:
    """A client that is logged in."""
    with httpx.Client(base_url=process.url, headers={"origin": process.url.rstrip("/")}, timeout=10) as client:
        answer = client.post("api/login", json={"token": process.link.partition("#token=")[2]})
        assert answer.status_code == 200
        client.headers["x-picochat-csrf"] = answer.json()["csrf"]
        yield client


@contextmanager
def listening(client: httpx.Client, **headers: str) -> Iterator[Iterator[dict]]:
    """The events of a stream, as they come."""

    def events(lines: Iterator[str]) -> Iterator[dict]:
        yield from (json.loads(line[6:]) for line in lines if line.startswith("data: "))

    with client.stream("GET", "api/events", headers=headers) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        assert next(lines).startswith("retry: ")
        yield events(lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_and_well_while_pages_listen(runs: Path, number: int):
    with serving(runs, cwd=runs.parent) as process, ExitStack() as stack:
        client = stack.enter_context(browser(process))
        for _ in range(4):
            stack.enter_context(listening(client))
        began = time.monotonic()
        process.popen.send_signal(number)
        assert process.popen.wait(END_S * SLACK) == 0
        took = time.monotonic() - began
        assert took < END_S * SLACK
        assert process.popen.stderr is not None and process.popen.stderr.read() == ""


def test_a_handler_that_waits_holds_nothing_up(runs: Path):
    """A pipe in place of a log never ends; the thread that reads it is left alone."""
    with serving(runs, cwd=runs.parent) as process, browser(process) as client:
        os.mkfifo(runs / "run-000" / layout.PREFLIGHT)
        threads = [threading.Thread(target=_ask, args=(client, f"api/runs/run-000{path}")) for path in ("", "/checks")]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        began = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - began < END_S * SLACK
        for thread in threads:
            thread.join(5)


def _ask(client: httpx.Client, path: str) -> None:
    with suppress(httpx.HTTPError):
        client.get(path)


def test_it_is_ready_soon_small_and_without_torch(runs: Path):
    began = time.monotonic()
    with serving(runs, cwd=runs.parent) as process, browser(process) as client:
        assert time.monotonic() - began < READY_S * SLACK
        for path in ("", "api/runs", "api/runs/run-000", "api/openapi", "api/events?since=0", "api/processes"):
            assert client.get(path).status_code == 200, path
        proc = Path(f"/proc/{process.popen.pid}")
        assert "libtorch" not in (proc / "maps").read_text()
        assert int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") < MEMORY_BYTES


def test_what_is_written_is_news_within_a_second(runs: Path):
    with serving(runs, cwd=runs.parent) as process, browser(process) as client, listening(client) as events:
        writer = EventWriter(runs / "run-001" / layout.EVENTS)
        for step in range(3):
            time.sleep(0.05)
            writer.emit("step", "base", step=step, loss=1.0)
            began = time.monotonic()
            assert next(events)["kind"] == "events"
            assert time.monotonic() - began < NEWS_S * SLACK
        writer.close()


def test_a_stream_that_was_cut_goes_on_where_it_was(runs: Path):
    with serving(runs, cwd=runs.parent) as process, browser(process) as client:
        writer = EventWriter(runs / "run-001" / layout.EVENTS)
        with listening(client) as events:
            writer.emit("step", "base", step=1)
            first = next(events)
        (runs / "run-002" / layout.GATE).write_text("{}")
        writer.emit("step", "base", step=2)
        time.sleep(0.6)
        found = client.get("api/events", params={"since": first["cursor"]}).json()
        with listening(client, **{"last-event-id": str(first["cursor"])}) as events:
            again = [next(events), next(events)]
        writer.close()
    assert {(e["run"], e["kind"]) for e in again} == {("run-001", "events"), ("run-002", "gate")}
    assert found["complete"] and found["events"] == again and found["cursor"] == again[-1]["cursor"]


def test_two_servers_on_one_folder_and_one_browser(runs: Path):
    """One jar of cookies, as a browser has one for all ports of a host."""
    with serving(runs, cwd=runs.parent) as first, serving(runs, cwd=runs.parent) as second:
        jar = httpx.Cookies()
        for process in (first, second, first):
            with httpx.Client(base_url=process.url, cookies=jar, headers={"origin": process.url.rstrip("/")}) as client:
                token = process.link.partition("#token=")[2]
                assert client.post("api/login", json={"token": token}).status_code == 200
                jar = client.cookies
        for process in (first, second):
            assert httpx.get(f"{process.url}api/runs", cookies=jar).status_code == 200


def test_a_port_that_is_taken_is_said(runs: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = picochat("web", "--dir", runs, "--port", taken.getsockname()[1])
    assert done.returncode == 5 and "--port 0" in done.stderr and "#token" not in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["--host", "0.0.0.0"], 2, "ssh -L"),
        (["--host", "192.0.2.1"], 2, "ssh -L"),
        (["--host", "0.0.0.0", "--set", "web.open_network=true"], 2, "web.allowed_hosts"),
        (["--port", "65536"], 2, "--help"),
        (["--set", "web.readonly=true"], 2, "did you mean 'read_only'?"),
        (["--set", "serve.slots=1"], 2, "web.*"),
        (["--set", "web.prefix=/a/"], 2, "web.prefix=/pico"),
    ],
)
def test_a_start_that_cannot_be_meant_is_refused(runs: Path, words: list[str], code: int, hint: str):
    done = picochat("web", "--dir", runs, *words)
    assert done.returncode == code and hint in done.stderr and "#token" not in done.stdout, done.stderr


def test_another_address_is_served_when_it_is_asked_for(runs: Path):
    words = ["--host", "0.0.0.0", "--set", "web.open_network=true", "--set", 'web.allowed_hosts=["localhost"]']
    with serving(runs, *words, cwd=runs.parent) as process:
        assert process.link.startswith("http://localhost:")
        assert httpx.get(process.url).status_code == 200


def test_the_link_is_printed_whole_and_the_log_holds_no_token(runs: Path):
    """However narrow the terminal is: a link in two lines is none."""
    popen = subprocess.Popen(
        [sys.executable, "-m", "picochat.cli", "web", "--dir", runs, "--port", "0"],
        env=environment(COLUMNS="20"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    link = read_link(popen)
    token = link.partition("#token=")[2]
    assert len(token) == 43
    connection = http.client.HTTPConnection("127.0.0.1", int(link.split(":")[2].split("/")[0]))
    connection.request("GET", f"/api/runs?token={token}")
    assert connection.getresponse().status == 401
    connection.close()
    popen.terminate()
    _, errors = popen.communicate(timeout=10)
    assert popen.returncode == 0 and token not in errors


class StrippingProxy:
    """Takes a prefix away, as a notebook server does, and hands on what is left."""

    def __init__(self, prefix: str, port: int) -> None:
        self.prefix, self.port = prefix, port

    def ask(self, method: str, path: str, host: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str]]:
        assert path.startswith(f"{self.prefix}/")
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path[len(self.prefix) :], body or None, {"Host": host, **named})
        answer = connection.getresponse()
        answer.read()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}
        connection.close()
        return found


def test_behind_a_proxy_that_takes_its_prefix_away_and_ends_tls(runs: Path):
    """The browser keeps the cookie for the folder of the login's address: below the prefix, and nowhere else."""
    words = ["--set", 'web.allowed_hosts=["hub.lan"]', "--set", 'web.allowed_origins=["https://hub.lan"]']
    with serving(runs, *words, cwd=runs.parent) as process:
        proxy = StrippingProxy("/user/x/proxy/8765", process.port)
        assert proxy.ask("GET", "/user/x/proxy/8765/", "hub.lan")[0] == 200
        body = json.dumps({"token": process.link.partition("#token=")[2]}).encode()
        json_body = {"Origin": "https://hub.lan", "Content_Type": "application/json", "Sec_Fetch_Site": "same-origin"}
        status, headers = proxy.ask("POST", "/user/x/proxy/8765/api/login", "hub.lan", body, **json_body)
        cookie = headers["set-cookie"]
        assert status == 200 and "Path" not in cookie and "Secure" in cookie
        pair = cookie.partition(";")[0]
        assert proxy.ask("GET", "/user/x/proxy/8765/api/runs", "hub.lan", Cookie=pair)[0] == 200
