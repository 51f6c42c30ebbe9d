"""The run folder and the walk over its stages, with stages made here."""

import threading
from types import SimpleNamespace

import pytest

from picochat.artifacts import layout
from picochat.artifacts.reports import FileRef
from picochat.artifacts.store import RunLock, RunStore
from picochat.core import failpoints, fs
from picochat.core.config import Config
from picochat.core.errors import PicochatError, refuse
from picochat.core.events import SilentEvents, iter_events
from picochat.core.jsonio import read_json
from picochat.core.progress import SilentProgress
from picochat.pipeline import live as live_module
from picochat.pipeline.config import resolve, settings_layer
from picochat.pipeline.live import StatusThread
from picochat.pipeline.profiles import load_profile
from picochat.pipeline.runner import (
    STAGES,
    Factory,
    inspect_finished,
    load_run_record,
    open_run,
    run_benchmark,
    run_stages,
)
from picochat.stages.contract import StageContext, StopFlag
from picochat.training.config import MachineConfig
from picochat.views.runs.run_state import read_run_state

REPORT = layout.report_path(layout.BASE)


def resolved(**settings):
    layer = settings_layer([(key.replace("__", "."), value) for key, value in settings.items()])
    return resolve("tiny", load_profile("tiny").build(), [("--set", layer)])


@pytest.fixture
def store(tmp_path):
    return open_run(tmp_path / "run", "tiny", resolved(seed=5), resume=False)


def refusal(call, *args, **options) -> PicochatError:
    with pytest.raises(PicochatError) as caught:
        call(*args, **options)
    return caught.value


class Part(Config):
    size: int = 1


def write_stage(ctx, config: Part) -> None:
    """A stage from one input to one output and a report."""
    record = ctx.record("base", config)
    record.add_input("corpus", layout.CORPUS)
    ctx.store.write("base/out", b"out")
    record.add_output("out", "base/out")
    ctx.store.write_report(REPORT, "base_report", {}, record.manifest(ctx.clock.monotonic()))


def spec(run, name="made"):
    return SimpleNamespace(
        work="",
        shared=False,
        name=name,
        title="made here",
        report=REPORT,
        schema="base_report",
        arguments=lambda _: (Part(),),
        run=run,
        needed=lambda store: True,
    )


def walk(store, *specs, resume=False, **parts):
    config = resolved(seed=5).config
    run_stages(store, config, Factory(**parts), names=(), resume=resume, extra=specs)  # pyright: ignore[reportArgumentType]


def kinds(store) -> list[tuple]:
    return [(e["attempt"], e["kind"], e["stage"]) for e in iter_events(store.path(layout.EVENTS))]


def test_a_new_run_writes_its_configuration_and_where_it_came_from(store):
    record = load_run_record(store)
    assert (record.name, record.profile, record.gate_profile) == ("run", "tiny", resolved().config.summary.gate_profile)
    assert record.config == resolved(seed=5).config.as_dict()
    assert (record.origins["seed"], record.origins["model.dim"]) == ("--set", "profile tiny")
    assert record.failpoints == () and len(record.nonce) == 32 and record.code.package_digest
    assert store.path(layout.LOGS).is_dir()


def test_two_runs_have_two_nonces(store, tmp_path):
    other = open_run(tmp_path / "other", "tiny", resolved(seed=5), resume=False)
    assert load_run_record(other).nonce != load_run_record(store).nonce
    assert other.run_digest() != store.run_digest()


def test_an_armed_failpoint_is_recorded(tmp_path):
    failpoints.arm("ckpt.mid_trash:exit@99")
    try:
        store = open_run(tmp_path / "run", "tiny", resolved(), resume=False)
    finally:
        failpoints.disarm()
    assert load_run_record(store).failpoints == ("ckpt.mid_trash",)


def test_a_run_is_never_written_over(store, tmp_path):
    assert refusal(open_run, store.root, "tiny", resolved(seed=5), False).code == "run.not_empty"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("x")
    err = refusal(open_run, tmp_path / "full", "tiny", resolved(), False)
    assert (err.code, err.exit_code) == ("run.not_empty", 2) and "choose another --out-dir" in err.fix
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["letter.txt"]


