import os

import click
import pytest

from picochat.cli.cross_check import OFFLINE_VARIABLES, offline, parse_tasks


def test_tasks_with_their_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_tasks("blimp, text,blimp", ("blimp=rows=1",), 5) == [
        {"task": "blimp", "data": str(tmp_path / "rows=1"), "limit": 5},
        {"task": "text", "data": None, "limit": 5},
    ]


@pytest.mark.parametrize(
    ("tasks", "places", "said"),
    [
        ("blimp", (), "--data blimp=PATH"),
        ("text", ("text=",), "--data text=PATH"),
        ("text", ("arc=rows",), "without arc in --tasks"),
        ("poem", (), "'poem' is no task"),
        ("text", ("folder",), "'folder' is no task"),
        (" ,", (), "is no task"),
    ],
)
def test_a_task_that_cannot_be_run_is_refused(tasks, places, said):
    with pytest.raises(click.UsageError, match=said):
        parse_tasks(tasks, places, None)


def test_the_network_is_off_inside_and_as_before_outside(monkeypatch):
    monkeypatch.setenv(OFFLINE_VARIABLES[0], "no")
    monkeypatch.delenv(OFFLINE_VARIABLES[1], raising=False)
    with offline():
        assert [os.environ[name] for name in OFFLINE_VARIABLES] == ["1"] * 3
    assert os.environ[OFFLINE_VARIABLES[0]] == "no" and OFFLINE_VARIABLES[1] not in os.environ
