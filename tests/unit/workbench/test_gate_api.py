"""What the gate page is told: the rows of gate.json, what is stale, what mends it; judging again is a command."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.support.green_run import GreenRun, judge

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.artifacts.waivers import Waiver, write_waivers
from picochat.core.jsonio import pretty_json
from picochat.views.checks import check_rows
from picochat.workbench.api.gate import ROUTES
from picochat.workbench.app import Application
from picochat.workbench.bench import Workbench
from picochat.workbench.reading import freshness
from picochat.workbench.routing import Router
from picochat.workbench.site import Site

RUN = "blocked"
CORPUS_BYTE = 100


class Talk:
    """A bench on a folder of runs, asked without a socket."""

    def __init__(self, runs: Path) -> None:
        self.bench = Workbench(runs)
        self.client = TestClient(Application(self.bench, Site("0", b"", {}), Router(ROUTES)))

    def get(self, path: str, status: int = 200) -> Any:
        answer = self.client.get(f"/api/runs/{RUN}/{path}")
        assert answer.status_code == status, answer.text
        return answer.json()

    def gate(self) -> dict[str, Any]:
        return self.get("checks")["sets"]["gate"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a scripted model that answers too little, judged as a release."""
    root = tmp_path_factory.mktemp("built") / RUN
    GreenRun(root, name=RUN, rates={"eval": 0.2, "heldout": 0.2, "fit": 0.9}, profile="skill_release").build(n=100)
    judge(root, "skill_release")
    return root


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    root = tmp_path / RUN
    shutil.copytree(built, root)
    return root


@pytest.fixture
def talk(root: Path) -> Talk:
    return Talk(root.parent)


def test_the_rows_are_those_of_gate_json_the_worst_first(talk: Talk, root: Path) -> None:
    stored, found = json.loads((root / layout.GATE).read_bytes()), talk.gate()
    assert (found["state"], found["verdict"], found["profile"]) == ("ready", "blocked", "skill_release")
    assert found["weights_digest"] == stored["weights_digest"] and found["profile_digest"] == stored["profile_digest"]
    by_id = {check["id"]: check for check in stored["checks"]}
    assert {row["id"] for row in found["rows"]} == by_id.keys()
    words = {row.id: row for row in check_rows(stored["checks"])}
    for row in found["rows"]:
        check, shown = by_id[row["id"]], words[row["id"]]
        assert row["values"] == {key: check[key] for key in row["values"]}
        assert (row["verdict"], row["measured"], row["why"]) == (shown.verdict, shown.measured, shown.why)
        assert row["required"] == check["required"] and row["title"]
    verdicts = [(row["verdict"], row["required"]) for row in found["rows"]]
    required = [place for place, row in enumerate(verdicts) if row == ("not_run", True)]
    assert verdicts[0][0] == "block" and required
    assert max(required) < min(place for place, row in enumerate(verdicts) if row[0] == "warn")
    advisory = [place for place, row in enumerate(verdicts) if row == ("not_run", False)]
    assert advisory and min(advisory) > max(place for place, row in enumerate(verdicts) if row[0] == "warn")
    assert verdicts[-1][0] == "pass" and sum(found["counts"].values()) == len(verdicts)
    assert found["command"] == f"picochat gate {root} --profile skill_release"
    assert not found["stale"]["is"] and found["stale"]["checked"] > 20


def test_fixes_name_this_run(talk: Talk, root: Path) -> None:
    rows = talk.gate()["rows"]
    present = next(row for row in rows if row["id"] == "external.present")
    assert f"--run {root}" in present["fix"] and f"picochat gate {root}" in present["fix"]
    assert not any(" RUN" in row["fix"] for row in rows)


@pytest.mark.parametrize("change", ["longer", "same size", "gone"])
def test_another_corpus_makes_the_verdict_stale(talk: Talk, root: Path, change: str) -> None:
    assert talk.gate()["stale"]["is"] is False
    path = root / layout.CORPUS
    data = bytearray(path.read_bytes())
    data[CORPUS_BYTE] ^= 1
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(data + (b"more" if change == "longer" else b""))
    found = talk.gate()
    assert found["stale"]["is"] and found["verdict"] == "blocked", "the old verdict stays beside it"
    assert {"path": layout.CORPUS, "how": "gone" if change == "gone" else "changed"} in found["stale"]["changed"]


