from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.green_run import GreenRun, judge
from tests.support.web_runs import many_runs

from picochat.artifacts import layout
from picochat.cli.app import cli
from picochat.workbench.api.runs import list_runs, show_run
from picochat.workbench.bench import Workbench
from picochat.workbench.routing import Call


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs") / "green"
    GreenRun(root).build(n=40)
    judge(root)
    return root


def call(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


def test_the_list_of_the_terminal_is_the_list_of_the_page(tmp_path: Path, green: Path) -> None:
    shutil.copytree(green, tmp_path / "green")
    many_runs(tmp_path, 3)
    shown = json.loads(call("runs", "--dir", tmp_path, "--json").stdout)
    page = json.loads(list_runs(Call(Workbench(tmp_path), {}, None, None, "")).body)["runs"]
    assert {line["name"]: {k: v for k, v in line.items() if k != "run"} for line in shown} == {
        line["name"]: line for line in page
    }


def test_the_table_names_every_run_and_every_broken_file(tmp_path: Path, green: Path) -> None:
    shutil.copytree(green, tmp_path / "green")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / layout.STATUS).write_text("{")
    text = call("runs", "--dir", tmp_path).stdout
    assert "1.500 at 20" in text and "unreadable" in text
    assert "torn: status.json: is not strict JSON" in text
    assert "no runs in" in call("runs", "--dir", tmp_path / "green" / "base").stdout


def test_the_next_action_is_the_same_text_everywhere(tmp_path: Path, green: Path) -> None:
    root = Path(shutil.copytree(green, tmp_path / "green"))
    page = show_run(Call(Workbench(tmp_path), {"run": "green"}, None, None, ""))["next"]
    assert json.loads(call("status", root, "--json").stdout)["next_action"] == page
    text = call("status", root).stdout
    assert page["sentence"] in text and page["command"] in text
    assert f"{root}: unknown, approved under research" in text


def test_a_rate_that_is_not_known_is_a_dash(tmp_path: Path, green: Path) -> None:
    root = Path(shutil.copytree(green, tmp_path / "green"))
    status = {"state": "stopped", "stage": "base", "step": 5, "steps": 9, "spent_usd": 1.5, "cap_usd": 4.0}
    (root / layout.STATUS).write_text(json.dumps(status | {"error": {"code": "run.stopped", "detail": "asked"}}))
    text = call("status", root).stdout
    assert "step 5 of 9, — tokens/s" in text
    assert "$1.50 of $4.00 spent" in text
    assert "It was stopped (asked)" in text


def test_one_run_is_set_beside_its_profile_and_two_beside_each_other(tmp_path: Path, green: Path) -> None:
    other = Path(shutil.copytree(green, tmp_path / "other"))
    record = json.loads((other / layout.RUN).read_text())
    record["config"]["seed"] = 9
    (other / layout.RUN).write_text(json.dumps(record))
    alone = call("compare", other)
    assert alone.exit_code == 0 and "seed" in alone.stdout
    assert call("compare", green, other, "--toml").stdout == "seed = 9\n"
    found = json.loads(call("compare", green, other, "--json").stdout)
    assert [row["key"] for row in found["config"]["rows"]] == ["seed"]
    text = call("compare", green, other).stdout
    assert "differences are to A" in text and "1 of 1 keys differ" in text
