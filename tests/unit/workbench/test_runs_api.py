"""The list, the overview, files, configurations and comparisons over HTTP, without a socket."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.green_run import GreenRun, judge
from tests.support.web_runs import many_runs

from picochat.artifacts import layout
from picochat.core.clock import ManualClock
from picochat.views.runs import run_list as run_list_view
from picochat.workbench.api import runs as runs_api
from picochat.workbench.api.table import ROUTES
from picochat.workbench.app import Application
from picochat.workbench.bench import Workbench
from picochat.workbench.routing import Router
from picochat.workbench.site import Site

SITE = Site("0", b"", {})


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("green") / "green"
    GreenRun(root, rates={"eval": 0.7}).build(n=40)
    judge(root)
    return root


class Api:
    """Asks one workbench."""

    def __init__(self, folder: Path) -> None:
        self.bench = Workbench(folder)
        self.app = Application(self.bench, SITE, Router(ROUTES))

    def get(self, path: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.get(f"/api/{path}")

        return asyncio.run(ask())

    def document(self, path: str) -> Any:
        response = self.get(path)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
def api(tmp_path: Path) -> Api:
    folder = tmp_path / "runs"
    folder.mkdir()
    return Api(folder)


def test_nothing_hides_another_run(api: Api, green: Path, tmp_path: Path) -> None:
    folder = api.bench.runs
    shutil.copytree(green, folder / "good")
    torn = folder / "torn"
    torn.mkdir()
    (torn / layout.RUN).write_text('{"profile": "ti')
    (folder / "empty").mkdir()
    (folder / "<img src=x onerror=alert(1)>").mkdir()
    (folder / "a\nb\u202e").mkdir()
    (folder / ".picochat").mkdir()
    (folder / "a-file").write_text("")
    (folder / "linked").symlink_to(green)
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    young = folder / "young"
    young.mkdir()
    (young / layout.STATUS).write_text('{"state": "stopped"}')
    found = api.document("runs")
    assert {line["name"]: line["state"] for line in found["runs"]} == {
        "good": "unknown",
        "torn": "unreadable",
        "young": "stopped",
    }
    others = {entry["name"]: entry["why"] for entry in found["others"]}
    assert others.keys() == {"empty", "<img src=x onerror=alert(1)>", "a\nb\u202e", "linked"}
    assert "link" in others["linked"] and layout.RUN in others["empty"]


def test_a_folder_that_may_not_be_read_is_a_line_with_the_reason(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    many_runs(api.bench.runs, 2)
    readable = os.access
    monkeypatch.setattr(runs_api.os, "access", lambda path, mode: "run-001" not in str(path) and readable(path, mode))
    lines = api.document("runs")["runs"]
    assert [line["state"] for line in lines] == ["finished", "unreadable"]
    assert lines[1]["unreadable"] == [{"file": ".", "why": "the folder may not be read"}]
    assert lines[0].keys() == lines[1].keys()


def test_a_list_without_a_folder_is_empty(tmp_path: Path) -> None:
    assert Api(tmp_path / "absent").document("runs")["runs"] == []


def test_a_run_is_read_again_only_when_one_of_its_files_is_another_one(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_runs(api.bench.runs, 3)
    read = []
    original = run_list_view.read_run_line
    monkeypatch.setattr(runs_api, "read_run_line", lambda root, *more: read.append(root.name) or original(root, *more))
    first = api.get("runs")
    assert read == ["run-000", "run-001", "run-002"]
    second = api.get("runs")
    assert len(read) == 3 and second.headers["etag"] == first.headers["etag"]
    (api.bench.runs / "run-001" / layout.GATE).write_text('{"verdict": "blocked", "profile": "research"}\n')
    assert api.get("runs").json()["runs"][1]["state"] == "blocked"
    assert read[3:] == ["run-001"]


def test_a_run_of_another_host_is_stalled_when_its_heart_stands_still(tmp_path: Path) -> None:
    api, clock = Api(tmp_path), ManualClock(100.0)
    api.bench.clock = clock
    (tmp_path / "far").mkdir()

    def beat(number: int) -> str:
        status = {"state": "running", "host": "elsewhere", "pid": 1, "heartbeat": number, "beat_at_s": 1.0}
        (tmp_path / "far" / layout.STATUS).write_text(json.dumps(status))
        return api.document("runs")["runs"][0]["state"]

    assert beat(1) == "running"
    clock.now += 5.0
    assert api.document("runs/far")["run"]["state"] == "running"
    clock.now += 2.0
    assert api.document("runs")["runs"][0]["state"] == "stalled"
    assert api.document("runs/far")["run"]["state"] == "stalled", "the list and the run say the same"
    assert beat(2) == "running"


def test_the_overview_says_where_what_blocks_and_what_next(api: Api, green: Path) -> None:
    root = Path(shutil.copytree(green, api.bench.runs / "green"))
    found = api.document("runs/green")
    assert [step["name"] for step in found["rail"]][-1] == "gate"
    assert found["blocker"] is None and found["next"]["state"] == "approved"
    assert found["facts"]["tokens"] == {"stage": "sft", "seen": 10240, "planned": 10240}
    assert found["facts"]["cost"] == {"spent_usd": None, "cap_usd": None}
    assert {file["name"] for file in found["files"]} == {
        "report.html", "summary.md", "summary.json", "model_card.md", "gate.json", "preflight.json", "run.json",
    }  # fmt: skip
    judge(root, "skill_release")
    found = api.document("runs/green")
    gate = json.loads((root / layout.GATE).read_text())
    blocking = {
        c["id"] for c in gate["checks"] if c["verdict"] == "block" or (c["required"] and c["verdict"] == "not_run")
    }
    assert found["run"]["state"] == "blocked"
    assert found["blocker"]["id"] in blocking and found["blocker"]["others"] == len(blocking) - 1
    assert {name for step in found["rail"] for name in step["blocking"]} == blocking
    assert found["blocker"]["id"] in found["next"]["sentence"]
    assert str(root) in found["next"]["command"] or "picochat eval" in found["next"]["command"]


@pytest.mark.parametrize("name", ["absent", "linked", "%2e%2e", "a%0ab", "%252e"])
def test_what_is_no_run_is_404(api: Api, green: Path, name: str) -> None:
    (api.bench.runs / "linked").symlink_to(green)
    for path in (f"runs/{name}", f"runs/{name}/config", f"runs/{name}/files/run.json", f"compare?runs={name},{name}"):
        assert api.get(path).status_code == 404, path


def test_files_are_sent_so_that_they_can_do_nothing(api: Api, green: Path) -> None:
    root = Path(shutil.copytree(green, api.bench.runs / "green"))
    report = api.get("runs/green/files/report.html")
    assert report.content == (root / layout.REPORT_HTML).read_bytes()
    policy = report.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'") and "script" not in policy
    for name in ("summary.md", "model_card.md", "run.json", "gate.json", "summary.json"):
        sent = api.get(f"runs/green/files/{name}")
        assert sent.content == (root / name).read_bytes()
        assert sent.headers["content-disposition"] == f'attachment; filename="green-{name}"'
        assert sent.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name", ["corpus.txt", "status.json", "events.jsonl", "tokenizer.json", "%2e%2e", "run.json%00"]
)
def test_other_files_are_not_offered(api: Api, green: Path, name: str) -> None:
    shutil.copytree(green, api.bench.runs / "green")
    assert api.get(f"runs/green/files/{name}").status_code == 404


def test_an_offered_file_that_is_a_link_or_a_pipe_is_not_sent(api: Api, green: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(green, api.bench.runs / "green"))
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for name in (layout.SUMMARY_MD, layout.MODEL_CARD):
        (root / name).unlink()
    (root / layout.SUMMARY_MD).symlink_to(secret)
    os.mkfifo(root / layout.MODEL_CARD)
    for name in (layout.SUMMARY_MD, layout.MODEL_CARD):
        assert api.get(f"runs/green/files/{name}").status_code == 404
    offered = {file["name"] for file in api.document("runs/green")["files"]}
    assert not offered & {layout.SUMMARY_MD, layout.MODEL_CARD}


def write_record(root: Path, **record: Any) -> None:
    root.mkdir()
    (root / layout.RUN).write_text(json.dumps(record))


def test_a_configuration_is_set_against_profile_parent_and_another_run(api: Api) -> None:
    folder = api.bench.runs
    write_record(folder / "trunk", profile="tiny", config={"seed": 1}, origins={"seed": "profile tiny"})
    branch = {"seed": 2, "base": {"branch": str(folder / "trunk" / "base" / "kept" / "step-00000100")}}
    write_record(folder / "branch", profile="tiny", config=branch, origins={"seed": "--set"})
    write_record(folder / "odd", profile="giant", config={"seed": 1}, origins={})
    (folder / "torn").mkdir()
    (folder / "torn" / layout.RUN).write_text("{")

    profile = api.document("runs/branch/config")
    assert (profile["state"], profile["parent"], profile["sides"]) == ("ready", "trunk", ["profile tiny", "branch"])
    parent = api.document("runs/branch/config?against=parent")
    assert [row["key"] for row in parent["rows"]] == ["base.branch", "seed"]
    assert parent["rows"][1]["origins"] == ["profile tiny", "--set"]
    other = api.document("runs/trunk/config?against=run&other=odd&every=true")
    assert [(row["key"], row["differs"]) for row in other["rows"]] == [("seed", False)]

    assert api.document("runs/odd/config")["state"] == "unknown"
    assert api.document("runs/torn/config")["state"] == "unreadable"
    assert api.get("runs/trunk/config?against=parent").status_code == 404
    assert api.get("runs/trunk/config?against=run&other=torn").status_code == 409
    assert api.get("runs/trunk/config?against=run&other=..").status_code == 404
    assert api.get("runs/trunk/config?against=nobody").status_code == 422


def test_a_parent_outside_of_the_folder_is_not_looked_into(api: Api, tmp_path: Path) -> None:
    write_record(tmp_path / "elsewhere", profile="tiny", config={"secret": 1}, origins={})
    config = {"sft": {"base": str(tmp_path / "elsewhere" / "base" / "checkpoint")}}
    write_record(api.bench.runs / "sft", profile="tiny", config=config, origins={})
    write_record(api.bench.runs / "elsewhere", profile="tiny", config={"of": "the same name"}, origins={})
    assert api.document("runs/sft/config")["parent"] is None
    assert api.get("runs/sft/config?against=parent").status_code == 404


def test_runs_are_compared_by_name(api: Api, green: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(green, api.bench.runs / name)
    found = api.document("compare?runs=a,b")
    assert [run["name"] for run in found["runs"]] == ["a", "b"]
    assert found["pairs"]["eval"]["against"][0]["discordant_rows"] == 0
    assert api.get("compare?runs=a").status_code == 422
    assert api.get("compare?runs=a,a").status_code == 422
    assert api.get("compare?runs=" + ",".join("abcdefghi")).status_code == 404
    assert api.get("compare").status_code == 422