def test_a_changed_report_names_its_rows_and_other_weights_are_seen(talk: Talk, root: Path) -> None:
    path = root / layout.report_path(layout.BASE)
    path.write_bytes(path.read_bytes() + b"\n")
    found = talk.gate()
    assert "budget.target_ratio" in found["stale"]["rows"] and "skill.spelling" not in found["stale"]["rows"]
    assert {row["id"] for row in found["rows"] if row["stale"]} == set(found["stale"]["rows"])
    GreenRun.reopen(root, seed=7, name=RUN).write_training(layout.SFT)
    how = [entry["how"] for entry in talk.gate()["stale"]["changed"] if entry["path"].endswith(layout.CKPT_MANIFEST)]
    assert any(text.startswith("names weights") for text in how)


def test_a_large_file_is_hashed_only_when_it_is_newer(talk: Talk, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "ALWAYS_BYTES", 100)
    path = root / layout.CORPUS
    data = bytearray(path.read_bytes())
    data[CORPUS_BYTE] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))
    found = talk.gate()["stale"]
    assert layout.CORPUS in found["unhashed"] and layout.CORPUS not in [entry["path"] for entry in found["changed"]]
    path.touch()
    assert layout.CORPUS in [entry["path"] for entry in talk.gate()["stale"]["changed"]]


def test_nothing_outside_of_the_run_is_read(talk: Talk, root: Path) -> None:
    outside = root.parent / "outside.txt"
    outside.write_bytes((root / layout.CORPUS).read_bytes())
    (root / layout.CORPUS).unlink()
    (root / layout.CORPUS).symlink_to(outside)
    assert {"path": layout.CORPUS, "how": "gone"} in talk.gate()["stale"]["changed"]
    (root / layout.GATE).rename(root.parent / "gate.json")
    (root / layout.GATE).symlink_to(root.parent / "gate.json")
    assert talk.gate()["state"] == "unreadable"
    (root / layout.GATE).unlink()
    os.mkfifo(root / layout.GATE)
    assert talk.gate()["state"] == "unreadable"


def rewrite(root: Path, change: dict[str, Any]) -> None:
    body = json.loads((root / layout.GATE).read_bytes()) | change
    (root / layout.GATE).write_bytes(pretty_json(body))


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (None, "missing"),
        (b'{"verdict": "appro', "unreadable"),
        (b"[]", "unreadable"),
        (b"{}", "unreadable"),
        (b'{"schema": {"name": "gate", "version": 99}}', "other_version"),
    ],
)
def test_a_missing_torn_or_foreign_gate_is_a_state(talk: Talk, root: Path, data: bytes | None, state: str) -> None:
    (root / layout.GATE).unlink()
    if data is not None:
        (root / layout.GATE).write_bytes(data)
    found = talk.gate()
    assert found["state"] == state and found["why"]
    assert (found["verdict"], found["rows"], found["stale"]["is"]) == (None, [], None)
    assert talk.get("repair")["steps"] == []
    assert found["command"] == f"picochat gate {root} --profile skill_release"


def test_an_edited_verdict_is_not_shown(talk: Talk, root: Path) -> None:
    rewrite(root, {"verdict": "approved"})
    found = talk.gate()
    assert found["state"] == "changed" and found["verdict"] is None and found["rows"] == []


def test_before_and_after_are_set_side_by_side(talk: Talk, root: Path) -> None:
    assert talk.gate()["previous"] is None
    judge(root, "research")
    previous = talk.gate()["previous"]
    assert (previous["verdict"], previous["profile"], previous["file"]) == ("blocked", "skill_release", "gate.001.json")
    changes = {change["id"]: change for change in previous["changes"]}
    assert changes["skill.spelling"]["before"]["verdict"] == "block"
    assert changes["skill.spelling"]["after"]["verdict"] == "warn"
    assert "verify.chain" not in changes


