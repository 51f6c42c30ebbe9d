"""What all connections share: exact names, room made by the longest-incomplete one."""

from dataclasses import dataclass

import pytest

from picochat.webguard.guard import Answer, Guard
from picochat.webguard.limits import Limits


@dataclass(eq=False)
class Fake:
    """A connection as the guard sees one."""

    guard: Guard
    incomplete_since: float | None
    pending_bytes: int = 0
    dropped: bool = False

    def drop(self) -> None:
        self.dropped = True
        self.guard.free(self.pending_bytes)
        self.pending_bytes = 0


def build(**limits: int) -> Guard:
    return Guard(Limits(**limits), lambda refusal: Answer(400, {}, b""), ["pico.lan"], ["http://localhost:3000"])


def test_at_the_cap_the_longest_incomplete_connection_makes_room():
    guard = build(sockets=3)
    working, old, young = Fake(guard, None), Fake(guard, 1.0), Fake(guard, 2.0)
    for connection in (working, young, old):
        guard.admit(connection)
    newest = Fake(guard, 3.0)
    guard.admit(newest)
    assert [c.dropped for c in (working, old, young, newest)] == [False, True, False, False]
    assert guard.connections == 3


def test_a_connection_that_is_answered_never_makes_room():
    guard = build(sockets=2)
    for _ in range(2):
        guard.admit(Fake(guard, None))
    late = Fake(guard, 5.0)
    guard.admit(late)
    assert late.dropped and guard.connections == 2


def test_bodies_that_are_never_finished_make_room_for_others():
    guard = build(pending_bytes=100)
    stalled = [Fake(guard, float(k)) for k in range(5)]
    for connection in stalled:
        guard.admit(connection)
        connection.pending_bytes = 30
        guard.hold(30)
    assert [c.dropped for c in stalled] == [True, True, False, False, False]
    assert guard.pending_bytes == 90
    guard.release(stalled[4])
    assert guard.connections == 2


OWN = ["localhost", "127.0.0.1", "[::1]", "localhost:8000", "127.0.0.1:1", "[::1]:65535", "Pico.LAN:80", "pico.lan"]
FOREIGN = [
    "",
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "localhost.",
    "127.0.0.1.",
    "0.0.0.0",
    "127.1",
    "169.254.169.254",
    "[::ffff:127.0.0.1]",
    "::1",
    "localhost:",
    "localhost:80:80",
    "localhost:http",
    "user@localhost",
    "localhost localhost",
    "localhost,evil",
    "[::1",
]


def why(guard: Guard, *headers: tuple[str, str]) -> str | None:
    refusal = guard.refusal([(name.encode(), value.encode()) for name, value in headers])
    return refusal and refusal.code


@pytest.mark.parametrize("host", OWN)
def test_own_names_on_any_port(host: str):
    assert why(build(), ("host", host)) is None


@pytest.mark.parametrize("host", FOREIGN)
def test_any_other_name_is_misdirected(host: str):
    assert why(build(), ("host", host)) == "host_not_allowed"


def test_exactly_one_name():
    assert why(build()) == "host_not_allowed"
    assert why(build(), ("host", "localhost"), ("host", "localhost")) == "host_not_allowed"


@pytest.mark.parametrize(
    ("origins", "code"),
    [
        (["http://localhost:3000"], None),
        (["http://localhost:3001"], "origin_not_allowed"),
        (["https://localhost:3000"], "origin_not_allowed"),
        (["http://localhost:3000.evil.example"], "origin_not_allowed"),
        (["http://LOCALHOST:3000"], "origin_not_allowed"),
        (["null"], "origin_not_allowed"),
        ([""], "origin_not_allowed"),
        (["http://localhost:3000"] * 2, "origin_not_allowed"),
    ],
)
def test_an_origin_that_is_sent_must_be_listed(origins: list[str], code: str | None):
    assert why(build(), ("host", "localhost"), *(("origin", origin) for origin in origins)) == code


def build_with_pages() -> Guard:
    return Guard(Limits(), lambda refusal: Answer(400, {}, b""), ["pico.lan"], ["https://pico.lan"], own_pages=True)


@pytest.mark.parametrize(
    ("host", "origin", "code"),
    [
        ("127.0.0.1:8765", "http://127.0.0.1:8765", None),
        ("localhost:9000", "http://localhost:9000", None),
        ("[::1]:8765", "http://[::1]:8765", None),
        ("pico.lan", "http://pico.lan", None),
        ("pico.lan", "https://pico.lan", None),
        ("Pico.LAN", "http://pico.lan", None),
        ("127.0.0.1:8765", "https://127.0.0.1:8765", "origin_not_allowed"),
        ("127.0.0.1:8765", "http://127.0.0.1:8766", "origin_not_allowed"),
        ("127.0.0.1:8765", "http://127.0.0.1", "origin_not_allowed"),
        ("127.0.0.1:8765", "http://localhost:8765", "origin_not_allowed"),
        ("127.0.0.1:8765", "http://127.0.0.1:8765.evil.example", "origin_not_allowed"),
        ("evil.example", "http://evil.example", "host_not_allowed"),
    ],
)
def test_a_server_with_pages_takes_requests_of_its_own_pages(host: str, origin: str, code: str | None):
    assert why(build_with_pages(), ("host", host), ("origin", origin)) == code


def test_a_server_without_pages_takes_none_of_its_own_name():
    assert why(build(), ("host", "localhost:8000"), ("origin", "http://localhost:8000")) == "origin_not_allowed"
