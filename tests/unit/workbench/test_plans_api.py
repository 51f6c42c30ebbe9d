"""Launches by the page: what is confirmed starts once, and everything else starts nothing and is written down."""

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.green_run import GreenRun
from tests.support.launch_plans import plan_json, sound_plan
from tests.support.launch_room import RecordingMachine, Room
from tests.support.workbench_calls import ask

from picochat.artifacts import layout
from picochat.artifacts.run_record import RunRecord
from picochat.artifacts.schema import schema_tag
from picochat.artifacts.store import RunStore
from picochat.core import fs
from picochat.core.clock import ManualClock
from picochat.pipeline.config import resolve
from picochat.pipeline.launch.confirm import LIFETIME_S
from picochat.pipeline.launch.records import LaunchPlan
from picochat.pipeline.launch.render.table import RENDERINGS
from picochat.pipeline.launch.start import Started
from picochat.pipeline.profiles import load_profile
from picochat.views.launch import plan_lines
from picochat.workbench.api.plans import PlanOrder
from picochat.workbench.bench import Workbench
from picochat.workbench.problems import Problem
from picochat.workbench.routing import Route, read_body

CAP = "430.00"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return GreenRun(tmp_path_factory.mktemp("small") / "run").build(n=4).root


class Bench:
    """A workbench on a room, with a clock that is moved by hand and a machine that only records."""

    def __init__(self, root: Path, small: Path) -> None:
        self.room = Room(root, small)
        self.clock, self.machine = ManualClock(), RecordingMachine()
        self.bench = Workbench(root, clock=self.clock, make_provider=lambda plan, store: self.machine)
        self.room.desk.add_plan(self.room.plan)
        self.digest = self.room.plan.digest()

    def post(self, path: str, body: Any = None, login: str = "me", plan: str | None = None) -> httpx.Response:
        return ask(self.bench, "POST", f"/api/plans/{plan or self.digest}/{path}", body, login)

    def challenge(self, login: str = "me", plan: str | None = None) -> str:
        answer = self.post("challenge", login=login, plan=plan)
        assert answer.status_code == 201 and answer.json()["expires_in_s"] == LIFETIME_S
        return answer.json()["challenge"]

    def launch(self, challenge: str, key: str = "key-00001", cap: str = CAP, **more: Any) -> httpx.Response:
        digest = more.pop("digest", more.get("plan", self.digest))
        body = {"digest": digest, "challenge": challenge, "cap": cap, "idempotency_key": key}
        return self.post("launch", body, **more)

    def view(self) -> dict[str, Any]:
        return ask(self.bench, "GET", f"/api/plans/{self.digest}").json()

    def refused(self, answer: httpx.Response, code: str, status: int = 409, started: int = 0) -> None:
        assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
        assert len(self.machine.started) == started
        lines = self.room.desk.audit_lines()
        assert (lines[-1]["action"], lines[-1]["code"]) == ("refused", code), "every refusal is written down"
        assert sum(line["action"] == "refused" and line["code"] == code for line in lines) == 1, "once"


@pytest.fixture
def at(tmp_path: Path, small: Path) -> Bench:
    return Bench(tmp_path, small)


def test_a_confirmed_plan_starts_once_and_says_where(at: Bench):
    answer = at.launch(at.challenge())
    assert answer.status_code == 202
    assert answer.json()["start"]["state"] == "started" and answer.json()["start"]["id"] == "recorded-1"
    assert at.machine.started == [at.room.plan]
    assert [line["action"] for line in at.room.desk.audit_lines()] == ["confirmed", "started"]
    assert at.room.desk.audit_lines()[0]["login"] == "me"
    assert {step["id"]: step["state"] for step in at.view()["steps"]}["confirm"] == "done"


def test_a_repeated_key_gets_the_first_result_and_starts_nothing(at: Bench):
    challenge = at.challenge()
    first = at.launch(challenge)
    again = at.launch(challenge)
    assert (again.status_code, again.json()) == (202, first.json()) and len(at.machine.started) == 1


def test_a_repeated_key_gets_the_first_refusal_too(at: Bench):
    challenge = at.challenge()
    assert at.launch(challenge, cap="430.01").json()["code"] == "launch.cap"
    at.refused(at.launch(challenge, cap="430.01"), "launch.cap")


