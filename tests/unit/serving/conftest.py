"""One server with a scripted engine for each file of tests."""

from collections.abc import Iterator

import pytest
from tests.support.fake_engine import FakeEngine, says
from tests.support.served import Served, serving, tiny_codec

from picochat.tokenizer.codec import PicochatCodec

ANSWER = " sat on the mat"


@pytest.fixture(scope="module")
def codec() -> PicochatCodec:
    return tiny_codec()


@pytest.fixture(scope="module")
def server(codec: PicochatCodec) -> Iterator[Served]:
    with serving(FakeEngine(says(codec, ANSWER)), codec) as served:
        yield served


@pytest.fixture
def engine(server: Served, codec: PicochatCodec) -> FakeEngine:
    """The engine of the server, with its first script and nothing asked yet."""
    server.engine.script = says(codec, ANSWER)
    server.engine.asked.clear()
    return server.engine
