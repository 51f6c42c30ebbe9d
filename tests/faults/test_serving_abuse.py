"""E2: what hostile clients send is answered 4xx at once; clients that stall hold up nobody; then all is as before."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.abuse import Staller, build_cases, half_read
from tests.support.served import read_all
from tests.support.served_run import MODEL, Process, serve, write_served_run

pytestmark = [pytest.mark.bar("E2"), pytest.mark.timeout(300)]

CASES = build_cases(MODEL)
ANSWER_S = 1.0
GROWTH_BYTES = 50 * 2**20
TURNS, TURN_S = 3, 10.0
GOOD = {"model": MODEL, "prompt": "the cat sat on the", "max_tokens": 8, "temperature": 0, "ignore_eos": True}
LONG = {"model": MODEL, "prompt": "the cat", "max_tokens": 480, "stream": True, "logprobs": 20, "ignore_eos": True}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    root: Path = write_served_run(tmp_path_factory.mktemp("abused"))
    with serve(root) as running:
        yield running


def good_answer(process: Process) -> str:
    with process.client() as http:
        return http.post("/v1/completions", json=GOOD).json()["choices"][0]["text"]


def send(port: int, data: bytes) -> tuple[bytes, float]:
    """What comes back, and after how many seconds it was whole."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        began = time.monotonic()
        threading.Thread(target=_push, args=(sock, data), daemon=True).start()
        answer = read_all(sock)
        return answer, time.monotonic() - began


def _push(sock: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # It was refused in the middle.
        sock.sendall(data)


def test_there_are_enough_cases():
    assert len(CASES) >= 45


def test_abuse_is_answered_at_once_and_costs_no_memory(process: Process, size, measured):
    first = good_answer(process)
    rounds, slowest, wrong = size(1, 5), ("", 0.0), []
    grown_from = process.memory_bytes()
    for _ in range(rounds):
        for name, case in CASES.items():
            answer, seconds = send(process.port, case.data)
            slowest = max(slowest, (name, seconds), key=lambda pair: pair[1])
            head, _, body = answer.partition(b"\r\n\r\n")
            status = int(head.split()[1]) if head.startswith(b"HTTP/1.1 ") else 0
            document = json.loads(body) if body else {}
            error = document.get("error", {})
            if status != case.status or error.keys() != {"message", "type", "param", "code"} or seconds > ANSWER_S:
                wrong.append((name, status, case.status, f"{seconds:.2f} s", body[:120]))
    grown = process.memory_bytes() - grown_from
    assert wrong == []
    assert grown <= GROWTH_BYTES
    assert good_answer(process) == first
    measured(
        f"{len(CASES)} cases x {rounds}: all 4xx, the slowest ({slowest[0]}) after {slowest[1]:.2f} s, "
        f"{grown / 2**20:.1f} MB grown"
    )


def ask_for(process: Process, seconds: float, first: str) -> list[float]:
    """Latencies of two good clients, one request after the other; every answer is the first one."""
    found: list[float] = []
    faults: list[str] = []

    def ask() -> None:
        end = time.monotonic() + seconds
        with process.client() as http:
            while time.monotonic() < end:
                began = time.monotonic()
                answer = http.post("/v1/completions", json=GOOD)
                found.append(time.monotonic() - began)
                if answer.status_code != 200 or answer.json()["choices"][0]["text"] != first:
                    faults.append(answer.text[:200])

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert faults == []
    return sorted(found)


def p99(latencies: list[float]) -> float:
    return latencies[min(len(latencies) - 1, int(0.99 * len(latencies)))]


def attack(process: Process, seconds: float, first: str) -> tuple[list[float], int]:
    """Latencies beside 300 stalled and 20 half-reading clients, and how often a stalled one came."""
    with Staller(process.port, 300) as stalled:
        readers = [half_read(process.port, json.dumps(LONG).encode()) for _ in range(20)]
        with process.client() as http:
            while "picochat_busy_slots 0.0" not in http.get("/metrics").text:
                time.sleep(0.1)
        assert stalled.begun >= 300
        latencies = ask_for(process, seconds, first)
        for sock in readers:
            sock.close()
    return latencies, stalled.begun


def test_stalled_clients_shut_nobody_out(process: Process, measured):
    """The short form: answers are right and come; how fast is the matter of the full size."""
    first = good_answer(process)
    grown_from = process.memory_bytes()
    latencies, begun = attack(process, 2.0, first)
    assert len(latencies) >= 4
    grown = process.memory_bytes() - grown_from
    assert grown <= GROWTH_BYTES
    assert good_answer(process) == first
    measured(
        f"{len(latencies)} good answers beside 20 half-reading and {begun} stalled clients, {grown / 2**20:.1f} MB"
    )


@pytest.mark.full_size
def test_good_clients_stay_quick_beside_stalled_ones(process: Process, measured):
    """In turns, alone and beside the others, so that a neighbour on the machine disturbs both."""
    first = good_answer(process)
    ask_for(process, 3.0, first)
    grown_from = process.memory_bytes()
    alone, beside, starts = [], [], 0
    for _ in range(TURNS):
        alone += ask_for(process, TURN_S, first)
        latencies, begun = attack(process, TURN_S, first)
        beside, starts = beside + latencies, starts + begun
    grown = process.memory_bytes() - grown_from
    quick, slow = p99(sorted(alone)), p99(sorted(beside))
    measured(
        f"p99 of two good clients {slow * 1e3:.0f} ms in {len(beside)} answers beside 20 half-reading and 300 stalled "
        f"clients ({starts} starts, {TURNS * TURN_S:.0f} s), {quick * 1e3:.0f} ms in {len(alone)} alone, "
        f"{grown / 2**20:.1f} MB grown"
    )
    assert slow <= 2 * quick
    assert grown <= GROWTH_BYTES
    assert good_answer(process) == first


def test_requests_that_are_cancelled_free_their_slots(process: Process, measured):
    first = good_answer(process)
    rounds = 24
    with process.client() as http:
        for _ in range(rounds):
            half_read(process.port, json.dumps(LONG).encode()).close()
        began = time.monotonic()
        while "picochat_busy_slots 0.0" not in (text := http.get("/metrics").text):
            assert time.monotonic() - began < 5
        assert "picochat_waiting_requests 0.0" in text
    assert good_answer(process) == first
    measured(f"{rounds} streams left: all slots free after {time.monotonic() - began:.2f} s")
