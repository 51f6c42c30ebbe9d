"""How the server begins and ends: an address, a load that fails, an orderly end."""

import signal
import threading
import time

import pytest
from tests.support.fake_engine import FakeEngine, says
from tests.support.served import MODEL, events, served_model, serving, until

from picochat.core.errors import PicochatError, refuse
from picochat.serving.served import Service
from picochat.serving.server import bind, serve_forever
from picochat.serving.settings import ServeConfig


def test_an_address_that_is_taken_or_none_of_ours_is_refused():
    with bind("127.0.0.1", 0) as taken:
        for host, port in (("127.0.0.1", taken.getsockname()[1]), ("192.0.2.1", 0), ("127.0.0.1", 70_000)):
            with pytest.raises(PicochatError) as caught:
                bind(host, port)
            assert (caught.value.code, caught.value.exit_code) == ("serve.address", 5)


def test_a_load_that_fails_ends_the_server_with_its_reason():
    def load() -> Service:
        refuse("artifact.missing", "there is no model here")

    with pytest.raises(PicochatError) as caught:
        serve_forever(bind("127.0.0.1", 0), load, ServeConfig())
    assert caught.value.code == "artifact.missing"


def test_a_signal_lets_running_answers_end_and_takes_no_new_ones(codec):
    engine = FakeEngine(says(codec, " sat on the mat", wait_s=0.05))
    with serving(engine, codec) as served:
        texts: list[str] = []
        asking = threading.Thread(target=lambda: texts.append(served.chat(stream=True).text))
        asking.start()
        assert until(lambda: engine.stats().busy_slots == 1)
        served.server.handle_exit(signal.SIGTERM, None)
        refused = [served.complete(), served.client.get("/v1/models"), served.client.get("/healthz")]
        for answer in refused:
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "draining")
            assert int(answer.headers["retry-after"]) > 0
        asking.join(10)
        assert events(texts[0])[-1] == "[DONE]", "the running answer came to its own end"
        assert until(lambda: served.server.should_exit)
        assert until(engine.closed.is_set)


def test_answers_that_take_too_long_are_ended_and_told_why(codec):
    engine = FakeEngine(says(codec, " sat on the mat", wait_s=0.05, repeat=9))
    with serving(engine, codec, config=ServeConfig(drain_s=0.1)) as served:
        texts: list[str] = []
        asking = threading.Thread(target=lambda: texts.append(served.chat(stream=True).text))
        asking.start()
        assert until(lambda: engine.stats().busy_slots == 1)
        served.server.handle_exit(signal.SIGTERM, None)
        asking.join(10)
        assert events(texts[0])[-1]["error"]["code"] == "draining"


def test_a_second_signal_ends_at_once(codec):
    engine = FakeEngine(says(codec, " sat on the mat", wait_s=0.05, repeat=9))
    with (
        serving(engine, codec) as served,
        served.client.stream(
            "POST", "/v1/completions", json={"model": MODEL, "prompt": "a", "max_tokens": 60, "stream": True}
        ),
    ):
        began = time.monotonic()
        served.server.handle_exit(signal.SIGTERM, None)
        assert not served.server.should_exit
        served.server.handle_exit(signal.SIGTERM, None)
        assert served.server.should_exit and served.server.force_exit
        assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    "values",
    [
        {"allowed_hosts": ["http://x"]},
        {"allowed_hosts": ["x:80"]},
        {"allowed_hosts": ["*"]},
        {"allowed_hosts": ["UPPER"]},
        {"allowed_origins": ["*"]},
        {"allowed_origins": ["localhost:3000"]},
        {"allowed_origins": ["http://x/"]},
        {"allowed_origins": ["null"]},
        {"slots": 0},
        {"drain_s": -1.0},
        {"model_id": ""},
        {"log_prompt": True},
    ],
)
def test_settings_are_exact(values):
    with pytest.raises(PicochatError) as caught:
        ServeConfig.from_dict(values)
    assert caught.value.exit_code == 2
    assert ServeConfig(allowed_hosts=["pico.lan", "[::2]"], allowed_origins=["https://a.b:1", "http://[::1]:3"])


def test_the_served_model_knows_its_fingerprint(codec):
    assert served_model(codec, weights_digest="abcdef0123456789").fingerprint == "pico-abcdef012345"
