"""A question to a process of its own: no answer and a bad end are refusals."""

import io
import json
import sys

import pytest

from picochat.core.asking import answer, ask
from picochat.core.errors import PicochatError, refuse
from picochat.core.subprocesses import run_with_input


def test_a_module_that_is_not_there_ends_early():
    with pytest.raises(PicochatError) as caught:
        ask("picochat.nothing", {}, code="plan.measuring", timeout_s=60)
    assert caught.value.code == "plan.measuring" and "No module named" in caught.value.detail


def test_a_module_that_says_nothing_gave_no_answer():
    with pytest.raises(PicochatError) as caught:
        ask("picochat.core.units", {}, code="plan.measuring", timeout_s=60)
    assert "gave no answer" in caught.value.detail


def speak(monkeypatch, work, question=b'{"a":1}') -> dict:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(question)))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, write_through=True))
    answer(work)
    return json.loads(out.getvalue())


def test_an_answer_is_what_work_makes_of_the_question(monkeypatch):
    assert speak(monkeypatch, lambda question: {"b": question["a"] + 1}) == {"answer": {"b": 2}}


def test_a_refusal_travels_with_its_cure(monkeypatch):
    said = speak(monkeypatch, lambda question: refuse("device.missing", "none here", fix="buy one"))
    assert said["refusal"]["code"] == "device.missing" and said["refusal"]["fix"] == "buy one"
    assert speak(monkeypatch, dict, b"{")["refusal"]["code"] == "json.invalid"


def test_a_command_gets_its_input_and_its_time():
    echo = [sys.executable, "-c", "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.exit(3)"]
    assert run_with_input(echo, b"abc") == (3, b"ABC", "exit code 3")
    slow = run_with_input([sys.executable, "-c", "import time; time.sleep(60)"], b"", timeout_s=0.2)
    assert slow.code is None and "not done after" in slow.complaint
    assert run_with_input(["/does/not/exist"], b"").code is None
