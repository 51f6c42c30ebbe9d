"""How a command ends as one of several ranks: what stands in log, status.json and control file."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from picochat.artifacts import layout
from picochat.cli import launch
from picochat.cli.launch import as_ranks
from picochat.core.errors import PicochatError, refuse
from picochat.distributed import control
from picochat.distributed.config import DistributedConfig
from picochat.stages.contract import StopFlag

CONFIG = DistributedConfig(beat_s=0.01, beat_limit_s=20.0)


@pytest.fixture(autouse=True)
def early(monkeypatch) -> StopFlag:
    flag = StopFlag()
    monkeypatch.setattr(launch, "EARLY", flag)
    monkeypatch.setattr(control, "LINGER_S", 0.02)
    return flag


@pytest.fixture
def as_rank(monkeypatch):
    """Makes this process one of two that a launcher started."""

    def set_rank(rank: int) -> None:
        here = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": 29500}
        for name, value in here.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setenv("MASTER_ADDR", "localhost")

    return set_rank


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_bytes())


def test_a_refusal_of_rank_0_stands_in_log_status_and_control_file(tmp_path, as_rank):
    as_rank(0)
    with pytest.raises(PicochatError), as_ranks(tmp_path, CONFIG, ddp=True):
        refuse("run.not_empty", "runs/a already holds a run")
    assert read(tmp_path / layout.STATUS)["error"] == {"code": "run.not_empty", "detail": "runs/a already holds a run"}
    assert read(tmp_path / layout.DDP_CONTROL)["error"]["code"] == "run.not_empty"
    log = (tmp_path / layout.rank_log(0)).read_text()
    assert "rank 0 of 2 ends with exit code 2: run.not_empty: runs/a already holds a run" in log


def test_a_worker_that_starts_after_rank_0_has_failed_and_is_asked_to_end_gives_its_reason(tmp_path, as_rank, early):
    as_rank(0)
    with pytest.raises(PicochatError), as_ranks(tmp_path, CONFIG, ddp=True):
        refuse("run.not_empty", "runs/a already holds a run")
    as_rank(1)
    early.reason = "signal SIGTERM"
    with pytest.raises(PicochatError) as caught, as_ranks(tmp_path, CONFIG, ddp=True) as ranks:
        ranks.on_main("taking the lock", lambda: None)
    assert (caught.value.code, caught.value.exit_code) == ("run.not_empty", 2)
    assert caught.value.detail == "rank 0: runs/a already holds a run"
    assert "rank 1 of 2 ends with exit code 2: run.not_empty" in (tmp_path / layout.rank_log(1)).read_text()


def test_a_worker_that_is_asked_to_end_before_rank_0_was_heard_ends_at_once(tmp_path, as_rank, early):
    as_rank(1)
    early.reason, begun = "signal SIGTERM", time.monotonic()
    with pytest.raises(PicochatError) as caught, as_ranks(tmp_path, CONFIG, ddp=True) as ranks:
        ranks.on_main("taking the lock", lambda: None)
    assert (caught.value.code, caught.value.exit_code) == ("launch.main_lost", 5)
    assert "was stopped while it waited for 'taking the lock'; no control file" in caught.value.detail
    assert time.monotonic() - begun < 5 and not (tmp_path / layout.STATUS).exists()


def test_a_peaceful_end_tells_no_error(tmp_path, as_rank):
    as_rank(0)
    with as_ranks(tmp_path, CONFIG, ddp=True) as ranks:
        assert ranks.on_main("x", lambda: (1, 2)) == [1, 2]
    assert read(tmp_path / layout.DDP_CONTROL)["error"] is None and not (tmp_path / layout.STATUS).exists()