def test_a_start_that_died_before_run_json_is_no_run_and_no_hindrance(tmp_path):
    root = tmp_path / "run"
    (root / layout.LOGS).mkdir(parents=True)
    (root / ".tmp-0123").write_text("{")
    assert open_run(root, "tiny", resolved(), resume=True).has(layout.RUN)
    (tmp_path / "other" / layout.LOGS).mkdir(parents=True)
    (tmp_path / "other" / layout.LOGS / "letter.txt").write_text("x")
    assert refusal(open_run, tmp_path / "other", "tiny", resolved(), False).code == "run.not_empty"


def test_a_resume_needs_the_same_configuration(store):
    before = store.path(layout.RUN).read_bytes()
    assert open_run(store.root, "tiny", resolved(seed=5), True).root == store.root
    err = refusal(open_run, store.root, "tiny", resolved(seed=6, base__loop__clip=0.5), True)
    assert (err.code, err.exit_code) == ("run.config", 2)
    assert "settings differ" in err.detail and "base.loop.clip was 1.0, now 0.5" in err.detail
    assert store.path(layout.RUN).read_bytes() == before


@pytest.mark.parametrize(
    ("text", "code"), [(b"{", "json.invalid"), (b"{}", "artifact.schema"), (b"[]", "artifact.schema")]
)
def test_a_broken_run_record_is_refused(store, text, code):
    store.path(layout.RUN).write_bytes(text)
    assert refusal(open_run, store.root, "tiny", resolved(seed=5), True).code == code
    assert refusal(load_run_record, RunStore(store.root / "logs")).code == "run.missing"


def test_a_finished_walk_leaves_events_status_and_log(store):
    store.write(layout.CORPUS, b"text")
    walk(store, spec(write_stage))
    assert kinds(store) == [(1, "stage_started", "made"), (1, "stage_finished", "made")]
    status = read_json(store.path(layout.STATUS))
    assert (status["state"], status["stage"], status["error"], status["attempt"]) == ("finished", "made", None, 1)
    assert read_run_state(store.root).state == "finished"
    assert "stage made finished" in store.path(layout.rank_log(0)).read_text()
    with RunLock(store.root):
        pass


def test_a_refusal_is_written_down_and_raised(store):
    def fail(ctx, config):
        refuse("disk.full", "no space left for x")

    assert refusal(walk, store, spec(fail)).code == "disk.full"
    assert kinds(store)[-1] == (1, "failed", "made")
    state = read_run_state(store.root)
    assert (state.state, state.error) == ("failed", "disk.full: no space left for x")


def test_a_bug_is_written_down_with_its_traceback_in_the_log(store):
    def fail(ctx, config):
        raise ZeroDivisionError("hidden cause")

    with pytest.raises(ZeroDivisionError):
        walk(store, spec(fail))
    assert read_run_state(store.root).error == "ZeroDivisionError: hidden cause"
    assert "Traceback" in store.path(layout.rank_log(0)).read_text()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), PicochatError("run.stopped", "asked")])
def test_a_stop_is_no_failure(store, error):
    def stop(ctx, config):
        raise error

    with pytest.raises(type(error)):
        walk(store, spec(stop))
    assert read_run_state(store.root).state == "stopped"


def test_attempts_are_counted_and_numbers_go_on(store):
    store.write(layout.CORPUS, b"text")
    walk(store, spec(write_stage))
    walk(store, spec(write_stage))
    events = list(iter_events(store.path(layout.EVENTS)))
    assert [e["attempt"] for e in events] == [1, 1, 2, 2]
    assert [e["seq"] for e in events] == [1, 2, 3, 4]


def test_a_stop_request_between_stages_starts_no_other(store):
    stop, started = StopFlag(), []

    def first(ctx, config):
        started.append("first")
        ctx.stop.reason = "asked"

    err = refusal(walk, store, spec(first), spec(lambda ctx, config: started.append("second"), "later"), stop=stop)
    assert (err.code, err.exit_code) == ("run.stopped", 75)
    assert started == ["first"] and "before stage later: asked" in err.detail


