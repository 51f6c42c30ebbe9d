"""What changed in a runs folder: every kind of file is noticed, nothing is said twice, and nobody's number is lost."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.artifacts import layout
from picochat.core.clock import ManualClock
from picochat.workbench.watching import follow
from picochat.workbench.watching.feed import A_SECOND, KINDS, Change, Feed, Invalidation, everything
from picochat.workbench.watching.follow import LIVELY_S, LOOK_S, SILENT_S, Follower

RUN, OTHER = "tiny-1", "tiny-2"


def make_run(runs: Path, name: str = RUN, state: str = "finished") -> Path:
    root = runs / name
    root.mkdir(parents=True)
    (root / layout.RUN).write_text("{}")
    (root / layout.STATUS).write_text(f'{{"state": "{state}"}}')
    (root / layout.EVENTS).write_text("")
    return root


class Watch:
    """A follower that is asked what changed, with a clock that is moved by hand."""

    def __init__(self, runs: Path) -> None:
        self.clock = ManualClock(100.0)
        self.follower = Follower(runs, self.clock, Feed(0))
        self.follower.look()
        self.cursor = self.follower.feed.newest

    def changes(self, looks: int = 1) -> set[tuple[str | None, str]]:
        """What is new after some looks, half a second apart."""
        for _ in range(looks):
            self.clock.now += LOOK_S
            self.follower.look()
        since = self.follower.feed.since(self.cursor)
        assert since.complete
        self.cursor = since.cursor
        return {(event.run, event.kind) for event in since.events}


def append(path: Path, text: str = "x\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        stream.write(text)


def replace(path: Path, text: str = "{}") -> None:
    """As all records are written: a new file takes the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(".new")
    new.write_text(text)
    os.replace(new, path)


def test_a_quiet_folder_says_nothing(tmp_path: Path):
    make_run(tmp_path)
    watch = Watch(tmp_path)
    assert watch.cursor == 0 and watch.changes(looks=50) == set()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (layout.STATUS, "status"),
        (layout.CONTROL, "status"),
        (layout.RUN, "status"),
        (layout.EVENTS, "events"),
        (layout.GATE, "gate"),
        (layout.PREFLIGHT, "gate"),
        (layout.WAIVERS, "gate"),
        (layout.SUMMARY, "reports"),
        (layout.REPORT_HTML, "reports"),
        (layout.report_path(layout.BASE), "reports"),
        (f"{layout.SFT}/{layout.SAMPLES}", "reports"),
        (f"{layout.benchmark_dir('core')}/{layout.REPORT}", "reports"),
        (layout.SHARDS_MANIFEST, "reports"),
        (layout.rank_log(1), "logs"),
        (f"{layout.checkpoint_dir(layout.BASE)}/{layout.CKPT_MANIFEST}", "checkpoints"),
    ],
)
def test_each_kind_of_file_is_noticed_when_it_is_made_and_when_it_is_replaced(tmp_path: Path, path: str, kind: str):
    root = make_run(tmp_path)
    watch = Watch(tmp_path)
    replace(root / path, '{"a": 1}')
    assert (RUN, kind) in watch.changes(looks=2)
    watch.changes(looks=80)
    replace(root / path, '{"a": 2}')
    assert (RUN, kind) in watch.changes(looks=2)
    assert watch.changes() == set()


def test_each_checkpoint_that_is_kept_is_noticed(tmp_path: Path):
    root = make_run(tmp_path)
    watch = Watch(tmp_path)
    for step in (10, 20):
        replace(root / layout.BASE / layout.kept_checkpoint(step) / layout.CKPT_MANIFEST)
        assert (RUN, "checkpoints") in watch.changes(looks=2)


@pytest.mark.parametrize("path", [layout.EVENTS, layout.rank_log(0), f"{layout.BASE}/{layout.SAMPLES}"])
def test_a_file_that_grows_is_noticed_each_time(tmp_path: Path, path: str):
    root = make_run(tmp_path)
    append(root / path)
    watch = Watch(tmp_path)
    for _ in range(3):
        append(root / path)
        assert len(watch.changes(looks=2)) == 1


@pytest.mark.parametrize(
    "path",
    [f"{layout.BASE}/{layout.LEDGER}", f"{layout.EVAL}/{layout.ROWS}", layout.DDP_CONTROL, layout.LOCK, layout.CORPUS],
)
def test_files_that_no_page_shows_are_left_alone(tmp_path: Path, path: str):
    root = make_run(tmp_path)
    append(root / path)
    watch = Watch(tmp_path)
    append(root / path)
    assert watch.changes(looks=20) == set()


def test_a_run_is_there_from_its_first_second_and_gone_when_it_is_removed(tmp_path: Path):
    runs = tmp_path / "runs"
    watch = Watch(runs)
    (runs / RUN).mkdir(parents=True)
    (runs / "a name of its own").mkdir()
    assert watch.changes() == set()
    (runs / RUN / layout.STATUS).write_text('{"state": "running"}')
    assert watch.changes() == {(None, "runs"), (RUN, "status")}
    make_run(runs, OTHER)
    assert watch.changes() == {(None, "runs"), (OTHER, "status")}
    shutil.rmtree(runs / RUN)
    assert watch.changes() == {(None, "runs")}
    shutil.rmtree(runs)
    assert watch.changes() == {(None, "runs")}


