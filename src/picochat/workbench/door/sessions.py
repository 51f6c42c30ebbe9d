"""Who is logged in: the token of the printed link, and the sessions that it was exchanged for.

    token (256 bits, new each start, in the fragment of the link) -> log_in -> cookie value and CSRF value

A session is worth as much as the token but is another value: whoever sees a cookie cannot log in with it. All of it
lies in memory, so a restart ends every session.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from picochat.core.redact import register_secrets

RANDOM_BYTES = 32
MOST = 256
"""Sessions at once; the one that was unused for longest goes."""
COOKIE = "picochat"


class Session(NamedTuple):
    """`login` names it in records and confirmations and opens nothing; `csrf` goes out to the page alone."""

    login: str
    csrf: str


class Sessions:
    """The token and the sessions of one server; safe to call from several threads."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.token = secrets.token_urlsafe(RANDOM_BYTES)
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Session] = OrderedDict()
        register_secrets([("WEB_TOKEN", self.token)])

    def log_in(self, token: str) -> tuple[str, Session] | None:
        """A new cookie value and its session, for the right token."""
        if not hmac.compare_digest(token.encode(errors="replace"), self.token.encode()):
            return None
        value = secrets.token_urlsafe(RANDOM_BYTES)
        name = _name(value)
        session = Session(name[:16], secrets.token_urlsafe(RANDOM_BYTES))
        with self._lock:
            self._open[name] = session
            while len(self._open) > MOST:
                self._open.popitem(last=False)
        return value, session

    def find(self, values: Iterable[str]) -> Session | None:
        """The session of a cookie. A browser may hold several of one name, and foreign pages of the same host can set
        some; one right value is enough."""
        for value in values:
            name = _name(value)
            with self._lock:
                if name in self._open:
                    self._open.move_to_end(name)
                    return self._open[name]
        return None

    def csrf_of(self, login: str) -> str:
        """The CSRF value of a session that is open. Raises KeyError."""
        with self._lock:
            return next(found.csrf for found in self._open.values() if found.login == login)

    def cookie_name(self, host: str) -> str:
        """Browsers keep cookies by host, whatever the port: two servers, or two tunnels, must not share a name.

        A tunnel and a proxy show another port than the one that is listened on, so both are in it.
        """
        seen = host.rpartition("]")[2].rpartition(":")[2]
        own = f"{COOKIE}-{self.port}"
        return own if seen in ("", str(self.port)) or not seen.isdigit() else f"{own}-{seen}"


def _name(value: str) -> str:
    """What is looked up is a digest, so how long a look-up takes says nothing of a right value."""
    return hashlib.sha256(value.encode(errors="replace")).hexdigest()