def test_a_key_does_not_stand_for_another_request(at: Bench):
    challenge = at.challenge()
    at.launch(challenge)
    at.refused(at.launch(at.challenge()), "launch.key", 422, started=1)


def test_a_key_of_somebody_else_is_another_key(at: Bench):
    at.launch(at.challenge())
    at.refused(at.launch(at.challenge("you"), login="you"), "launch.started", started=1)


@pytest.mark.parametrize("challenge", ["", "0" * 32, "x"])
def test_no_challenge_starts_nothing(at: Bench, challenge: str):
    at.challenge()
    at.refused(at.launch(challenge), "launch.challenge")


def test_the_challenge_of_another_plan_starts_nothing(at: Bench):
    other = at.room.make(nonce="1" * 32)
    at.room.desk.add_plan(other)
    at.refused(at.launch(at.challenge(plan=other.digest())), "launch.challenge")


def test_the_challenge_of_somebody_else_starts_nothing(at: Bench):
    at.refused(at.launch(at.challenge("you")), "launch.challenge")


def test_a_used_challenge_starts_nothing(at: Bench):
    challenge = at.challenge()
    assert at.launch(challenge, cap="1.00").status_code == 409
    at.refused(at.launch(challenge, key="key-00002"), "launch.challenge")


def test_an_expired_challenge_starts_nothing(at: Bench):
    challenge = at.challenge()
    at.clock.now = LIFETIME_S + 0.001
    at.refused(at.launch(challenge), "launch.challenge")


@pytest.mark.parametrize("cap", ["430", "430.0", "430.01", "429.99", " 430.00", "$430.00", ""])
def test_a_cap_that_is_not_typed_to_the_letter_starts_nothing(at: Bench, cap: str):
    at.refused(at.launch(at.challenge(), cap=cap), "launch.cap")


def test_a_restart_voids_every_challenge(at: Bench):
    challenge = at.challenge()
    at.bench = Workbench(at.bench.runs, clock=at.clock, make_provider=at.bench.make_provider)
    at.refused(at.launch(challenge), "launch.challenge")


def test_a_plan_that_was_edited_starts_nothing(at: Bench):
    challenge = at.challenge()
    path = at.room.desk.plan_path(at.digest)
    path.write_bytes(path.read_bytes().replace(b'"gpus_per_node":8', b'"gpus_per_node":9'))
    at.refused(at.launch(challenge), "launch.plan")
    assert ask(at.bench, "GET", "/api/plans").json()["plans"][0]["state"] == "unreadable"


def test_a_digest_that_is_not_the_path_s_starts_nothing(at: Bench):
    at.refused(at.launch(at.challenge(), digest="0" * 64), "launch.plan")


def test_a_plan_above_the_ceiling_starts_nothing(at: Bench):
    (at.room.desk.root / layout.DESK_SETTINGS).write_text("max_cap_usd = 429\n")
    at.refused(at.launch(at.challenge()), "launch.blocked")


def test_without_a_dry_run_nothing_starts(at: Bench):
    other = at.room.make(nonce="1" * 32)
    at.room.desk.add_plan(other)
    at.refused(at.launch(at.challenge(plan=other.digest()), plan=other.digest()), "launch.blocked")


def test_a_stale_preflight_starts_nothing(at: Bench):
    at.room.write_preflight("warn")
    at.refused(at.launch(at.challenge()), "launch.blocked")


def test_a_plan_that_is_submitted_by_hand_is_not_started(at: Bench):
    target = plan_json()["target"] | {"kind": "slurm", "host": None}
    other = at.room.make(target=target)
    at.room.desk.add_plan(other)
    at.refused(at.launch(at.challenge(plan=other.digest()), plan=other.digest()), "launch.target", 422)


