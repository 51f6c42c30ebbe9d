"""One process alone, and rank 0 with a worker: here two threads over one folder."""

import json
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from picochat.artifacts import layout
from picochat.core.errors import PicochatError, refuse
from picochat.core.reasons import REASONS
from picochat.core.redact import MASK
from picochat.distributed import control
from picochat.distributed.config import DistributedConfig
from picochat.distributed.env import Launch
from picochat.distributed.ranks import LaunchedRanks, SoloRanks, require_launch

MAIN, WORKER = (Launch(rank, rank, 2, 2, "job@host:29500", 0, "host", 29500) for rank in range(2))
CONFIG = DistributedConfig(beat_s=0.01, beat_limit_s=20.0)


def not_here() -> Any:
    raise AssertionError("a worker did what rank 0 does alone")


@pytest.fixture(autouse=True)
def short_lingering(monkeypatch):
    monkeypatch.setattr(control, "LINGER_S", 0.02)


class Pair:
    """Rank 0 in the test's own thread, its worker in another."""

    def __init__(self, root) -> None:
        self.main = LaunchedRanks(root, MAIN, CONFIG)
        self.worker = LaunchedRanks(root, WORKER, CONFIG)
        self._pool = ThreadPoolExecutor(1)

    def meanwhile(self, work: Callable[[], Any]) -> Future:
        return self._pool.submit(work)

    def await_turn(self, what: str = "x") -> Future:
        return self.meanwhile(lambda: self.worker.on_main(what, not_here))

    def close(self) -> None:
        self.main.close()
        self._pool.shutdown()


@pytest.fixture
def pair(tmp_path):
    pair = Pair(tmp_path)
    yield pair
    pair.close()


def heard(future: Future) -> PicochatError:
    err = future.exception(timeout=10)
    assert isinstance(err, PicochatError)
    return err


# --- alone


