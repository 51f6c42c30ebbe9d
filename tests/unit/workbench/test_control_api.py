"""Stop, resume, time and money of a run, and the commands that the workbench started, as the page asks for them."""

import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.support.workbench_calls import ask

from picochat.artifacts import layout
from picochat.artifacts.code_record import code_record
from picochat.artifacts.run_record import RunRecord
from picochat.artifacts.schema import schema_tag
from picochat.cli.app import cli
from picochat.core.fs import write_json
from picochat.core.jsonio import jsonl_bytes
from picochat.pipeline.config import resolve, settings_layer
from picochat.pipeline.profiles import load_profile
from picochat.views.runs.run_state import process_start
from picochat.workbench.bench import Workbench
from picochat.workbench.commands.processes import Process

MONEY = {"launch.cap_usd": 1.0, "launch.rate_usd_per_gpu_hour": 3.0, "launch.gpus": 8}


def write_run(runs: Path, name: str = "mine", failpoints: tuple[str, ...] = (), **settings: Any) -> Path:
    """A run of the tiny profile that this very process seems to work on."""
    root = runs / name
    root.mkdir()
    resolved = resolve("tiny", load_profile("tiny").build(), [("--set", settings_layer(list(settings.items())))])
    record = RunRecord(
        schema=schema_tag("run"),
        name=name,
        profile="tiny",
        gate_profile="research",
        nonce="0" * 32,
        created_at="2026-01-01T00:00:00.000Z",
        config=resolved.config.as_dict(),
        origins=resolved.origins,
        failpoints=failpoints,
        code=code_record(),
        environment={},
    )
    write_json(root / layout.RUN, record.to_json())
    set_state(root, "running")
    return root


def set_state(root: Path, state: str, **fields: Any) -> None:
    here = {"host": platform.node(), "pid": os.getpid(), "process_started": process_start(os.getpid())}
    write_json(root / layout.STATUS, {"state": state, "stage": "base", "step": 20, "steps": 100} | here | fields)


def append(root: Path, *events: dict[str, Any]) -> None:
    with (root / layout.EVENTS).open("ab") as stream:
        stream.write(jsonl_bytes([{"attempt": 1, "stage": "base"} | event for event in events]))


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


def control(bench: Workbench, body: Any = None) -> tuple[int, dict[str, Any]]:
    answer = ask(bench, "POST", "/api/runs/mine/control", body)
    return answer.status_code, answer.json()


def test_a_stop_is_asked_for_shown_and_acknowledged(bench: Workbench, tmp_path: Path):
    root = write_run(tmp_path)
    before = ask(bench, "GET", "/api/runs/mine/control").json()
    assert before["can_stop"] and before["asked"] is None
    assert before["commands"] == {"stop": "picochat stop mine", "stop_now": "picochat stop mine --now"}
    status, asked = control(bench)
    assert status == 202 and json.loads((root / layout.CONTROL).read_text())["request"] == "stop"
    waiting = ask(bench, "GET", "/api/runs/mine/control").json()
    assert waiting["asked"] == asked and not waiting["can_stop"]
    append(root, {"kind": "step", "t": "2999-01-01T00:00:00.000Z", "step": 1, "note": "control_ack"})
    append(root, {"kind": "control_ack", "t": "2999-01-01T00:00:01.000Z", "request": "stop"})
    heard = ask(bench, "GET", "/api/runs/mine/control").json()["asked"]
    assert heard["acknowledged_at"] == "2999-01-01T00:00:01.000Z"
    assert [line["action"] for line in bench.desk.audit_lines()] == ["control"]


@pytest.mark.parametrize("typed", ["", "STOP", " stop", "stop now"])
def test_a_stop_without_a_checkpoint_wants_the_word(bench: Workbench, tmp_path: Path, typed: str):
    root = write_run(tmp_path)
    assert control(bench, {"request": "stop_now", "typed": typed})[0] == 422
    assert not (root / layout.CONTROL).exists()
    assert control(bench, {"request": "stop_now", "typed": "stop"})[0] == 202
    assert json.loads((root / layout.CONTROL).read_text())["request"] == "stop_now"


@pytest.mark.parametrize("body", [{"request": "dance"}, {"request": 1}, {"request": "stop", "more": 1}, []], ids=str)
def test_what_is_no_request_changes_nothing(bench: Workbench, tmp_path: Path, body: Any):
    root = write_run(tmp_path)
    assert control(bench, body)[0] == 422 and not (root / layout.CONTROL).exists()


def test_a_run_that_has_ended_is_not_asked(bench: Workbench, tmp_path: Path):
    root = write_run(tmp_path)
    set_state(root, "finished")
    status, problem = control(bench)
    assert (status, problem["code"]) == (409, "run.not_running") and not (root / layout.CONTROL).exists()
    shown = ask(bench, "GET", "/api/runs/mine/control").json()
    assert not shown["can_stop"] and shown["asked"] is None
    assert ask(bench, "POST", "/api/runs/nothing/control").status_code == 404


