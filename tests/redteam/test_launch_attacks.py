"""E1, group launch: what is forged, replayed, expired, edited or above the ceiling starts nothing; a good one does."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.support.attacks import Target
from tests.support.attacks_launch import LAUNCH, ORDER, RACERS, Plans, launch, plans
from tests.support.green_run import GreenRun
from tests.support.launch_room import Room
from tests.support.recording_web import let_pass, recording, starts
from tests.support.served import read_all
from tests.support.web_process import WebProcess

from picochat.artifacts import layout
from picochat.pipeline.launch.records import LaunchPlan

pytestmark = pytest.mark.bar("E1")
TEN_SECONDS = 10.0


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    runs = tmp_path_factory.mktemp("launches") / "runs"
    runs.mkdir()
    with recording(runs) as process:
        yield process


@pytest.fixture(scope="module")
def target(process: WebProcess, tmp_path_factory: pytest.TempPathFactory) -> Target:
    """Somebody who is logged in, and a desk with a plan for each fault."""
    room = Room(process.runs, GreenRun(tmp_path_factory.mktemp("small") / "run").build(n=4).root)
    token, origin = process.link.partition("#token=")[2], process.url.rstrip("/")
    answer = httpx.post(f"{process.url}api/login", json={"token": token}, headers={"origin": origin})
    cookie, csrf = answer.cookies[f"picochat-{process.port}"], answer.json()["csrf"]
    found = Target(process.port, token, cookie, csrf, "letters-1b")

    def challenge(plan: LaunchPlan) -> str:
        status, body = send(found, found.post(f"/api/plans/{plan.digest()}/challenge"))
        assert status == 201, body
        return body["challenge"]

    found.known |= {"plans": Plans(room), "challenge": challenge, "send": lambda data: send(found, data)}
    found.known["later"] = lambda seconds: let_pass(process, seconds)
    return found


def send(target: Target, data: bytes) -> tuple[int, dict[str, Any]]:
    with socket.create_connection(("127.0.0.1", target.port), timeout=TEN_SECONDS) as sock:
        sock.sendall(data)
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def refusals(target: Target) -> list[dict[str, Any]]:
    return [line for line in plans(target).room.desk.audit_lines() if line["action"] == "refused"]


def test_every_attack_on_a_launch_is_refused_and_written_down(process: WebProcess, target: Target, measured: Callable):
    faults = []
    for attack in LAUNCH:
        data, before = attack.build(target), len(refusals(target))
        status, body = send(target, data)
        if status not in attack.statuses or body.keys() < {"status", "code", "detail", "request_id"}:
            faults.append((attack.name, status, body))
        if status == 409 and len(refusals(target)) != before + 1:
            faults.append((attack.name, "is not in the trail", body))
    assert faults == [] and starts(process) == []
    assert {line["login"] for line in refusals(target)} != {""}, "the trail names who asked"
    measured(f"{len(LAUNCH)} of {len(LAUNCH)} attacks on a launch refused, nothing started")


def test_of_twenty_at_once_one_starts(process: WebProcess, target: Target, measured: Callable):
    raced, before = plans(target).raced, len(starts(process))
    shared = target.known["challenge"](raced)
    requests = [launch(target, raced, shared if number % 2 else None) for number in range(RACERS)]
    answers: list[int] = []
    ready = threading.Barrier(RACERS)

    def race(data: bytes) -> None:
        ready.wait(TEN_SECONDS)
        answers.append(send(target, data)[0])

    racers = [threading.Thread(target=race, args=(data,)) for data in requests]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(30)
    assert sorted(answers) == [202] + [409] * (RACERS - 1)
    assert [start["plan"] for start in starts(process)[before:]] == [raced.digest()]
    measured(f"of {RACERS} at once one started")


def test_the_good_launch_is_accepted_once(process: WebProcess, target: Target):
    good, before = plans(target).good, len(starts(process))
    status, body = send(target, launch(target, good))
    assert (status, body["start"]["state"]) == (202, "started")
    assert send(target, launch(target, good))[0] == 409
    assert [start["plan"] for start in starts(process)[before:]] == [good.digest()]


def test_only_the_file_beside_the_runs_sets_the_ceiling(target: Target):
    order = json.dumps(ORDER | {"gpus": 8, "max_cap_usd": 1000}).encode()
    status, body = send(target, target.post("/api/plans", order))
    assert status == 422 and "max_cap_usd" in body["detail"]
    assert (plans(target).room.desk.root / layout.DESK_SETTINGS).read_text() == "max_cap_usd = 500\n"
