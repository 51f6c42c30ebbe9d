"""The OpenAPI document says what the routes take; and the golden one in the reference is this one (test_docs)."""

import json
import re
from pathlib import Path
from typing import Literal

import pytest
from tests.support.asgi import OWN, ask

from picochat.workbench.bench import Workbench
from picochat.workbench.door.access import is_open
from picochat.workbench.door.sessions import Sessions
from picochat.workbench.door.settings import WebConfig
from picochat.workbench.openapi import build_openapi
from picochat.workbench.routing import Question, Route
from picochat.workbench.served import served_routes
from picochat.workbench.server import build_app
from picochat.workbench.site import load_site


class Which(Question):
    """A query."""

    axis: Literal["step", "time"] = "step"
    name: str


class Part(Question):
    """Inside of a body."""

    size: int


class Whole(Question):
    """A body."""

    parts: list[Part]


ROUTES = served_routes(read_only=False)
MADE = [
    Route("GET", "api/a/{run}/b", print, "Shows", "picochat show", Which),
    Route("POST", "api/a/{run}/b", print, "Changes", body=Whole),
]


def test_a_route_says_what_it_takes():
    document = build_openapi(MADE)
    path = document["paths"]["/api/a/{run}/b"]
    names = {(p["name"], p["in"], p["required"]) for p in path["get"]["parameters"]}
    assert names == {("run", "path", True), ("axis", "query", False), ("name", "query", True)}
    assert path["get"]["x-picochat-twin"] == "picochat show" and "requestBody" not in path["get"]
    assert {p["name"] for p in path["post"]["parameters"]} == {"run", "X-Picochat-CSRF"}
    schema = path["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Whole"}
    assert document["components"]["schemas"].keys() == {"Problem", "Whole", "Part"}


def test_the_document_holds_every_route_and_every_schema_that_it_names():
    document = build_openapi(ROUTES)
    found = {(method.upper(), path[1:]) for path, item in document["paths"].items() for method in item}
    assert found == {(route.method, route.path) for route in ROUTES} and len(found) == len(ROUTES)
    named = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert named == document["components"]["schemas"].keys()
    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))


def test_what_the_document_calls_open_is_open_and_nothing_else():
    for path, item in build_openapi(ROUTES)["paths"].items():
        for method, operation in item.items():
            assert is_open(method.upper(), path) == (operation.get("security") == []), path


def test_every_route_is_a_name_of_its_own_and_has_a_summary():
    for route in ROUTES:
        assert re.fullmatch(r"healthz|api(/([a-z_-]+|\{[a-z]+\}))+(\.[a-z]+)?", route.path), route.path
        assert route.summary and (not route.twin or route.twin.startswith(("picochat ", "Ctrl-C"))), route


@pytest.mark.parametrize("read_only", [False, True])
def test_a_server_shows_what_it_serves(tmp_path: Path, read_only: bool):
    sessions = Sessions(8765)
    bench = Workbench(tmp_path, WebConfig(read_only=read_only), sessions=sessions)
    opened = sessions.log_in(sessions.token)
    assert opened is not None
    headers = {"cookie": f"picochat-8765={opened[0]}", "origin": OWN}
    document = ask(build_app(bench, load_site()).app, "GET", "/api/openapi", headers).document
    assert document == build_openapi(served_routes(read_only))
    assert [path for path, item in document["paths"].items() if "post" in item and read_only] in ([], ["/api/login"])