def test_what_is_live_belongs_to_the_stage_that_runs(store):
    seen = []

    def first(ctx, config):
        ctx.live["step"] = 3

    walk(store, spec(first), spec(lambda ctx, config: seen.append(dict(ctx.live)), "second"))
    assert seen == [{"stage": "second"}]


def test_a_second_writer_is_refused_before_it_writes(store):
    with RunLock(store.root):
        err = refusal(walk, store, spec(write_stage))
    assert (err.code, err.exit_code) == ("run.busy", 5)
    assert not store.path(layout.EVENTS).exists() and not store.path(layout.STATUS).exists()


def test_a_resume_skips_what_is_finished_and_unchanged(store):
    store.write(layout.CORPUS, b"text")
    walk(store, spec(write_stage))
    ran = []
    walk(store, spec(lambda ctx, config: ran.append(1)), resume=True)
    assert ran == []
    walk(store, spec(lambda ctx, config: ran.append(1)), resume=False)
    assert ran == [1]


@pytest.mark.parametrize("touched", ["base/out", layout.CORPUS, REPORT, layout.RUN])
@pytest.mark.parametrize("how", ["changed", "missing"])
def test_a_stage_is_unfinished_when_any_of_its_files_is_another(store, touched, how):
    store.write(layout.CORPUS, b"text")
    made = spec(write_stage)
    walk(store, made)
    found = inspect_finished(store, made, Part())  # pyright: ignore[reportArgumentType]
    assert found and found.files > 1 and f"{found.files} files" in found.reason
    path = store.path(touched)
    path.write_bytes(path.read_bytes() + b" x") if how == "changed" else path.unlink()
    found = inspect_finished(store, made, Part())  # pyright: ignore[reportArgumentType]
    assert (found is None) if (touched, how) == (REPORT, "missing") else (found and found.files == 0)
    assert found is None or found.reason.startswith("run again, ")


def test_a_stage_is_unfinished_under_another_configuration_or_without_report(store):
    made = spec(write_stage)
    assert inspect_finished(store, made, Part()) is None  # pyright: ignore[reportArgumentType]
    store.write(layout.CORPUS, b"text")
    walk(store, made)
    found = inspect_finished(store, made, Part(size=2))  # pyright: ignore[reportArgumentType]
    assert found and found.files == 0 and "configuration" in found.reason


def test_stages_come_in_order_and_each_has_a_module():
    names = [
        "dataset",
        "honesty",
        "tokenizer",
        "shards",
        "base",
        "prediction",
        "sft",
        "evaluate",
        "memorisation",
        "summary",
    ]
    assert [stage.name for stage in STAGES] == names
    measure, compare = run_benchmark({"name": "blimp", "data": "/x", "limit": None}, MachineConfig())
    assert (measure.report, compare.name) == ("benchmarks/blimp/report.json", "honesty")
    assert refusal(run_benchmark, {"nam": "blimp"}, MachineConfig()).code == "config.key"


def write_with_inputs(store, path, schema, inputs, **body):
    manifest = StageContext(store, SilentEvents(1), seed=1).record("made", Part()).manifest(0.0)
    refs = [{"kind": "made", "path": name, "bytes": 1, "sha256": digest} for name, digest in inputs.items()]
    store.write_report(
        path, schema, body, manifest.model_copy(update={"inputs": tuple(map(FileRef.model_validate, refs))})
    )


def test_after_a_benchmark_what_was_never_compared_is_compared(store):
    measure, compare = run_benchmark({"name": "blimp", "data": "/x", "limit": None}, MachineConfig())
    assert not compare.needed(store), "there is no text to compare with"
    store.write(layout.CORPUS, b"text")
    assert compare.needed(store)
    write_with_inputs(store, measure.report, "benchmark_report", {}, files=[{"sha256": "a" * 64}, {"sha256": "b" * 64}])
    for inputs, needed in (
        ({"/x/a": "a" * 64}, True),
        ({"/x/a": "a" * 64, "/x/b": "b" * 64}, False),
        ({"/x/a": "a" * 64, "/x/b": "b" * 64, measure.report: "c" * 64}, True),
    ):
        write_with_inputs(store, layout.HONESTY, "honesty", inputs)
        assert compare.needed(store) is needed


