"""The facts of a machine go into reports and fingerprints, so they are what comes back from JSON, to the type."""

import json

import pytest

from picochat.checkpoint.fingerprint import compare_fingerprints
from picochat.core.errors import PicochatError
from picochat.training import machine
from picochat.training.config import MachineConfig
from picochat.training.machine import build_machine


def test_the_facts_of_a_machine_survive_json_unchanged():
    """torch.__version__ is a str of its own class: kept as it is, it made every resume look like another torch."""
    facts = build_machine(MachineConfig(device="cpu", precision="fp32", threads=1)).facts()
    again = json.loads(json.dumps(facts))
    assert [type(value) for value in again.values()] == [type(value) for value in facts.values()]
    assert compare_fingerprints(again, facts) == []


def test_compiling_without_a_compiler_is_refused_before_any_work(monkeypatch):
    monkeypatch.setattr(machine, "cxx_compiler", lambda: None)
    with pytest.raises(PicochatError) as caught:
        build_machine(MachineConfig(device="cpu", compile="on", threads=1))
    assert caught.value.code == "device.compiler"
    assert build_machine(MachineConfig(device="cpu", compile="auto", threads=1)).precision
