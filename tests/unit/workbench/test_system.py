"""The machine: the command's document, asked once in a while, and a state of its own where it says nothing."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.support.asgi import ask

from picochat.core.clock import ManualClock
from picochat.workbench import doctor
from picochat.workbench.api.table import ROUTES
from picochat.workbench.app import Application
from picochat.workbench.bench import Workbench
from picochat.workbench.doctor import KEPT_S, Doctor
from picochat.workbench.routing import Router
from picochat.workbench.site import load_site

SAID = {"facts": {"torch": "2", "cuda": []}, "advice": [{"missing": "g++", "fix": "apt-get install g++"}]}


class Command:
    """Takes the place of the process that is started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[Any] = []
        self.says: str | None = json.dumps(SAID)
        monkeypatch.setattr(doctor, "run_quiet", self)

    def __call__(self, argv: Any, timeout_s: float) -> str | None:
        self.asked.append(argv)
        return self.says


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(monkeypatch)


def test_the_command_is_asked_once_in_a_while(command: Command):
    clock = ManualClock(0.0)
    asked = Doctor(clock)
    assert asked.ask() == (SAID["facts"], SAID["advice"], 0.0)
    clock.now += KEPT_S
    assert asked.ask().age_s == KEPT_S and len(command.asked) == 1
    clock.now += 1
    assert asked.ask().age_s == 0 and len(command.asked) == 2
    clock.now += 1
    assert asked.ask(again=True).age_s == 0 and len(command.asked) == 3
    assert command.asked[0][-3:] == ("picochat.cli", "doctor", "--json")


def test_many_who_ask_at_once_wait_for_one_command(monkeypatch: pytest.MonkeyPatch):
    begun, go, count = threading.Event(), threading.Event(), []

    def slow(argv: Any, timeout_s: float) -> str:
        count.append(1)
        begun.set()
        assert go.wait(5)
        return json.dumps(SAID)

    monkeypatch.setattr(doctor, "run_quiet", slow)
    asked, found = Doctor(ManualClock()), []
    threads = [threading.Thread(target=lambda: found.append(asked.ask())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert begun.wait(5)
    go.set()
    for thread in threads:
        thread.join(5)
    assert len(count) == 1 and [said.facts for said in found] == [SAID["facts"]] * 4


def app(runs: Path) -> Application:
    return Application(Workbench(runs), load_site(), Router(ROUTES))


def test_the_answer_is_the_commands_document_and_more(tmp_path: Path, command: Command):
    found = ask(app(tmp_path), "GET", "/api/doctor").document
    assert {key: found[key] for key in SAID} == SAID and found["state"] == "ready"
    assert found["runs_free_bytes"] > 0 and found["runs"] == str(tmp_path)
    assert found["settings"]["read_only"] is False


@pytest.mark.parametrize("says", [None, "", "{", "[]", "{}", '{"facts": 1, "advice": []}', '{"facts": {}}'])
def test_a_command_that_says_nothing_is_a_state(tmp_path: Path, command: Command, says: str | None):
    command.says = says
    found = ask(app(tmp_path), "GET", "/api/doctor").document
    assert (found["state"], found["facts"], found["advice"]) == ("unreadable", None, None)
    assert "picochat doctor" in found["why"]
