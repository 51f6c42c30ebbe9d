"""Token budget, launch readiness and prediction: the numbers of the commands, and nothing ready that was not judged."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient
from tests.support.ladders import TEXT, make_ladder
from tests.support.launch_plans import sound_plan
from tests.support.prepared_runs import DOCTOR, Configured, judge_before, prepared_run

from picochat.artifacts import layout
from picochat.artifacts.reports import Manifest
from picochat.artifacts.store import RunStore
from picochat.cli.app import cli
from picochat.core.config import flatten, merge, nest
from picochat.core.jsonio import jsonl_bytes, pretty_json
from picochat.evals.scaling.prediction import check_prediction, predict_loss
from picochat.judgement.documents import Document
from picochat.judgement.preflight.judge import MACHINE_CHECKS
from picochat.pipeline.launch import readiness
from picochat.pipeline.launch.desk import LaunchDesk
from picochat.views.gate.budget import Budget, budget_json, budget_rows
from picochat.workbench import doctor
from picochat.workbench.api import readiness as api
from picochat.workbench.app import Application
from picochat.workbench.bench import Workbench
from picochat.workbench.routing import Router
from picochat.workbench.site import Site


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A run whose data is built and that is not trained yet."""
    return prepared_run(tmp_path / "made")


@pytest.fixture
def asked(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(doctor, "ask_doctor", lambda: {"facts": DOCTOR, "advice": []})
    bench = Workbench(root.parent)
    client = TestClient(Application(bench, Site("0", b"", {}), Router(api.ROUTES)))

    def ask(what: str) -> Any:
        answer = client.get(f"/api/runs/made/{what}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


def test_the_budget_equals_the_plan_and_the_gate(asked: Any) -> None:
    found = asked("budget")
    words = shlex.split(found["command"])
    assert words[:3] == ["picochat", "plan", "tiny"] and "base.loop.tokens=2000000" in words
    plan = json.loads(CliRunner().invoke(cli, words[1:]).output)
    assert found["parameters"] == plan["parameters"]
    assert found["planned_tokens"] == plan["stages"][0]["tokens"]
    assert found["planned_ratio"] == plan["tokens_per_parameter"]
    assert found["asked_tokens"] == 2_000_000 and found["target_tokens"] == 20 * plan["parameters"]
    assert found["used_tokens"] is None and found["gate"] is None
    assert [mark["used"] for mark in found["marks"]] == [None, None]
    assert [mark["planned"] for mark in found["marks"]] == [False, False]


def test_tokens_are_used_while_base_trains_and_when_it_ended(root: Path, asked: Any) -> None:
    steps = [{"kind": "step", "stage": "base", "tokens": tokens} for tokens in (4096, 8192)]
    (root / layout.EVENTS).write_bytes(jsonl_bytes([*steps, {"kind": "eval", "stage": "base"}]) + b'{"kind": "step"')
    assert asked("budget")["used_tokens"] == 8192
    run = Configured(root)
    run.write_training(layout.BASE)
    found = asked("budget")
    assert (found["used_tokens"], found["unique_tokens"], found["unique_from"]) == (10240, 5000, "base/report.json")
    assert found["used_epochs"] == 10240 / 5000


def test_nothing_is_known_of_a_torn_run(root: Path, asked: Any) -> None:
    (root / layout.RUN).write_text('{"conf')
    found = asked("budget")
    assert found["parameters"] is None and found["why"] and found["marks"][0]["tokens"] is None
    ready = asked("readiness")
    assert ready["state"] == "unreadable" and ready["why"] and ready["targets"] == []


def test_budget_arithmetic_and_words() -> None:
    known = Budget(100, 20.0, 1_900, 1_800, 900.0, (800.0, 1_000.0), "corpus.txt", 1_000)
    found = budget_json(known)
    assert (found["target_tokens"], found["planned_frac"], found["planned_epochs"]) == (2_000, 0.9, 2.0)
    assert found["marks"][0] == {"frac": 0.9, "tokens": 1_800, "planned": True, "used": False}
    assert dict(budget_rows(found))["unique"] == "900 (800 to 1,000, estimated)"
    empty = budget_json(Budget())
    assert empty["target_tokens"] is None and dict(budget_rows(empty))["parameters"] == "—"


def targets(asked: Any) -> dict[str, dict[str, Any]]:
    return {target["name"]: target for target in asked("readiness")["targets"]}


def test_a_target_with_a_check_that_did_not_run_is_not_ready(asked: Any, root: Path) -> None:
    found = targets(asked)
    assert list(found) == ["local", "one_gpu", "eight_gpus"]
    assert {target["ready"] for target in found.values()} == {"not_ready"}
    row = next(row for row in found["local"]["rows"] if row["id"] == "launch.judged")
    assert (row["verdict"], row["required"], row["fix"]) == ("not_run", True, f"picochat preflight {root}")
    assert found["one_gpu"]["gpus"] == "1xh100-sxm" and "--gpus 1xh100-sxm" in found["one_gpu"]["rows"][0]["fix"]


def test_local_follows_preflight_and_goes_stale_with_the_text(root: Path, asked: Any) -> None:
    body = judge_before(root)
    local = targets(asked)["local"]
    stops = [check for check in body["checks"] if check["required"] and check["verdict"] in ("block", "not_run")]
    blocked = [check["id"] for check in stops]
    assert local["missing"] == [name for name in blocked if name not in MACHINE_CHECKS]
    assert local["ready"] == ("not_ready" if local["missing"] else "ready")
    (root / layout.CHAT_TRAIN).write_bytes((root / layout.CHAT_TRAIN).read_bytes() + b"\n")
    assert "launch.judged" in targets(asked)["local"]["missing"]


def test_a_rented_machine_wants_release_limits_a_plan_and_money(root: Path, asked: Any) -> None:
    judge_before(root, "research")
    (row,) = [row for row in targets(asked)["eight_gpus"]["rows"] if row["id"] == "launch.judged"]
    assert row["verdict"] == "not_run" and "limits" in row["why"]
    for path in (layout.PREFLIGHT, layout.PREFLIGHT_MD):
        (root / path).unlink()
    judge_before(root, "skill_release")
    found = targets(asked)["eight_gpus"]
    assert {"cost.cap", "launch.planned", "world.size"} <= set(found["missing"]) and "launch.judged" not in found[
        "missing"
    ]
    desk = LaunchDesk(root.parent)
    desk.add_plan(sound_plan(run="made", card="h100-sxm"))
    (desk.plan_path("x").parent / "broken.json").write_text("{")
    found = targets(asked)["eight_gpus"]
    assert found["plan"] and "launch.planned" not in found["missing"] and "cost.cap" not in found["missing"]
    assert {"launch.dry_run", "launch.ceiling", "launch.preflight"} <= set(found["missing"])
    assert targets(asked)["one_gpu"]["plan"] is None


def test_a_silent_doctor_leaves_the_machine_unknown(root: Path) -> None:
    question = readiness.ask_readiness(RunStore(root), LaunchDesk(root.parent), None)
    local = readiness.judge_targets(question)[0]
    unknown = {check.id for check in local.checks if check.verdict == "not_run"}
    assert {"memory.fits", "device.kind"} <= unknown and local.ready == "not_ready"


def test_a_step_that_eight_cannot_share_cannot_be_planned(root: Path) -> None:
    store = RunStore(root)
    record = store.read(layout.RUN)
    values = flatten(record["config"]) | {"base.loop.tokens_per_step": 128, "base.loop.micro_batch_size": 1}
    config: dict[str, Any] = {}
    for key, value in values.items():
        config = merge(config, nest(key, value))
    store.write(layout.RUN, pretty_json(record | {"config": config}))
    target = readiness.judge_targets(readiness.ask_readiness(store, LaunchDesk(root.parent), DOCTOR))[2]
    assert target.ready == "not_ready" and target.checks[-1].measured == "cannot be planned"


def test_a_trained_run_is_judged_in_another_one(root: Path) -> None:
    Configured(root).write_training(layout.BASE)
    question = readiness.ask_readiness(RunStore(root), LaunchDesk(root.parent), DOCTOR)
    assert question.prepare == (
        f"picochat run tiny --out-dir {root.parent / 'made-2'} --preflight-only --set base.loop.tokens=2000000"
    )


def test_no_prediction_is_a_state(root: Path, asked: Any) -> None:
    assert asked("prediction")["state"] == "missing"
    (root / layout.PREDICTION).write_text('{"torn')
    assert asked("prediction")["state"] == "unreadable"


N, D = 754_816, 1_998_848
"""Parameters of the tiny profile, and the whole steps of the tokens that the made run asks for."""
SAID = "p" * 64


def documents(factor: float) -> dict[str, Document]:
    """A prediction for the made run, a base training that came to `factor` of it, and the comparison."""
    rungs = make_ladder(noise=0.005)
    said = {"rungs": [rung.to_json() for rung in rungs], "text": TEXT, "rules_differ": [], **predict_loss(rungs, N, D)}
    refs = [
        {"kind": kind, "path": layout.PREDICTION if kind == "prediction" else kind, "bytes": 1, "sha256": digest}
        for kind, digest in (TEXT | {"prediction": SAID}).items()
    ]
    code = {"version": "0", "git_commit": None, "git_dirty": None, "package_digest": "0"}
    manifest: dict[str, Any] = {"stage": "s", "attempt": 1, "started_at": "", "finished_at": "", "duration_s": 0.0}
    manifest |= {"run_digest": "0", "code": code, "environment": {}, "config": "0", "inputs": refs, "outputs": []}
    bpb = said["predicted"]["bpb"] * factor
    base: dict[str, Any] = {"validation": {"bpb": bpb, "bpb_se": 0.01, "loss": 3.0, "loss_se": 0.01}}
    base |= {"model": {"parameters": N}, "training": {"tokens_seen": D}, "manifest": manifest}
    check = check_prediction(said, SAID, base)
    return {
        layout.PREDICTION: Document(layout.PREDICTION, said, None, SAID, ""),
        layout.PREDICTION_CHECK: Document(layout.PREDICTION_CHECK, check, None, "k" * 64, ""),
        layout.report_path(layout.BASE): Document("base", base, Manifest.from_json(manifest, "base"), "b" * 64, ""),
    }


@pytest.mark.parametrize(("factor", "word"), [(1.0, "inside"), (1.5, "outside")])
def test_a_miss_is_shown(asked: Any, monkeypatch: pytest.MonkeyPatch, factor: float, word: str) -> None:
    made = documents(factor)
    monkeypatch.setattr(api, "load_document", lambda store, path, schema: made[path])
    found = asked("prediction")
    assert (found["state"], found["word"], found["why"]) == ("ready", word, "")
    assert "OUTSIDE" in "".join(found["rows"][0]) if word == "outside" else "inside" in "".join(found["rows"][0])
    assert found["columns"][:3] == ["parameters", "tokens", "predicted bits per byte"] and found["plot"]["measured"]


def test_preflight_says_how_long_each_check_took(root: Path) -> None:
    body = judge_before(root)
    manifest = RunStore(root).read_report(layout.PREFLIGHT, "preflight")["manifest"]
    seconds = manifest["environment"]["check_seconds"]
    assert seconds.keys() == {check["id"] for check in body["checks"]}
    assert 0 < sum(seconds.values()) <= manifest["duration_s"] + 0.01
    assert "check_seconds" not in body, "the same facts give the same body"