@pytest.mark.parametrize("name", ["0" * 64, "0" * 63, "DIGEST.json", "DIGEST", "letters-1b", "A" * 64])
def test_what_is_no_plan_is_not_found(at: Bench, name: str, monkeypatch: pytest.MonkeyPatch):
    """A plan whose file lies where the server was started is none of the desk's, nor is one by its first digits."""
    name = name.replace("DIGEST.json", f"{at.digest}.json").replace("DIGEST", at.digest[:12])
    monkeypatch.chdir(at.bench.runs)
    (at.bench.runs / f"{at.digest}.json").write_bytes(at.room.plan.data())
    assert ask(at.bench, "GET", f"/api/plans/{name}").status_code == 404
    body = {"digest": "0" * 64, "challenge": "", "cap": CAP, "idempotency_key": "key-00001"}
    assert at.post("launch", body, plan=name).status_code == 404
    for path in ("challenge", "preflight", "dry-run"):
        assert at.post(path, plan=name).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"cap": 430.0},
        {"cap": 430},
        {"cap": None},
        {"challenge": None},
        {"challenge": 1},
        {"digest": "x"},
        {"idempotency_key": ""},
        {"idempotency_key": "$(id)-----"},
        {"more": 1},
    ],
    ids=str,
)
def test_a_body_of_another_form_starts_nothing(at: Bench, change: dict[str, Any]):
    body = {"digest": at.digest, "challenge": at.challenge(), "cap": CAP, "idempotency_key": "key-00001"}
    bodies = [body | change, *({k: v for k, v in body.items() if k != key} for key in body)]
    assert {at.post("launch", one).status_code for one in bodies} == {422}
    assert at.machine.started == []
    assert [line["code"] for line in at.room.desk.audit_lines() if line["action"] == "refused"] == ["body"] * len(
        bodies
    )


def test_of_twenty_at_once_one_starts(at: Bench):
    shared, answers, ready = at.challenge(), [], threading.Barrier(20)
    values = [shared] * 10 + [at.challenge() for _ in range(10)]

    def race(number: int) -> None:
        ready.wait()
        answers.append(at.launch(values[number], key=f"key-{number:05d}").status_code)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == [202] + [409] * 19 and len(at.machine.started) == 1


def test_a_start_that_takes_long_is_answered_once_it_has_begun(at: Bench, monkeypatch: pytest.MonkeyPatch):
    go_on = threading.Event()
    monkeypatch.setattr("picochat.workbench.commands.launching.STARTED_WITHIN_S", 0.01)

    class Slow(RecordingMachine):
        def start(self, plan: LaunchPlan) -> Started:
            assert go_on.wait(10)
            return super().start(plan)

    at.machine = Slow()
    challenge = at.challenge()
    answer = at.launch(challenge)
    assert (answer.status_code, answer.json()["start"]["state"]) == (202, "claimed")
    go_on.set()
    monkeypatch.setattr("picochat.workbench.commands.launching.STARTED_WITHIN_S", 10)
    assert at.launch(challenge).json()["start"]["state"] == at.view()["start"]["state"] == "started"


def test_a_plan_is_shown_in_the_words_of_the_command(at: Bench):
    view, plan = at.view(), at.room.plan
    assert view["lines"] == plan_lines(plan.to_json(), plan.digest())
    assert view["rendering"]["text"] == RENDERINGS["ssh"](plan) and view["checks"] is None
    assert [step["id"] for step in view["steps"]] == ["plan", "preflight", "dry_run", "confirm", "follow", "fetch"]
    assert view["steps"][0]["command"] == (
        "picochat launch plan letters-1b --gpus 8xH100 --rate 3.00 --cap 430.00 --target ssh --host user@gpu-1 "
        "--port 22 --env HF_TOKEN"
    )
    listed = ask(at.bench, "GET", "/api/plans").json()["plans"]
    assert [(plan["digest"], plan["state"], plan["cap_usd"]) for plan in listed] == [(at.digest, "not started", CAP)]


def test_preconditions_are_judged_when_asked_and_grow_stale(at: Bench):
    answer = at.post("preflight")
    assert answer.status_code == 200
    checks = answer.json()["checks"]
    assert checks["verdict"] == "warn" and not checks["stale"] and len(checks["rows"]) == 8
    states = {step["id"]: step["state"] for step in answer.json()["steps"]}
    assert states == {
        "plan": "done",
        "preflight": "done",
        "dry_run": "done",
        "confirm": "next",
        "follow": "waiting",
        "fetch": "waiting",
    }
    at.clock.now += 901
    assert at.view()["checks"]["stale"]