def test_waivers_are_shown_and_only_what_may_be_waived_has_a_command(talk: Talk, root: Path) -> None:
    when = "2026-01-01T00:00:00.000Z"
    waiver = Waiver(check="skill.spelling", by="Ada", reason="agreed", until="2999-01-01", given_at=when)
    write_waivers(RunStore(root), [waiver])
    judge(root, "skill_release")
    found = talk.gate()
    rows = {row["id"]: row for row in found["rows"]}
    assert rows["skill.spelling"]["verdict"] == "waived" and rows["skill.spelling"]["waive"] is None
    assert rows["skill.spelling"]["waiver"] == "waived by Ada until 2999-01-01: agreed"
    assert found["waivers"][0]["effect"] == "waives" and found["verdict"] == "blocked"
    command = rows["skill.choice"]["waive"]
    assert command.startswith(f"picochat gate {root} --profile skill_release --waive skill.choice --by NAME")
    (root / layout.SFT / layout.SAMPLES).write_bytes(b"{}\n")
    judge(root, "skill_release")
    broken = next(row for row in talk.gate()["rows"] if row["id"] == "verify.chain")
    assert broken["verdict"] == "block" and broken["waive"] is None, "what the numbers rest on is never let go"


def test_repairs_come_in_order_with_commands_for_this_run(talk: Talk, root: Path) -> None:
    found = talk.get("repair")
    assert [step["room"] for step in found["steps"]] == ["sft", "benchmark"]
    first, second = found["steps"]
    assert "skill.spelling" in first["checks"] and first["stale"] == ["evaluate", "gate"]
    assert first["new_run"] == f"{root}-2" and first["seconds"] is not None
    assert second["commands"][0] == f"picochat eval benchmark blimp --data FOLDER_WITH_BLIMP --run {root}"
    assert second["commands"][1] == f"picochat gate {root} --profile skill_release"
    assert second["blanks"] == ["FOLDER_WITH_BLIMP"]
    (root.parent / f"{RUN}-2").mkdir()
    assert talk.get("repair")["steps"][0]["new_run"] == f"{root}-3"


def test_one_check_is_explained_from_what_was_judged(talk: Talk, root: Path) -> None:
    found = talk.get("explain?check=budget.target_ratio")
    assert found["result"]["verdict"] == "pass" and found["evidence"][0]["found"] == 10240
    assert found["command"] == f"picochat gate {root} --explain budget.target_ratio --profile skill_release"
    assert talk.get("explain?check=skill.spelling")["passes"]["needed"] > 0
    assert talk.get("explain?check=no.such", 404)["code"] == "gate.check"


def test_preflight_is_shown_whole_and_goes_stale_with_its_settings(talk: Talk, root: Path) -> None:
    found = talk.get("checks?set=gate,preflight")["sets"]["preflight"]
    assert found["state"] == "ready" and found["verdict"] == "pass" and found["duration_s"] == 1.0
    assert found["inputs"] == [{**found["inputs"][0], "path": layout.RUN, "state": "unchanged"}]
    body = json.loads((root / layout.RUN).read_bytes())
    (root / layout.RUN).write_bytes(pretty_json(body | {"config": {"seed": 99}}))
    stale = talk.get("checks?set=preflight")["sets"]["preflight"]["stale"]
    assert stale["is"] and {"path": layout.RUN, "how": "has other settings"} in stale["changed"]


@pytest.mark.parametrize("query", ["set=other", "set=gate,gate", "set=", "sort=x"])
def test_a_question_that_is_none(talk: Talk, query: str) -> None:
    talk.get(f"checks?{query}", 422)


class Started:
    """Processes that only remember what they were asked to start."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], str | None]] = []

    def start(self, argv: list[str], *, run: str | None, title: str) -> Any:
        self.asked.append((argv, run))
        return type("Process", (), {"id": "p-1"})()


def test_judging_again_is_a_command(talk: Talk, root: Path) -> None:
    started = Started()
    talk.bench.processes = started  # type: ignore[assignment]
    answer = talk.client.post(f"/api/runs/{RUN}/gate", json={"profile": "research"})
    assert (answer.status_code, answer.json()) == (202, {"process": "p-1"})
    assert started.asked == [(["gate", str(root), "--profile", "research", "--json"], RUN)]
    talk.client.post(f"/api/runs/{RUN}/gate", json={"check": "sft.fit"})
    assert started.asked[1][0] == ["gate", str(root), "--explain", "sft.fit", "--json"]
    for body, status in (({"profile": "--json"}, 422), ({"check": "no.such"}, 404), ({"more": 1}, 422)):
        assert talk.client.post(f"/api/runs/{RUN}/gate", json=body).status_code == status
    assert len(started.asked) == 2
