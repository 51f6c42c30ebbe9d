"""Who may ask, under which name, from which page; and that nothing but the envelope ever leaves."""

import json
import logging
from typing import Any

import pytest
from tests.support.fake_engine import FakeEngine, says
from tests.support.served import DIGEST, MODEL, Served, served_model, serving

from picochat.core.errors import PicochatError
from picochat.judgement.served_verdict import ServedVerdict
from picochat.serving.protocol.errors import CODES
from picochat.serving.served import Service
from picochat.serving.settings import ServeConfig

KEY = "a key of 20 letters!"
PAGE = "http://localhost:3000"
ENVELOPE = {"message", "type", "param", "code"}


def error_of(answer: Any) -> tuple[int, str]:
    """(status, code), after a look at the whole envelope and the headers that every answer has."""
    document = answer.json()
    assert document.keys() == {"error"} and document["error"].keys() == ENVELOPE
    status, kind = CODES[document["error"]["code"]]
    assert (answer.status_code, document["error"]["type"]) == (status, kind)
    assert answer.headers["x-picochat-gate"] == "approved" and answer.headers["x-request-id"].startswith("req-")
    return answer.status_code, document["error"]["code"]


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/models/", "/v1/Models", "/v2/models", "/tokenizer_info", "/%00", "//v1/models"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_wrong_path_is_answered_in_the_envelope(server: Served, path: str, method: str):
    assert error_of(server.client.request(method, path)) == (404, "unknown_url")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/completions", "POST"),
        ("PUT", "/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("DELETE", f"/v1/models/{MODEL}", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
        ("BREW", "/metrics", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_answered_in_the_envelope(server: Served, method: str, path: str, allow: str):
    answer = server.client.request(method, path)
    assert error_of(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == f"{allow}, OPTIONS"


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": ""},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
def test_only_json_is_taken(server: Served, headers: dict[str, str]):
    answer = server.client.post("/v1/completions", content=b'{"model": "x"}', headers=headers)
    assert error_of(answer) == (415, "unsupported_media_type")


def test_json_with_a_charset_is_taken_and_broken_json_named(server: Served, engine: FakeEngine):
    body = json.dumps({"model": MODEL, "prompt": "a"}).encode()
    kind = {"content-type": "application/json; charset=utf-8"}
    assert server.client.post("/v1/completions", content=body, headers=kind).status_code == 200
    assert error_of(server.client.post("/v1/completions", content=body[:-1], headers=kind)) == (400, "invalid_json")


def test_a_name_of_another_server_is_misdirected(server: Served):
    for host in (
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "localhost:x",
    ):
        assert error_of(server.client.get("/healthz", headers={"host": host})) == (421, "host_not_allowed")
    for host in ("localhost", "LOCALHOST:9", "127.0.0.1:80", "[::1]:8000"):
        assert server.client.get("/healthz", headers={"host": host}).status_code == 200


def test_no_web_page_may_use_the_model(server: Served):
    for origin in (PAGE, "null", "http://127.0.0.1", server.url, "https://evil.example"):
        answer = server.client.get("/v1/models", headers={"origin": origin})
        assert error_of(answer) == (403, "origin_not_allowed")
        assert not any(name.startswith("access-control") for name in answer.headers)
    preflight = server.client.options("/v1/models", headers={"origin": PAGE})
    assert error_of(preflight) == (403, "origin_not_allowed")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("engine.queue_full", (429, "queue_full")),
        ("engine.context", (400, "context_length_exceeded")),
        ("engine.closed", (500, "internal_error")),
    ],
)
def test_what_the_engine_refuses_is_told_as_clients_know_it(server: Served, engine: FakeEngine, code: str, told):
    engine.refusal = PicochatError(code, "as the engine says")
    answer = server.complete()
    assert error_of(answer) == told
    assert ("retry-after" in answer.headers) == (told[0] == 429)


def test_an_exception_is_an_internal_error_and_the_log_has_the_rest(server, engine, caplog):
    engine.refusal = PicochatError("usage.path", "/a/secret/path")
    with caplog.at_level(logging.ERROR, "picochat.serving"):
        answer = server.complete()
    assert error_of(answer) == (500, "internal_error")
    assert answer.json()["error"]["message"] == f"internal error, request id {answer.headers['x-request-id']}"
    assert "/a/secret/path" in caplog.text and answer.headers["x-request-id"] in caplog.text


def test_head_is_get_without_a_body(server: Served):
    for path in ("/healthz", "/v1/models"):
        answer = server.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert int(answer.headers["content-length"]) == len(server.client.get(path).content)


@pytest.fixture(scope="module")
def guarded(codec):
    """With a key, a page and a name of its own."""
    config = ServeConfig(allowed_origins=[PAGE], allowed_hosts=["pico.lan"])
    with serving(FakeEngine(says(codec, "ok")), codec, key=KEY, config=config) as served:
        yield served


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "Bearer wrong")],
        [("authorization", f"Bearer {KEY}x")],
        [("authorization", f"Bearer {KEY[:-1]}")],
        [("authorization", "Bearer")],
        [("authorization", KEY)],
        [("authorization", f"Basic {KEY}")],
        [("authorization", f"Bearer {KEY}"), ("authorization", f"Bearer {KEY}")],
        [("x-api-key", KEY)],
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/openapi.json", "/nowhere"])
def test_without_the_key_nothing_is_told(guarded: Served, headers: list, path: str):
    answer = guarded.client.get(path, headers=headers)
    assert error_of(answer) == (401, "invalid_api_key")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_with_the_key_all_is_open_and_health_needs_none(guarded: Served):
    key = {"authorization": f"Bearer {KEY}"}
    assert guarded.client.get("/healthz").json()["status"] == "ok"
    assert guarded.client.get("/v1/models", headers=key).status_code == 200
    assert guarded.client.get("/v1/models", headers={"authorization": f"bearer  {KEY}"}).status_code == 200
    assert guarded.chat(max_tokens=1).status_code == 401
    assert guarded.client.get("/v1/models", headers=key | {"host": "pico.lan:99"}).status_code == 200


