"""Who may ask: all is refused unless it passes; open are the page, its files, health and the login."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from tests.support.asgi import HOST, OWN, Told, ask

import picochat
from picochat.core.errors import PicochatError, refuse
from picochat.core.redact import register_secrets
from picochat.workbench import server
from picochat.workbench.api.table import ROUTES
from picochat.workbench.bench import Workbench
from picochat.workbench.door.access import PAGE_CSP
from picochat.workbench.door.sessions import MOST, Sessions
from picochat.workbench.door.settings import WebConfig
from picochat.workbench.routing import Call, Question, Route
from picochat.workbench.served import served_routes
from picochat.workbench.site import load_site

JSON = {"content-type": "application/json"}
SITE = load_site()


class Wish(Question):
    """What the made route is asked."""

    words: list[Any] = []


def change(call: Call) -> dict[str, Any]:
    return {"login": call.login, "words": call.body.words}


def fail(call: Call) -> dict[str, Any]:
    raise ZeroDivisionError("a secret of the inside")


def tell(call: Call) -> dict[str, Any]:
    return {"said": "the key is hf_" + "a" * 30, "list": [float("nan")]}


def refuse_it(call: Call) -> dict[str, Any]:
    refuse("artifact.missing", "no canary-canary-canary here")


MADE = [
    Route("GET", "api/refuse", refuse_it, "Refuses"),
    Route("POST", "api/change/{name}", change, "Changes", body=Wish),
    Route("GET", "api/fail", fail, "Fails"),
    Route("GET", "api/tell", tell, "Tells"),
]


class Door:
    """The whole application on an empty folder, with some routes of its own."""

    def __init__(self, runs: Path, **config: Any) -> None:
        self.sessions = Sessions(8765)
        self.bench = Workbench(runs, WebConfig(**config), sessions=self.sessions)
        self.app = server.build_app(self.bench, SITE).app

    def ask(self, method: str, target: str, headers: Any = (), body: bytes = b"") -> Told:
        return ask(self.app, method, target, headers, body)

    def log_in(self, headers: Any = (), token: str | None = None, target: str = "/api/login") -> Told:
        body = json.dumps({"token": self.sessions.token if token is None else token}).encode()
        return self.ask("POST", target, {"origin": OWN, **JSON, **dict(headers)}, body)

    def session(self) -> tuple[dict[str, str], dict[str, str]]:
        """(headers of a read, headers of a write) of a browser that logged in."""
        told = self.log_in()
        cookie = {"cookie": told.headers["set-cookie"].partition(";")[0]}
        return cookie, {**cookie, **JSON, "origin": OWN, "x-picochat-csrf": told.document["csrf"]}


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Door:
    monkeypatch.setattr(server, "served_routes", lambda read_only: served_routes(read_only, [*ROUTES, *MADE]))
    return Door(tmp_path)


def test_the_page_its_files_and_health_are_open_and_hold_no_data(door: Door):
    page = door.ask("GET", "/")
    assert page.status == 200 and page.headers["content-security-policy"] == PAGE_CSP
    assert page.headers["cache-control"] == "no-store" and door.sessions.token.encode() not in page.body
    path = next(iter(SITE.files))
    assert door.ask("GET", f"/static/{SITE.digest}/{path}").body == SITE.files[path].data
    assert door.ask("GET", "/healthz").document == {"status": "ok"}
    assert door.ask("HEAD", "/").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/runs",
        "/api/nothing",
        "/api/session",
        "/api",
        "/healthz/",
        "/static",
        "//",
        "//api/runs",
        "/API/login",
        "/api/login",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "DELETE"])
def test_whatever_else_needs_a_session(door: Door, method: str, path: str):
    told = door.ask(method, path, {"origin": OWN})
    assert told.code == (401, "credential") and "picochat web" in told.document["fix"]


def test_no_dots_lead_from_an_open_path_to_data(door: Door):
    for path in ("/static/../api/runs", "/static/%2e%2e/api/runs", "/static/x/../../api/runs"):
        assert door.ask("GET", path).code == (404, "not_found")


def test_the_token_opens_a_session_and_the_cookie_is_another_value(door: Door):
    told = door.log_in()
    name, value = told.headers["set-cookie"].partition(";")[0].split("=")
    assert told.headers["set-cookie"] == f"picochat-8765={value}; HttpOnly; SameSite=Strict"
    assert len(value) >= 43 and len(door.sessions.token) >= 43
    assert len({value, door.sessions.token, told.document["csrf"]}) == 3
    assert door.log_in(token=value).code == (401, "credential")
    again = door.ask("GET", "/api/session", {"cookie": f"{name}={value}"}).document
    assert again == told.document == {"csrf": again["csrf"], "read_only": False, "version": picochat.__version__}
    assert door.ask("GET", "/api/runs", {"cookie": f"{name}={value}"}).document["runs"] == []


@pytest.mark.parametrize("token", ["", "x", "ü", "a" * 43])
def test_a_wrong_token_opens_none(door: Door, token: str):
    assert door.log_in(token=token).code == (401, "credential")
    assert door.log_in(token=door.sessions.token[:-1]).code == (401, "credential")


def test_a_token_of_an_earlier_start_opens_none(door: Door):
    assert door.log_in(token=Sessions(8765).token).code == (401, "credential")


def test_a_session_of_another_server_is_none_here(door: Door, tmp_path: Path):
    cookie, _ = Door(tmp_path).session()
    assert door.ask("GET", "/api/runs", cookie).code == (401, "credential")


def test_one_right_cookie_among_others_of_its_name_is_enough(door: Door):
    cookie, _ = door.session()
    crowd = "; ".join(["picochat-8765=tossed", "a=b", "picochat-8765", cookie["cookie"]])
    assert door.ask("GET", "/api/runs", {"cookie": crowd}).status == 200
    flood = "picochat-8765=x; " * 100 + cookie["cookie"]
    assert door.ask("GET", "/api/runs", {"cookie": flood}).code == (401, "credential")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("127.0.0.1:8765", "picochat-8765"),
        ("[::1]:8765", "picochat-8765"),
        ("localhost:9000", "picochat-8765-9000"),
        ("localhost", "picochat-8765"),
        ("[::1]", "picochat-8765"),
    ],
)
def test_two_servers_and_two_tunnels_never_share_a_cookie(door: Door, host: str, name: str):
    told = door.log_in({"host": host, "origin": f"http://{host}"})
    assert told.headers["set-cookie"].startswith(f"{name}=")
    cookie = told.headers["set-cookie"].partition(";")[0]
    assert door.ask("GET", "/api/session", {"host": host, "cookie": cookie}).status == 200
    assert door.ask("GET", "/api/session", {"host": "127.0.0.1:1", "cookie": cookie}).status == 401


def test_sessions_are_bounded_and_the_unused_one_goes(door: Door):
    first, second = door.session()[0], door.session()[0]
    for _ in range(MOST - 2):
        door.sessions.log_in(door.sessions.token)
    assert door.ask("GET", "/api/session", first).status == 200
    door.sessions.log_in(door.sessions.token)
    assert door.ask("GET", "/api/session", first).status == 200
    assert door.ask("GET", "/api/session", second).status == 401


def test_a_write_of_the_page_passes_and_knows_its_login(door: Door):
    _, write = door.session()
    told = door.ask("POST", "/api/change/a", write, b'{"words": [1]}')
    assert told.document["words"] == [1]
    assert len(told.document["login"]) == 16 and told.document["login"] not in write["cookie"]
    fetched = {**write, "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
    assert door.ask("POST", "/api/change/a", fetched, b"{}").status == 200


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"origin": "http://evil.example"}, (403, "origin_not_allowed")),
        ({"origin": "null"}, (403, "origin_not_allowed")),
        ({"origin": ""}, (403, "origin_not_allowed")),
        ({"origin": f"https://{HOST}"}, (403, "origin_not_allowed")),
        ({"origin": "http://127.0.0.1:8766"}, (403, "origin_not_allowed")),
        ({"origin": None}, (403, "origin")),
        ({"origin": None, "referer": f"{OWN}/"}, (403, "origin")),
        ({"sec-fetch-site": "cross-site"}, (403, "origin")),
        ({"sec-fetch-site": "same-site"}, (403, "origin")),
        ({"sec-fetch-site": "none"}, (403, "origin")),
        ({"sec-fetch-site": ""}, (403, "origin")),
        ({"sec-fetch-mode": "no-cors"}, (403, "origin")),
        ({"sec-fetch-mode": "navigate"}, (403, "origin")),
        ({"x-picochat-csrf": None}, (403, "csrf")),
        ({"x-picochat-csrf": ""}, (403, "csrf")),
        ({"x-picochat-csrf": "x"}, (403, "csrf")),
        ({"cookie": None}, (401, "credential")),
        ({"cookie": ""}, (401, "credential")),
        ({"content-type": None}, (415, "content_type")),
        ({"content-type": "text/plain"}, (415, "content_type")),
        ({"content-type": "application/x-www-form-urlencoded"}, (415, "content_type")),
        ({"content-type": "application/json; charset=utf-8"}, (415, "content_type")),
        ({"content-type": "application/json, text/plain"}, (415, "content_type")),
        ({"content-encoding": "gzip"}, (415, "content_type")),
        ({"host": "evil.example"}, (421, "host_not_allowed")),
    ],
)
def test_a_write_that_lacks_one_thing_is_refused(door: Door, changed: dict[str, str | None], code: tuple[int, str]):
    _, write = door.session()
    headers = {name: value for name, value in {**write, **changed}.items() if value is not None}
    assert door.ask("POST", "/api/change/a", headers, b"{}").code == code


def test_a_doubled_header_is_refused(door: Door):
    _, write = door.session()
    for name, code in {"origin": 403, "x-picochat-csrf": 403, "content-type": 415}.items():
        assert door.ask("POST", "/api/change/a", [*write.items(), (name, write[name])], b"{}").status == code
    sites = [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")]
    assert door.ask("POST", "/api/change/a", [*write.items(), *sites], b"{}").code == (403, "origin")


def test_the_csrf_value_of_another_login_is_refused(door: Door):
    _, write = door.session()
    _, other = door.session()
    mixed = {**write, "x-picochat-csrf": other["x-picochat-csrf"]}
    assert door.ask("POST", "/api/change/a", mixed, b"{}").code == (403, "csrf")


@pytest.mark.parametrize("query", ["token={}", "TOKEN={}", "a=b&token={}", "%74oken={}", "token="])
def test_a_token_in_a_query_is_refused_with_or_without_a_session(door: Door, query: str):
    _, write = door.session()
    query = query.format(door.sessions.token)
    assert door.ask("POST", f"/api/change/a?{query}", write, b"{}").code == (401, "credential")
    assert door.ask("GET", f"/api/runs?{query}", {"cookie": write["cookie"]}).code == (401, "credential")
    assert door.ask("POST", f"/api/login?{query}", {"origin": OWN, **JSON}, b"{}").code == (401, "credential")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"origin": OWN}, 200),
        ({"origin": "http://127.0.0.1:9999"}, 403),
    ],
)
def test_data_is_read_by_the_own_page_or_by_a_person(door: Door, headers: dict[str, str], status: int):
    cookie, _ = door.session()
    assert door.ask("GET", "/api/runs", {**cookie, **headers}).status == status


def test_the_page_opens_from_a_link_anywhere(door: Door):
    assert door.ask("GET", "/", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_another_method_is_none_and_an_override_changes_nothing(door: Door, method: str):
    _, write = door.session()
    for more in ({}, {"x-http-method-override": "POST", "x-method-override": "POST", "x-http-method": "POST"}):
        told = door.ask(method, "/api/change/a?_method=POST", {**write, **more}, b"{}")
        assert told.code == (405, "method") and told.headers["allow"] == "POST"
        assert not [name for name in told.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", (400, "json.invalid")),
        (b"{", (400, "json.invalid")),
        (b'{"words": [1], "words": [2]}', (400, "json.invalid")),
        (b'{"words": [NaN]}', (400, "json.invalid")),
        (b"[" * 200_000, (400, "json.invalid")),
        (b'{"words": ' + b"[" * 20 + b"]" * 20 + b"}", (400, "json.invalid")),
        (b'{"words": "\xff"}', (400, "json.invalid")),
        (b"[]", (422, "body")),
        (b'{"word": []}', (422, "body")),
    ],
    ids=range(9),
)
def test_a_body_is_strict_json(door: Door, body: bytes, code: tuple[int, str]):
    _, write = door.session()
    assert door.ask("POST", "/api/change/a", write, body).code == code


def test_read_only_leaves_logging_in_alone(door: Door, tmp_path: Path):
    quiet = Door(tmp_path, read_only=True)
    cookie, write = quiet.session()
    assert quiet.ask("POST", "/api/change/a", write, b"{}").code == (404, "not_found")
    assert quiet.ask("GET", "/api/session", cookie).document["read_only"] is True
    assert [route.path for route in served_routes(True) if route.method == "POST"] == ["api/login"]
    assert len(served_routes(False)) - len(served_routes(True)) >= 1


def test_a_bug_is_said_without_a_word_of_it(door: Door, caplog: pytest.LogCaptureFixture):
    cookie, _ = door.session()
    with caplog.at_level(logging.ERROR, "picochat.workbench"):
        told = door.ask("GET", "/api/fail", cookie)
    assert told.code == (500, "internal")
    assert b"secret" not in told.body and b"Zero" not in told.body and b"Traceback" not in told.body
    assert "a secret of the inside" in caplog.text and told.headers["x-request-id"] in caplog.text


def test_secrets_leave_no_answer(door: Door):
    cookie, write = door.session()
    told = door.ask("GET", "/api/tell", cookie)
    assert told.document == {"said": "the key is [redacted]", "list": [None]}
    register_secrets([("HUB_TOKEN", "canary-canary-canary")])
    refused = door.ask("GET", "/api/refuse", cookie)
    assert refused.code == (409, "artifact.missing") and refused.document["detail"] == "no [redacted] here"
    assert b"canary" not in door.ask("POST", "/api/change/a", write, b'{"words": ["canary-canary-canary"]}').body


def test_every_answer_has_its_labels_and_none_of_cors(door: Door):
    cookie, write = door.session()
    answers = [
        door.ask("GET", "/"),
        door.ask("GET", f"/static/{SITE.digest}/{next(iter(SITE.files))}"),
        door.ask("GET", "/healthz"),
        door.ask("GET", "/api/runs", cookie),
        door.ask("GET", "/api/runs"),
        door.ask("GET", "/api/fail", cookie),
        door.ask("POST", "/api/change/a", write, b"{}"),
        door.ask("GET", "/", {"host": "evil.example"}),
        door.ask("GET", "/", {"origin": "http://evil.example"}),
        door.ask("OPTIONS", "/api/runs", {"origin": "http://evil.example", "access-control-request-method": "POST"}),
    ]
    for told in answers:
        assert told.headers["x-content-type-options"] == "nosniff"
        assert told.headers["referrer-policy"] == "no-referrer"
        assert told.headers["cross-origin-opener-policy"] == "same-origin"
        assert told.headers["cross-origin-resource-policy"] == "same-origin"
        assert told.headers["x-request-id"].startswith("req-")
        assert "frame-ancestors 'none'" in told.headers["content-security-policy"]
        assert not [name for name in told.headers if name.startswith("access-control-")]
    kept = [told.headers["cache-control"] for told in answers]
    assert [value != "no-store" for value in kept] == [position == 1 for position in range(len(kept))]


def test_a_proxy_that_ends_tls_is_listed(door: Door, tmp_path: Path):
    proxied = Door(tmp_path, allowed_hosts=["pico.lan"], allowed_origins=["https://pico.lan"])
    told = proxied.log_in({"host": "pico.lan", "origin": "https://pico.lan"})
    assert told.status == 200 and told.headers["set-cookie"].endswith("; Secure")
    assert proxied.log_in({"host": "pico.lan", "origin": "https://pico.lan.evil.example"}).status == 403
    assert door.log_in({"host": "pico.lan", "origin": "https://pico.lan"}).status == 421


def test_below_a_prefix_all_is_as_without_one(tmp_path: Path):
    door = Door(tmp_path, prefix="/user/x/proxy/8765")
    moved = door.ask("GET", "/user/x/proxy/8765")
    assert (moved.status, moved.headers["location"]) == (308, "/user/x/proxy/8765/")
    page = door.ask("GET", "/user/x/proxy/8765/")
    assert page.body == SITE.index and page.headers["content-security-policy"] == PAGE_CSP
    assert door.ask("GET", f"/user/x/proxy/8765/static/{SITE.digest}/{next(iter(SITE.files))}").status == 200
    told = door.log_in(target="/user/x/proxy/8765/api/login")
    assert "; Path=/user/x/proxy/8765/api" in told.headers["set-cookie"]
    cookie = {"cookie": told.headers["set-cookie"].partition(";")[0]}
    assert door.ask("GET", "/user/x/proxy/8765/api/runs", cookie).status == 200
    assert door.ask("GET", "/user/x/proxy/8765/api/runs").code == (401, "credential")
    for path in ("/", "/api/runs", "/user/x/proxy/87650/", "/user/x/proxy/8765x", "/healthz"):
        assert door.ask("GET", path, cookie).code == (404, "not_found")


def test_a_relative_address_is_all_that_the_page_holds():
    """So that one answer serves any prefix that a proxy takes away."""
    assert b'="/' not in SITE.index and b"http" not in SITE.index.replace(b"http-equiv", b"")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"allowed_hosts": ["*.lan"]}, "no exact name"),
        ({"allowed_hosts": ["http://pico.lan"]}, "no exact name"),
        ({"allowed_origins": ["pico.lan"]}, "no exact origin"),
        ({"allowed_origins": ["https://*.lan"]}, "no exact origin"),
        ({"allowed_origins": ["https://pico.lan/"]}, "no exact origin"),
        ({"prefix": "pico"}, "no path"),
        ({"prefix": "/pico/"}, "no path"),
        ({"prefix": "/../x"}, "no path"),
        ({"prefix": "/a b"}, "no path"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(config: dict[str, Any], words: str):
    with pytest.raises(PicochatError, match=words) as err:
        WebConfig.from_dict(config, "web")
    assert err.value.exit_code == 2 and "--set web." in err.value.fix