def checkpoint(root: Path, **fingerprint: Any) -> None:
    path = root / layout.checkpoint_dir("base") / layout.CKPT_MANIFEST
    path.parent.mkdir(parents=True)
    saved = {"seed": 1, "code_digest": code_record().package_digest, "precision": "fp32"} | fingerprint
    path.write_text(json.dumps({"step": 20, "world_size": fingerprint.get("world_size", 1), "fingerprint": saved}))


def started(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []

    def start(argv: tuple[str, ...], *, run: str | None, title: str) -> Process:
        found.append(argv)
        return Process("p-1", "running", title, run, argv, *[None] * 7)

    monkeypatch.setattr(bench.processes, "start", start)
    return found


def test_a_resume_shows_its_conditions_and_starts_the_run_s_own_command(bench: Workbench, tmp_path: Path, monkeypatch):
    root = write_run(tmp_path, **{"base.loop.tokens": 20_000, "data.pack": "a pack"})
    set_state(root, "stopped")
    checkpoint(root)
    found, argvs = ask(bench, "GET", "/api/runs/mine/resume").json(), started(bench, monkeypatch)
    rows = {row["field"]: (row["saved"], row["now"], row["verdict"]) for row in found["conditions"]}
    assert rows["seed"] == (1, 1, "same") and rows["precision"] == ("fp32", None, "later")
    assert (found["stage"], found["step"], found["can_start"]) == ("base", 20, True)
    wanted = ["run", "tiny", "--out-dir", str(root), "--resume"]
    wanted += ["--set", "base.loop.tokens=20000", "--set", 'data.pack="a pack"']
    assert found["argv"] == wanted
    assert found["command"].endswith("""--set base.loop.tokens=20000 --set 'data.pack="a pack"'""")
    answer = ask(bench, "POST", "/api/runs/mine/resume")
    assert (answer.status_code, answer.json()) == (202, {"process": "p-1"})
    assert [list(argv) for argv in argvs] == [wanted]


def test_another_code_is_refused_until_it_is_accepted_by_name(bench: Workbench, tmp_path: Path, monkeypatch):
    root = write_run(tmp_path)
    set_state(root, "crashed")
    checkpoint(root, code_digest="0" * 64)
    found, argvs = ask(bench, "GET", "/api/runs/mine/resume").json(), started(bench, monkeypatch)
    assert found["conditions"][0]["verdict"] == "refused" and found["acceptable"] == ["code_digest"]
    assert not found["can_start"] and "code_digest" in found["why_not"]
    assert ask(bench, "POST", "/api/runs/mine/resume").status_code == 409 and argvs == []
    assert ask(bench, "POST", "/api/runs/mine/resume", {"accept": ["seed"]}).status_code == 422
    assert ask(bench, "POST", "/api/runs/mine/resume", {"accept": ["code_digest"]}).status_code == 202
    assert argvs[0][-2:] == ("--set", 'resume.accept=["code_digest"]')


@pytest.mark.parametrize(
    ("state", "world_size", "settings", "failpoints", "why"),
    [
        ("running", 1, {}, (), "the run is running"),
        ("stopped", 8, {}, (), "8 processes"),
        ("stopped", 1, {}, ("x:kill@1",), "armed faults"),
    ],
)
def test_what_cannot_be_resumed_here_says_why(
    bench: Workbench, tmp_path: Path, monkeypatch, state, world_size, settings, failpoints, why
):
    root = write_run(tmp_path, failpoints=failpoints, **settings)
    set_state(root, state)
    checkpoint(root, world_size=world_size)
    argvs = started(bench, monkeypatch)
    assert why in ask(bench, "GET", "/api/runs/mine/resume").json()["why_not"]
    answer = ask(bench, "POST", "/api/runs/mine/resume")
    assert (answer.status_code, argvs) == (409, []) and why in answer.json()["detail"]


def test_a_training_of_its_own_is_gone_on_with_by_its_own_command(bench: Workbench, tmp_path: Path):
    root = write_run(tmp_path, **{"base.text.corpus": "/x", "base.text.tokenizer": "/y"})
    set_state(root, "stopped")
    wanted = f"picochat train base --corpus /x --tokenizer /y --profile tiny --out-dir {root} --resume"
    assert ask(bench, "GET", "/api/runs/mine/resume").json()["command"] == wanted


def test_a_run_without_a_checkpoint_is_resumed_from_its_data(bench: Workbench, tmp_path: Path):
    root = write_run(tmp_path)
    set_state(root, "crashed", pid=None)
    found = ask(bench, "GET", "/api/runs/mine/resume").json()
    assert (found["stage"], found["step"], found["conditions"], found["can_start"]) == ("base", None, [], True)
    path = root / layout.checkpoint_dir("base") / layout.CKPT_MANIFEST
    path.parent.mkdir(parents=True)
    path.write_text("{")
    assert ask(bench, "GET", "/api/runs/mine/resume").json()["step"] is None


def test_accrued_money_is_billed_time_times_rate(bench: Workbench, tmp_path: Path):
    root = write_run(tmp_path, **MONEY)
    times = ["00:00:00", "00:00:10", "00:00:20", "00:00:30", "00:01:00"]
    for number, time in enumerate(times):
        append(root, {"kind": "step", "t": f"2026-01-01T{time}.000Z", "step": 4 * number + 4})
    money = ask(bench, "GET", "/api/runs/mine/money").json()
    assert money["billed_s"] == pytest.approx(60) and money["usd_per_hour"] == pytest.approx(24)
    assert money["accrued_usd"] == pytest.approx(money["billed_s"] / 3600 * money["usd_per_hour"])
    assert money["eta_s"] == [pytest.approx(80 * q) for q in (2.5, 2.5, 3.75)]
    said = json.loads(CliRunner().invoke(cli, ["status", str(root), "--json"]).stdout)
    assert said["account"] == money, "the page and the program say the same"
    append(root, {"kind": "spending", "t": "2026-01-01T00:01:30.000Z", "spent_usd": 0.8})
    assert ask(bench, "GET", "/api/runs/mine/money").json()["accrued_usd"] == pytest.approx(0.8)


def test_alerts_come_with_their_events_and_go_with_the_attempt(bench: Workbench, tmp_path: Path):
    root = write_run(tmp_path)
    assert ask(bench, "GET", "/api/runs/mine/alerts").json() == {"alerts": []}
    append(root, {"kind": "guard_skipped", "t": "2026-01-01T00:00:00.000Z", "step": 7, "loss": None, "grad_norm": None})
    found = ask(bench, "GET", "/api/runs/mine/alerts").json()["alerts"]
    assert [(alert["id"], alert["kind"]) for alert in found] == [("nan:1:7", "nan")]
    append(root, {"attempt": 2, "kind": "stage_started", "t": "2026-01-01T00:00:01.000Z"})
    assert ask(bench, "GET", "/api/runs/mine/alerts").json() == {"alerts": []}
    (root / layout.EVENTS).unlink()
    os.mkfifo(root / layout.EVENTS)
    assert ask(bench, "GET", "/api/runs/mine/alerts").json() == {"alerts": []}


def test_a_run_without_a_record_has_no_price(bench: Workbench, tmp_path: Path):
    root = write_run(tmp_path)
    (root / layout.RUN).write_text("{")
    money = ask(bench, "GET", "/api/runs/mine/money").json()
    assert money["accrued_usd"] is None and money["step_s"] is None and money["state"] == "running"


def test_commands_are_listed_shown_and_not_found(bench: Workbench, tmp_path: Path):
    folder = tmp_path / layout.DESK / layout.DESK_PROCESSES / "20260101000000000-aa"
    folder.mkdir(parents=True)
    secret = "hf_" + "a1" * 15
    write_json(folder / layout.PROCESS, {"title": "Gate", "run": "mine", "argv": ["gate", secret], "started_at": "t"})
    write_json(folder / layout.PROCESS_EXIT, {"code": 3, "ended_at": "u", "duration_s": 1.5})
    (folder / layout.PROCESS_OUTPUT).write_text(f"one\n{secret}\n")
    listed = ask(bench, "GET", "/api/processes?run=mine").json()["processes"]
    assert [(p["id"], p["state"], p["exit_code"]) for p in listed] == [("20260101000000000-aa", "finished", 3)]
    assert ask(bench, "GET", "/api/processes?run=other").json() == {"processes": []}
    assert ask(bench, "GET", "/api/processes?run=../x").status_code == 404
    shown = ask(bench, "GET", "/api/processes/20260101000000000-aa")
    assert shown.json()["command"] == "picochat gate [redacted]" and secret not in shown.text
    output = ask(bench, "GET", "/api/processes/20260101000000000-aa/output?offset=4").json()
    assert (output["text"], output["exit_code"]) == ("[redacted]\n", 3)
    assert ask(bench, "GET", "/api/processes/20260101000000000-aa/output?offset=-1").status_code == 422
    assert ask(bench, "POST", "/api/processes/20260101000000000-aa/cancel").status_code == 409
    for name in ("nothing", "..", "processes"):
        assert ask(bench, "GET", f"/api/processes/{name}/output").status_code == 404
    shutil.rmtree(tmp_path / layout.DESK)
    assert ask(bench, "GET", "/api/processes").json() == {"processes": []}
