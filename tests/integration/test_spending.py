"""A run that would cost more than its cap saves, stops with exit code 75, and goes on under a higher cap alone."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.tiny_run import tiny_settings

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.checkpoint.reader import load_checkpoint
from picochat.core.errors import PicochatError
from picochat.core.events import iter_events
from picochat.core.jsonio import read_json
from picochat.pipeline import runner
from picochat.pipeline.config import Resolved, resolve, settings_layer
from picochat.pipeline.live import StatusThread
from picochat.pipeline.profiles import load_profile

RATE = 3600.0
"""A dollar a second."""


@pytest.fixture(autouse=True)
def quick_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """The status beats every two seconds, which are dollars here."""
    monkeypatch.setattr(runner, "StatusThread", lambda *args, **kw: StatusThread(*args, interval_s=0.05, **kw))


def settings(pack: Path, cap: float) -> Resolved:
    more: dict[str, Any] = {
        "base.loop.tokens": 100_000 * 512,
        "base.loop.eval_every": 0,
        "launch.cap_usd": cap,
        "launch.rate_usd_per_gpu_hour": RATE,
        "launch.reserve_s": 2.0,
    }
    layer = settings_layer(list(tiny_settings(pack, **more).items()))
    return resolve("tiny", load_profile("tiny").build(), [("--set", layer)])


def attempt(root: Path, resolved: Resolved, *, resume: bool) -> PicochatError:
    store = runner.open_run(root, "tiny", resolved, resume=resume)
    with pytest.raises(PicochatError) as caught:
        runner.run_stages(store, resolved.config, runner.Factory(), ("dataset", "tokenizer", "base"), resume=resume)
    return caught.value


def saved_step(store: RunStore) -> int:
    return load_checkpoint(store.path(layout.checkpoint_dir(layout.BASE)), parts=()).manifest.step


def test_a_run_stops_within_its_cap_and_goes_on_under_a_higher_one(tmp_path: Path, pack: Path):
    root = tmp_path / "run"
    store, first = RunStore(root), attempt(root, settings(pack, 12.0), resume=False)
    status = read_json(store.path(layout.STATUS))
    assert first.exit_code == 75 and "spending cap" in first.detail
    assert 9.9 < status["spent_usd"] <= 12.0 and status["state"] == "stopped" and status["cap_usd"] == 12.0
    reached = saved_step(store)
    assert reached > 0
    kinds = [event.get("code", event["kind"]) for event in iter_events(store.path(layout.EVENTS))]
    assert kinds.count("launch.cap_near") == 1 and kinds.count("spending") >= 1

    again = attempt(root, settings(pack, 12.0), resume=True)
    assert again.exit_code == 75 and saved_step(store) == reached, "nothing is trained that is not paid for"

    more = attempt(root, settings(pack, 24.0), resume=True)
    assert more.exit_code == 75 and saved_step(store) > reached
    assert status["spent_usd"] < read_json(store.path(layout.STATUS))["spent_usd"] <= 24.0