def test_a_dry_run_is_planned_and_judged(at: Bench):
    answer = at.post("dry-run")
    assert answer.status_code == 201 and answer.json()["plan"]["dry_run_of"] == at.digest
    assert answer.json()["plan"]["money"]["cap_usd"] == "43.00"
    judged = at.post("dry-run", {"attach": "letters-1b"}).json()
    rows = {row["id"]: row["verdict"] for row in judged["dry_run"]["checks"]}
    assert rows["dry.resume"] == "not_run" and rows["dry.bound"] == "block" and len(rows) == 8
    assert {step["id"]: step["state"] for step in judged["steps"]}["dry_run"] == "blocked"
    assert at.post("dry-run", {"attach": "no-such-run"}).status_code == 404
    assert at.post("dry-run", {"attach": "../letters-1b"}).status_code == 404


ORDER = {
    "run": "mine",
    "gpus": 8,
    "card": "H100",
    "rate": "3.00",
    "cap": "430.00",
    "target": "ssh",
    "host": "me@gpu-1",
}


@pytest.fixture
def built(at: Bench) -> Bench:
    """A run of the tiny profile whose data is built."""
    store = RunStore(at.bench.runs / "mine")
    shutil.copytree(at.room.store.root, store.root)
    resolved = resolve("tiny", load_profile("tiny").build(), [])
    record = RunRecord(
        schema=schema_tag("run"),
        name="mine",
        profile="tiny",
        gate_profile="research",
        nonce="0" * 32,
        created_at="2026-01-01T00:00:00.000Z",
        config=resolved.config.as_dict(),
        origins=resolved.origins,
        code=RunRecord.from_json(at.room.store.read(layout.RUN), "run").code,
        environment={},
    )
    fs.write_json(store.path(layout.RUN), record.to_json())
    return at


def test_a_plan_is_made_from_typed_fields(built: Bench):
    answer = ask(built.bench, "POST", "/api/plans", ORDER)
    assert answer.status_code == 201, answer.text
    plan = built.room.desk.find_plan(answer.json()["digest"])
    assert (plan.gpus, plan.money.cap_usd, plan.target.host, plan.run) == (8, "430.00", "me@gpu-1", "mine")
    assert built.room.desk.audit_lines()[-1]["action"] == "planned" and built.machine.started == []


@pytest.mark.parametrize(
    "change",
    [
        {"gpus": -1},
        {"gpus": 0},
        {"gpus": "8; rm"},
        {"gpus": "8"},
        {"gpus": 8.5},
        {"gpus": True},
        {"nodes": 3},
        {"card": "--x"},
        {"host": "-oProxyCommand=id"},
        {"host": "a b"},
        {"host": None},
        {"folder": "$(id)"},
        {"python": "-c"},
        {"queue": "--x", "target": "slurm"},
        {"environment": ["A=1"]},
        {"environment": ["-x"]},
        {"rate": "3"},
        {"cap": "-1.00"},
        {"cap": 430.0},
        {"target": "shell"},
        {"image": "latest"},
        {"more": 1},
    ],
    ids=str,
)
def test_a_plan_of_other_fields_is_not_made(built: Bench, change: dict[str, Any]):
    before = built.room.desk.plan_digests()
    answer = ask(built.bench, "POST", "/api/plans", ORDER | change)
    assert answer.status_code == 422, answer.text
    assert built.room.desk.plan_digests() == before


def test_a_plan_of_a_run_that_is_not_there_is_not_made(built: Bench):
    for name in ("nothing", "../mine", "a/b", ""):
        assert ask(built.bench, "POST", "/api/plans", ORDER | {"run": name}).status_code == 404


def test_an_endless_number_is_no_count(built: Bench):
    text = json.dumps(ORDER).replace('"gpus": 8', '"gpus": 1e309')
    route = Route("POST", "api/plans", lambda call: None, "", body=PlanOrder)
    with pytest.raises(Problem) as caught:
        read_body(route, text.encode())
    assert caught.value.status == 422


def test_a_rendering_that_a_target_does_not_take_is_a_state(at: Bench):
    other = sound_plan(target=plan_json()["target"] | {"kind": "hf_jobs", "host": None})
    at.room.desk.add_plan(other)
    view = ask(at.bench, "GET", f"/api/plans/{other.digest()}").json()
    assert view["rendering"]["text"] is None and "image" in view["rendering"]["why"]