def test_no_link_is_followed(tmp_path: Path):
    outside = make_run(tmp_path / "outside")
    root = make_run(tmp_path / "runs")
    (tmp_path / "runs" / "linked").symlink_to(outside)
    (root / layout.LOGS).symlink_to(outside / layout.LOGS)
    watch = Watch(tmp_path / "runs")
    append(outside / layout.rank_log(0))
    append(outside / layout.EVENTS)
    assert watch.changes(looks=20) == set()


def test_a_killed_process_writes_nothing_and_is_looked_at_again(tmp_path: Path):
    make_run(tmp_path, state="running")
    make_run(tmp_path, OTHER)
    watch = Watch(tmp_path)
    told = []
    for look in range(int(2 * LIVELY_S / LOOK_S)):
        told += [(RUN, (look + 1) * LOOK_S)] if watch.changes() == {(RUN, "status")} else []
    assert told == [(RUN, seconds) for seconds in SILENT_S]


def test_what_changed_while_nobody_listened_is_told_to_the_next(tmp_path: Path):
    root = make_run(tmp_path)
    watch = Watch(tmp_path)
    replace(root / layout.GATE)
    watch.clock.now += 10_000
    assert watch.changes(looks=2) == {(RUN, "gate")}


def test_many_quiet_runs_are_two_calls_each_second_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for number in range(40):
        make_run(tmp_path, f"run-{number}")
    watch = Watch(tmp_path)
    counts = {"quick": 0, "whole": 0}

    def counted(name: str, real):  # type: ignore[no-untyped-def]
        def call(root: Path):  # type: ignore[no-untyped-def]
            counts[name] += 1
            return real(root)

        return call

    monkeypatch.setattr(follow, "quick_sign", counted("quick", follow.quick_sign))
    monkeypatch.setattr(follow, "run_signs", counted("whole", follow.run_signs))
    watch.changes(looks=10)
    assert counts["whole"] == 10 * follow.DEEP_A_LOOK
    assert counts["quick"] <= 10 * (20 + follow.DEEP_A_LOOK)


def test_every_quiet_run_has_its_turn(tmp_path: Path):
    """A file in a folder of a run that nobody writes: neither the root nor the events show it."""
    roots = [make_run(tmp_path, f"run-{number:02d}") for number in range(23)]
    for root in roots:
        append(root / layout.rank_log(0))
    watch = Watch(tmp_path)
    for root in roots:
        append(root / layout.rank_log(0))
    assert watch.changes(looks=6) == {(root.name, "logs") for root in roots}


def test_a_run_that_is_written_is_looked_at_whole_each_time(tmp_path: Path):
    roots = [make_run(tmp_path, f"run-{number:02d}") for number in range(40)]
    watch = Watch(tmp_path)
    append(roots[7] / layout.EVENTS)
    assert (roots[7].name, "events") in watch.changes(looks=2)
    for _ in range(10):
        append(roots[7] / layout.rank_log(0))
        assert watch.changes() == {(roots[7].name, "logs")}


def test_commands_and_plans_beside_the_runs_are_noticed(tmp_path: Path):
    make_run(tmp_path)
    desk = tmp_path / layout.DESK
    watch = Watch(tmp_path)
    replace(desk / "processes" / "a1" / "process.json")
    assert watch.changes(looks=2) == {(None, "processes")}
    append(desk / "processes" / "a1" / "output.log")
    assert watch.changes(looks=2) == {(None, "processes")}
    append(desk / "processes" / "a1" / "output.log")
    assert watch.changes(looks=2) == {(None, "processes")}
    replace(desk / layout.DESK_PLANS / "7f.json")
    append(desk / layout.DESK_AUDIT)
    assert watch.changes(looks=2) == {(None, "plans")}
    assert watch.changes(looks=4) == set()


def test_two_askers_share_a_look(tmp_path: Path):
    root = make_run(tmp_path)
    watch = Watch(tmp_path)
    replace(root / layout.GATE)
    assert watch.follower.since(0).events == []
    watch.clock.now += LOOK_S
    assert watch.follower.since(0).events == [Invalidation(1, RUN, "gate")]


def test_numbers_of_an_earlier_start_and_of_nobody_are_too_old():
    feed = Feed(7 * A_SECOND)
    feed.add([Change(RUN, "events")])
    assert feed.since(7 * A_SECOND).complete
    for cursor in (0, 3 * A_SECOND + 5, 7 * A_SECOND - 1, 7 * A_SECOND + 2, 10**15):
        assert feed.since(cursor) == (7 * A_SECOND + 1, [], False)
    assert Feed().newest >= 1_700_000_000 * A_SECOND
    assert {event.kind for event in everything(3)} == set(KINDS) and everything(3)[0] == (3, None, KINDS[0])


@given(
    st.lists(st.tuples(st.sampled_from([None, RUN, OTHER]), st.sampled_from(KINDS)), max_size=40), st.integers(1, 12)
)
def test_whoever_asks_from_any_number_misses_nothing(changes: list, most: int):
    feed = Feed(0, most)
    for number, change in enumerate(changes, 1):
        feed.add([Change(*change)])
        assert feed.newest == number
    for cursor in range(len(changes) + 1):
        since = feed.since(cursor)
        assert since.complete == (cursor >= len(changes) - most)
        if since.complete:
            assert {(e.run, e.kind) for e in since.events} == set(changes[cursor:])
            assert [e.cursor for e in since.events] == sorted({e.cursor for e in since.events})
            assert since.cursor == len(changes)
