"""Which path takes which method, and how a request becomes a call of a handler.

A module below `api/` has a list ROUTES. A handler is a plain function from a `Call` to a document (a dict or a list),
or to a Starlette response; it runs in a thread and may read files. A query is read from text by the pydantic record
that the route names, a body from strict JSON; unknown, doubled and malformed keys are 422.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, ValidationError

from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.jsonio import parse_json
from picochat.workbench.bench import Workbench, is_id
from picochat.workbench.problems import Problem, not_found

Method = Literal["GET", "POST"]
MAX_QUERY_FIELDS = 64
MAX_DEPTH = 16


class Question(BaseModel):
    """Base of what a query string or a body may hold: nothing else, no infinity, no text that means a number twice."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Nothing(Question):
    """A request that asks for no more than its path."""


@dataclass(frozen=True)
class Call:
    """One request, read. `names` are the parts of the path in braces; `login` is who asks, in no form that logs in."""

    bench: Workbench
    names: Mapping[str, str]
    query: Any
    body: Any
    login: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """By their names in lower case."""

    @property
    def run(self) -> RunStore:
        """The run that the path names. Raises 404."""
        return self.bench.run(self.names["run"])

    @property
    def run_word(self) -> str:
        """The run as a command names it: quoted, and right from the folder where the server was started."""
        return shlex.quote(str(self.run.root))


class Accepted(NamedTuple):
    """An answer that is not 200."""

    document: Any
    status: int = 202


@dataclass(frozen=True)
class Route:
    """`path` is relative: `api/runs/{run}/series`. `twin` is the command that shows or does the same."""

    method: Method
    path: str
    handler: Callable[[Call], Any]
    summary: str
    twin: str = ""
    query: type[Question] = Nothing
    body: type[Question] = Nothing
    refused: Callable[[Workbench, Mapping[str, str], str, Problem], None] | None = None
    """Told of a body that is not read, with the names in the path and who sent it: where every refusal is recorded."""


class Router:
    """Finds the route of a path; HEAD counts as GET."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = list(routes)
        self._split = [(route, route.path.split("/")) for route in self.routes]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route and the names in the path. Raises 404, and 405 with what the path takes."""
        parts = path[1:].split("/") if path.startswith("/") else []
        allowed: set[str] = set()
        for route, pattern in self._split:
            names = _match(pattern, parts)
            if names is None:
                continue
            if method == route.method or (method == "HEAD" and route.method == "GET"):
                return route, names
            allowed.add(route.method)
        if allowed:
            allow = ", ".join(sorted(allowed | ({"HEAD"} if "GET" in allowed else set())))
            raise Problem(405, "method", f"this path takes {allow}", headers={"allow": allow})
        raise not_found("there is nothing under that path")


def _match(pattern: list[str], parts: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(parts):
        return None
    names: dict[str, str] = {}
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted.startswith("{"):
            if not is_id(part):
                return None
            names[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return names


def read_query(route: Route, text: str) -> Question:
    """Raises 422 with the first thing that is wrong."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=MAX_QUERY_FIELDS)
    except ValueError as err:
        raise Problem(422, "query", f"the query is not understood: {err}") from None
    if len({key for key, _ in pairs}) != len(pairs):
        raise Problem(422, "query", "a key of the query stands twice")
    try:
        return route.query.model_validate_strings(dict(pairs))
    except ValidationError as err:
        raise Problem(422, "query", _first(err)) from None


def read_body(route: Route, data: bytes) -> Question:
    """Strict JSON: no key twice, no NaN, not too deep. Raises 400 for what is no JSON, 422 for another document."""
    try:
        document = parse_json(data, "the body")
    except PicochatError as err:
        raise Problem(400, err.code, err.detail) from None
    _require_shallow(document)
    try:
        return route.body.model_validate_json(data, strict=True)
    except ValidationError as err:
        raise Problem(422, "body", _first(err)) from None
    except PicochatError as err:
        raise Problem(422, err.code, err.detail, fix=err.fix) from None


def _require_shallow(document: Any) -> None:
    """Level by level, not by recursion: the depth is the sender's choice."""
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH + 1):
        lists = [item for item in level if isinstance(item, dict | list)]
        level = [value for item in lists for value in (item.values() if isinstance(item, dict) else item)]
        if not level:
            return
    raise Problem(400, "json.invalid", f"the body is nested deeper than {MAX_DEPTH} levels")


def _first(err: ValidationError) -> str:
    first = err.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the document'}: {first['msg']} ({err.error_count()} in all)"
