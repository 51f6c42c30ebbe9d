"""Nothing of the machine's own hub settings reaches these tests, and no agent registry is asked for."""

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session
from tests.support.stub_hub import StubHub


@pytest.fixture(scope="session")
def session():
    """One HTTP client for all tests: making one reads the machine's certificates, which takes longer than a test."""
    patch = pytest.MonkeyPatch()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        patch.delenv(name, raising=False)
    close_session()
    yield
    close_session()
    patch.undo()


@pytest.fixture
def hub(monkeypatch, session):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with StubHub() as stub:
        yield stub