def test_one_process_does_everything_itself():
    ranks, value = SoloRanks(), object()
    assert ranks.on_main("x", lambda: value) is value
    assert ranks.on_main("x", lambda: ranks.on_main("y", lambda: value)) is value, "alone it may be nested"
    with pytest.raises(ZeroDivisionError):
        ranks.on_main("x", lambda: 1 // 0)
    ranks.advance()
    assert ranks.is_main and ranks.close() and ranks.close(ValueError())


def test_one_process_was_not_launched_and_keeps_its_settings():
    assert not SoloRanks().launch.launched and SoloRanks().group is None
    assert SoloRanks().config == DistributedConfig() and SoloRanks(CONFIG).config is CONFIG


# --- two ranks


def test_rank_0_is_main_and_alone_writes(tmp_path):
    worker = LaunchedRanks(tmp_path, WORKER, CONFIG)
    worker.advance()
    assert not worker.is_main and worker.close() and worker.close(ValueError("x"))
    assert list(tmp_path.iterdir()) == []
    main = LaunchedRanks(tmp_path, MAIN, CONFIG)
    assert main.is_main and main.close()
    assert [path.name for path in tmp_path.iterdir()] == [layout.DDP_CONTROL]


def test_a_folder_that_cannot_be_written_is_refused_at_the_start(tmp_path):
    with pytest.raises(PicochatError) as caught:
        LaunchedRanks(tmp_path / "missing", MAIN, CONFIG)
    assert caught.value.code == "disk.io"


def test_a_value_of_rank_0_crosses_over_and_the_work_is_done_once(pair):
    future, done = pair.await_turn(), []

    def work() -> dict[str, Any]:
        done.append(threading.current_thread())
        return {"digest": "ab", "warning": None}

    assert pair.main.on_main("x", work) == future.result(timeout=10) == {"digest": "ab", "warning": None}
    assert done == [threading.current_thread()]


def test_a_worker_waits_until_rank_0_is_done(pair):
    future, waited = pair.await_turn(), []

    def work() -> str:
        time.sleep(0.05)
        waited.append(not future.done())
        return "done"

    pair.main.on_main("x", work)
    assert future.result(timeout=10) == "done" and waited == [True]


def test_a_refusal_of_rank_0_crosses_over(pair):
    future = pair.await_turn()
    with pytest.raises(PicochatError) as caught:
        pair.main.on_main("x", lambda: refuse("run.not_empty", "runs/a already holds a run"))
    err = heard(future)
    assert (caught.value.code, caught.value.detail) == ("run.not_empty", "runs/a already holds a run")
    assert (err.code, err.detail) == ("run.not_empty", "rank 0: runs/a already holds a run")
    assert err.exit_code == caught.value.exit_code == REASONS["run.not_empty"].exit_code


@pytest.mark.parametrize("err", [ZeroDivisionError("by 0"), KeyboardInterrupt("now")])
def test_any_other_end_of_rank_0_crosses_over_as_its_failure(pair, err):
    def work() -> None:
        raise err

    future = pair.await_turn()
    with pytest.raises(type(err)) as caught:
        pair.main.on_main("x", work)
    assert caught.value is err
    assert (heard(future).code, heard(future).detail) == (
        "launch.main_failed",
        f"rank 0: {type(err).__name__}: {err}",
    )


@pytest.mark.parametrize("value", [object(), {"a": {1, 2}}], ids=["object", "set"])
def test_a_value_that_is_no_json_ends_both_ranks_and_spoils_no_later_turn(pair, tmp_path, value):
    future = pair.await_turn()
    with pytest.raises(TypeError) as caught:
        pair.main.on_main("x", lambda: value)
    err = heard(future)
    assert (err.code, err.detail) == ("launch.main_failed", f"rank 0: TypeError: {caught.value}")
    assert pair.main.on_main("after", lambda: "value") == "value"
    said = json.loads((tmp_path / layout.DDP_CONTROL).read_bytes())
    assert (said["turn"], said["turns"]) == (1, {"1": "value"})


def test_both_ranks_have_equal_values_though_json_has_no_tuples(pair):
    future = pair.await_turn()
    found = pair.main.on_main("x", lambda: {"pairs": [(1, "a"), (2, ("b",))], "none": ()})
    assert found == future.result(timeout=10) == {"pairs": [[1, "a"], [2, ["b"]]], "none": []}
    future = pair.await_turn()
    found = pair.main.on_main("x", lambda: (1, 2))
    assert found == future.result(timeout=10) == [1, 2] and type(found) is list


@pytest.mark.parametrize("name", ["runs/task-with-a-rather-long-name-indeed", "runs/sk-with-a-rather-long-name-indeed"])
def test_a_name_that_looks_like_a_key_crosses_over_whole(pair, name):
    future = pair.await_turn()
    assert pair.main.on_main("x", lambda: {name: name}) == future.result(timeout=10) == {name: name}


def test_an_error_crosses_over_without_the_keys_in_its_text(pair):
    future = pair.await_turn()
    with pytest.raises(PicochatError):
        pair.main.on_main("x", lambda: refuse("run.not_empty", f"runs/task-{'a' * 24} holds sk-{'a' * 24}"))
    assert heard(future).detail == f"rank 0: runs/task-{'a' * 24} holds {MASK}"


def test_a_worker_that_was_asked_to_end_does_not_wait_for_a_rank_0_that_was_never_heard(tmp_path):
    asked = []
    worker = LaunchedRanks(tmp_path, WORKER, CONFIG, lambda: bool(asked))
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(lambda: worker.on_main("taking the lock", not_here))
        time.sleep(0.03)
        assert not future.done()
        asked.append(True)
        err = heard(future)
    assert (err.code, err.exit_code) == ("launch.main_lost", 5)
    assert err.detail == "rank 1 was stopped while it waited for 'taking the lock'; no control file"


def test_a_worker_that_was_asked_to_end_hears_why_rank_0_has_ended(tmp_path):
    main = LaunchedRanks(tmp_path, MAIN, CONFIG)
    main.close(PicochatError("disk.full", "no space left"))
    err = heard_alone(LaunchedRanks(tmp_path, WORKER, CONFIG, lambda: True))
    assert (err.code, err.detail) == ("disk.full", "rank 0: no space left")


def heard_alone(worker: LaunchedRanks) -> PicochatError:
    with pytest.raises(PicochatError) as caught:
        worker.on_main("x", not_here)
    return caught.value


def test_turns_stay_in_order_when_the_worker_is_slow_now_and_then(pair):
    draw, meeting, turns = random.Random(0), threading.Barrier(2), 100
    values = [draw.choice([turn, str(turn), [turn], None]) for turn in range(turns)]

    def follow() -> list[Any]:
        found = []
        for turn in range(turns):
            if draw.random() < 0.2:
                time.sleep(draw.random() * 0.008)
            found.append(pair.worker.on_main(f"turn {turn}", not_here))
            if turn % 25 == 24:  # a collective: rank 0 never gets further ahead
                meeting.wait(10)
        return found

    future = pair.meanwhile(follow)
    for turn in range(turns):
        assert pair.main.on_main(f"turn {turn}", lambda turn=turn: values[turn]) == values[turn]
        if turn % 25 == 24:
            meeting.wait(10)
    assert future.result(timeout=10) == values


def test_rank_0_cannot_be_alone_twice_at_a_time(pair):
    future = pair.await_turn("outer")
    with pytest.raises(RuntimeError, match="'inner': rank 0 is alone already"):
        pair.main.on_main("outer", lambda: pair.main.on_main("inner", not_here))
    assert heard(future).code == "launch.main_failed" and "'inner'" in heard(future).detail
    assert pair.main.on_main("after", lambda: 5) == 5, "the error has set it free"


def test_an_end_of_rank_0_between_two_turns_is_told_when_it_closes(pair):
    first = pair.await_turn()
    pair.main.on_main("x", lambda: 1)
    assert first.result(timeout=10) == 1
    second = pair.await_turn()
    assert pair.main.close(PicochatError("training.loss_guard", "at step 7"))
    err = heard(second)
    assert (err.code, err.exit_code, err.detail) == ("training.loss_guard", 6, "rank 0: at step 7")


def test_a_peaceful_close_tells_no_error(tmp_path):
    main = LaunchedRanks(tmp_path, MAIN, CONFIG)
    main.on_main("x", lambda: 1)
    main.close()
    assert json.loads((tmp_path / layout.DDP_CONTROL).read_bytes())["error"] is None


def test_an_error_that_cannot_be_told_does_not_hide_the_error_itself(tmp_path, monkeypatch):
    main = LaunchedRanks(tmp_path, MAIN, DistributedConfig())
    monkeypatch.setattr(control.fs, "write_volatile", lambda path, data: refuse("disk.full", "no space left"))
    with pytest.raises(PicochatError, match="no space left"):
        main.on_main("x", lambda: 1)
    assert main.close(ValueError("the first")), "telling fails again, and closing goes on"
    main._busy = False
    monkeypatch.setattr(main._writer, "begin", lambda what: None)
    with pytest.raises(ZeroDivisionError):
        main.on_main("x", lambda: 1 // 0)


def test_progress_of_rank_0_stands_in_the_file_and_a_worker_has_none(pair, tmp_path):
    for _ in range(4):
        pair.main.advance()
        pair.worker.advance()
    pair.main.on_main("x", lambda: None)
    assert json.loads((tmp_path / layout.DDP_CONTROL).read_bytes())["progress"] == 5


@pytest.mark.parametrize("launch", [MAIN, WORKER], ids=["rank 0", "a worker"])
@pytest.mark.parametrize("left", [True, False])
def test_the_group_is_left_in_peace_only_without_an_error(tmp_path, launch, left):
    told = []
    for err in (None, ValueError("x")):
        ranks = LaunchedRanks(tmp_path, launch, CONFIG)
        ranks.group = SimpleNamespace(close=lambda peacefully: told.append(peacefully) or left)
        assert ranks.close(err) is left
    assert told == [True, False]
    assert "ddp-control" not in {thread.name for thread in threading.enumerate()}


# --- launcher and flag


@pytest.mark.parametrize(
    ("launch", "ddp", "words"),
    [
        (MAIN, False, "a launcher started 2 processes, and --ddp is missing"),
        (WORKER, False, "a launcher started 2 processes, and --ddp is missing"),
        (Launch(), True, "--ddp needs a launcher"),
    ],
)
def test_a_launcher_without_the_flag_and_the_flag_without_a_launcher_are_refused(launch, ddp, words):
    with pytest.raises(PicochatError) as caught:
        require_launch(launch, ddp)
    assert (caught.value.code, caught.value.exit_code) == ("launch.flag", 2)
    assert words in caught.value.detail and "--ddp" in "".join(caught.value.lines())


@pytest.mark.parametrize(
    ("launch", "ddp"),
    [
        (Launch(), False),
        (MAIN, True),
        (WORKER, True),
        (Launch(size=1, address="host", port=29500), True),
        (Launch(size=1, address="host", port=29500), False),
    ],
)
def test_launcher_and_flag_together_or_neither_are_accepted(launch, ddp):
    require_launch(launch, ddp)