def wait_for(condition) -> bool:
    """Without sleeping: the events of a thread that beats every millisecond."""
    never = threading.Event()
    return any(condition() or never.wait(0.002) for _ in range(2000)) or condition()


def test_the_status_beats_while_a_stage_is_silent(store):
    live = {"stage": "base", "tokens_per_s": float("nan"), "nested": {"loss": float("inf")}}
    with StatusThread(store, live, StopFlag(), 3, interval_s=0.001) as status:
        assert wait_for(lambda: read_json(store.path(layout.STATUS))["heartbeat"] > 3)
        first = read_json(store.path(layout.STATUS))
        assert (first["state"], first["attempt"], first["stage"]) == ("running", 3, "base")
        assert (first["tokens_per_s"], first["nested"]) == (None, {"loss": None})
        assert read_run_state(store.root).state == "running"
        status.close("stopped", {"code": "a", "detail": "b"})
    last = read_json(store.path(layout.STATUS))
    assert (last["state"], last["error"]) == ("stopped", {"code": "a", "detail": "b"})
    assert last["heartbeat"] > first["heartbeat"]


def test_the_last_word_is_never_replaced_by_a_late_beat(store, monkeypatch):
    """A beat that was under way when the run ended used to leave `running` behind, which reads as crashed."""
    inside, go_on, real = threading.Event(), threading.Event(), fs.write_volatile

    def slow(path, data):
        if threading.current_thread().name == "status":
            inside.set()
            go_on.wait(5)
        real(path, data)

    monkeypatch.setattr(live_module.fs, "write_volatile", slow)
    with StatusThread(store, {}, StopFlag(), 1, interval_s=0.001) as status:
        assert inside.wait(5)
        threading.Timer(0.02, go_on.set).start()
        status.close("finished")
    assert read_json(store.path(layout.STATUS))["state"] == "finished"


def test_a_request_in_the_control_file_sets_the_flag(store):
    stop = StopFlag()
    store.path(layout.CONTROL).write_text('{"request": "stop"}')
    with StatusThread(store, {}, stop, 1, interval_s=0.001):
        assert not store.path(layout.CONTROL).exists(), "a request to an earlier attempt is not for this one"
        assert not stop.requested
        fs.write_json(store.path(layout.CONTROL), {"request": "stop"})
        assert wait_for(lambda: stop.requested)
    assert stop.reason == "asked for by control.json"


def test_a_request_to_leave_at_once_is_heard_after_the_one_to_save_first(store):
    """A save that takes minutes is what a person no longer wants to wait for."""
    stop, heard = StopFlag(), []
    with StatusThread(store, {}, stop, 1, heard.append, interval_s=0.001):
        for request, done in (("stop", lambda: stop.requested), ("stop_now", lambda: stop.now)):
            fs.write_json(store.path(layout.CONTROL), {"request": request})
            assert wait_for(done)
    assert heard == ["stop", "stop_now"] and stop.reason == "asked for by control.json"


@pytest.mark.parametrize("text", ["{", "[]", '{"request": "dance"}'])
def test_a_control_file_that_asks_for_nothing_known_is_survived(store, text):
    stop = StopFlag()
    with StatusThread(store, {}, stop, 1, interval_s=0.001):
        store.path(layout.CONTROL).write_text(text)
        beat = read_json(store.path(layout.STATUS))["heartbeat"]
        assert wait_for(lambda: read_json(store.path(layout.STATUS))["heartbeat"] > beat + 3)
    assert not stop.requested


def test_a_stop_by_control_file_reaches_the_stage(store, monkeypatch):
    monkeypatch.setattr(
        "picochat.pipeline.runner.StatusThread", lambda *args, **kw: StatusThread(*args, interval_s=0.001, **kw)
    )

    def work(ctx, config):
        fs.write_json(store.path(layout.CONTROL), {"request": "stop"})
        assert wait_for(lambda: ctx.stop.requested)
        refuse("run.stopped", ctx.stop.reason)

    assert refusal(walk, store, spec(work), progress=SilentProgress()).exit_code == 75
    assert "control_ack" in [event["kind"] for event in iter_events(store.path(layout.EVENTS))]
    assert read_run_state(store.root).state == "stopped"