def test_without_a_key_set_any_is_taken(server: Served):
    assert server.client.get("/v1/models", headers={"authorization": "Bearer whatever"}).status_code == 200


def test_a_listed_page_is_let_in_by_name_and_its_preflight_needs_no_key(guarded: Served):
    asked = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, x-stainless-os",
    }
    answer = guarded.client.options("/v1/chat/completions", headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert answer.headers["access-control-allow-headers"] == "authorization, x-stainless-os"
    assert answer.headers["vary"] == "Origin"
    refused = guarded.client.get("/v1/models", headers={"origin": PAGE})
    assert error_of(refused) == (401, "invalid_api_key")
    assert refused.headers["access-control-allow-origin"] == PAGE, "a page can read why"
    assert "*" not in answer.headers.values()
    assert error_of(guarded.client.options("/nowhere", headers={"origin": PAGE})) == (404, "unknown_url")


def test_hostile_header_names_are_not_sent_back(guarded: Served):
    answer = guarded.client.options("/v1/models", headers={"origin": PAGE, "access-control-request-headers": "a;b<c>"})
    assert "access-control-allow-headers" not in answer.headers


def test_an_id_with_a_slash_is_understood(codec):
    with serving(FakeEngine(says(codec, "ok")), codec, id="org/tiny") as served:
        for path in ("/v1/models/org%2Ftiny", "/v1/models/org/tiny"):
            assert served.client.get(path).json()["id"] == "org/tiny"
        assert error_of(served.client.get("/v1/models/org%2Fother")) == (404, "model_not_found")


@pytest.mark.parametrize(
    "verdict",
    [
        ServedVerdict("blocked", "first_release/2", "gate.json judged exactly these weights"),
        ServedVerdict("stale", "research/3", "since the verdict a.json has changed"),
        ServedVerdict("not_run", None, "the gate judged weights aaaa, these are bbbb"),
    ],
)
def test_weights_are_never_served_without_their_label(codec, verdict: ServedVerdict):
    with serving(FakeEngine(says(codec, "ok")), codec, verdict=verdict) as served:
        health = served.client.get("/healthz").json()
        assert (health["gate"], health["gate_profile"], health["gate_reason"]) == verdict
        assert (health["model"], health["weights_digest"]) == (MODEL, DIGEST)
        model = served.client.get("/v1/models").json()["data"][0]
        assert (model["gate"], model["gate_profile"], model["gate_reason"]) == verdict
        metrics = served.client.get("/metrics").text
        assert f'picochat_weights_info{{digest="{DIGEST}",gate="{verdict.word}"}} 1.0' in metrics
        assert f'picochat_gate_info{{gate="{verdict.word}",profile="{verdict.profile or ""}"}} 1.0' in metrics
        broken = served.raw(b"nonsense\r\n\r\n")
        for headers in (
            served.chat().headers,
            served.chat(stream=True).headers,
            served.client.get("/x").headers,
            served.client.get("/healthz", headers={"host": "x"}).headers,
        ):
            assert headers["x-picochat-gate"] == verdict.word
            assert headers.get("x-picochat-gate-profile") == verdict.profile
        assert f"x-picochat-gate: {verdict.word}\r\n".encode() in broken


@pytest.mark.parametrize("shown", [False, True])
def test_the_log_holds_no_prompts_unless_asked(codec, caplog, shown: bool):
    with (
        serving(FakeEngine(says(codec, "ok")), codec, config=ServeConfig(log_prompts=shown)) as served,
        caplog.at_level(logging.INFO, "picochat.serving"),
    ):
        served.chat("a private matter\n with a line break", max_tokens=1)
        served.client.get("/a/path%0Awith/a/break")
    lines = [record.getMessage() for record in caplog.records if record.name == "picochat.serving"]
    line = next(text for text in lines if "/v1/chat/completions" in text)
    assert "200" in line and "1 tokens" in line
    assert ("a private matter" in "".join(lines)) is shown
    assert not any("\n" in text for text in lines)


def test_the_numbers_of_a_server(codec):
    with serving(FakeEngine(says(codec, "ok then")), codec) as served:
        served.complete(max_tokens=2)
        served.chat(stream=True, max_tokens=3)
        served.client.get("/nowhere")
        served.client.get("/healthz", headers={"host": "x"})
        text = served.client.get("/metrics").text
    assert 'picochat_requests_total{route="/v1/completions",status="200"} 1.0' in text
    assert 'picochat_requests_total{route="other",status="404"} 1.0' in text
    assert 'picochat_requests_total{route="guard",status="421"} 1.0' in text
    assert "picochat_completion_tokens_total 5.0" in text
    assert "picochat_time_to_first_token_seconds_count 2.0" in text
    assert "picochat_time_between_tokens_seconds_count 3.0" in text
    for name in (
        "picochat_busy_slots 0.0",
        "picochat_waiting_requests 0.0",
        "picochat_cancelled_total 0.0",
        "picochat_slots 4.0",
    ):
        assert name in text


def test_while_loading_and_after_a_failure(codec):
    from threading import Event

    gate = Event()
    engine = FakeEngine(says(codec, "ok"))

    def load() -> Service:
        assert gate.wait(10)
        return Service(served_model(codec), engine)

    with serving(engine, codec, load=load) as served:
        for answer in (served.client.get("/healthz"), served.complete(), served.client.get("/v1/models")):
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "loading")
            assert int(answer.headers["retry-after"]) > 0 and answer.headers["x-picochat-gate"] == "loading"
        assert served.client.get("/healthz").json()["status"] == "loading"
        assert "picochat_slots" not in served.client.get("/metrics").text
        gate.set()
        while served.client.get("/healthz").status_code == 503:
            pass
        assert served.complete().status_code == 200
