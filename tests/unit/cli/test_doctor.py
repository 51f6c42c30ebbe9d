"""picochat doctor: what it shows of the settings that ranks on GPUs would use."""

import json
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner

from picochat.cli.commands.doctor import doctor
from picochat.distributed.nccl import SETTINGS


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """One setting of the user, no other."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.setenv("NCCL_DEBUG", "INFO")


def see_gpus(monkeypatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(total_memory=80 * 2**30))


def call(*argv: str) -> str:
    done = CliRunner().invoke(doctor, argv)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("gpus", [0, 2])
def test_the_settings_of_nccl_always_stand_in_the_json(monkeypatch, gpus):
    see_gpus(monkeypatch, gpus)
    facts = json.loads(call("--json"))["facts"]
    assert facts["cuda"] == [f"GPU {index}" for index in range(gpus)]
    kinds = {(gpu["memory_bytes"], gpu["capability"], gpu["bf16"], gpu["flash"]) for gpu in facts["cuda_devices"]}
    assert len(facts["cuda_devices"]) == gpus and kinds <= {(80 * 2**30, "9.0", True, True)}
    assert facts["nccl"] == {setting.name: setting.value for setting in SETTINGS} | {"NCCL_DEBUG": "INFO"}


@pytest.mark.parametrize("gpus", [0, 2])
def test_the_table_shows_them_only_where_there_are_gpus(monkeypatch, gpus):
    see_gpus(monkeypatch, gpus)
    rows = {line.split()[0]: line.split()[-1] for line in call().splitlines() if line.strip()}
    shown = {setting.name: rows[setting.name] for setting in SETTINGS if setting.name in rows}
    wanted = {setting.name: setting.value for setting in SETTINGS} | {"NCCL_DEBUG": "INFO"}
    assert shown == (wanted if gpus else {})
    assert "nccl" not in rows and "cuda" in rows
