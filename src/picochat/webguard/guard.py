"""What all connections of one server share: who is connected, what is in work, which names are its own.

Only the event loop touches it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from picochat.webguard.limits import Limits, Refusal

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(:[0-9]{1,5})?")


class Answer(NamedTuple):
    """A refusal as bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection(Protocol):
    """What the guard asks of a connection when room is needed."""

    @property
    def incomplete_since(self) -> float | None:
        """Since when it owes the rest of a request, in seconds of the loop's clock; None while one is answered."""
        ...

    @property
    def pending_bytes(self) -> int:
        """Bytes of an unfinished body that are held for it."""
        ...

    def drop(self) -> None:
        """Ends it at once."""
        ...


class Guard:
    """Host names are exact, on any port; an origin, if one is sent, must be listed.

    With `own_pages` the server has pages of its own: what stands under the very name and port that the request is
    addressed to may use it too, over http.
    """

    def __init__(
        self,
        limits: Limits,
        answer: Callable[[Refusal], Answer],
        allowed_hosts: Iterable[str] = (),
        allowed_origins: Iterable[str] = (),
        *,
        own_pages: bool = False,
    ) -> None:
        self.limits = limits
        self.answer = answer
        self.in_work = 0
        self.pending_bytes = 0
        self._hosts = frozenset((*LOCAL_HOSTS, *allowed_hosts))
        self._origins = frozenset(allowed_origins)
        self._own_pages = own_pages
        self._connections: set[Connection] = set()

    @property
    def connections(self) -> int:
        return len(self._connections)

    def admit(self, connection: Connection) -> None:
        """At the cap the longest-incomplete connection makes room: stalled clients cannot lock others out."""
        self._connections.add(connection)
        if len(self._connections) > self.limits.sockets:
            self._drop_longest(self._connections)

    def release(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def hold(self, count: int) -> None:
        """Notes bytes of unfinished bodies; past the limit the longest-incomplete of them make room."""
        self.pending_bytes += count
        while self.pending_bytes > self.limits.pending_bytes and self._drop_longest(
            connection for connection in self._connections if connection.pending_bytes
        ):
            pass

    def free(self, count: int) -> None:
        self.pending_bytes -= count

    def _drop_longest(self, among: Iterable[Connection]) -> bool:
        waiting = [(c.incomplete_since, c) for c in among if c.incomplete_since is not None]
        if not waiting:
            return False
        _, longest = min(waiting, key=lambda pair: pair[0])
        self._connections.discard(longest)
        longest.drop()
        return True

    def refusal(self, headers: Iterable[tuple[bytes, bytes]]) -> Refusal | None:
        """Why a complete request goes no further, or None. Header names are in lower case."""
        found: dict[bytes, list[str]] = {b"host": [], b"origin": []}
        for name, value in headers:
            if name in found:
                found[name].append(value.decode("latin-1"))
        hosts, origins = found[b"host"], found[b"origin"]
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            return Refusal("host_not_allowed", "this server does not answer under that name")
        if origins and (len(origins) > 1 or not self._may_use(origins[0], hosts[0])):
            return Refusal("origin_not_allowed", "web pages of that origin may not use this server")
        return None

    def _is_own(self, host: str) -> bool:
        matched = _HOST.fullmatch(host)
        return matched is not None and matched.group(1).lower() in self._hosts

    def _may_use(self, origin: str, host: str) -> bool:
        return origin in self._origins or (self._own_pages and origin == f"http://{host.lower()}")
