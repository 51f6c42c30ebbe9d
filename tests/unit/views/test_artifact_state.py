import json
import os

from picochat.artifacts.reports import self_digest
from picochat.views.evals.artifact_state import made_on, read_artifact, weights_now


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_is_wrong_with_a_report_is_a_state(tmp_path):
    assert read_artifact(tmp_path, "a/b.json").state == "missing"
    write(tmp_path / "torn.json", '{"a": 1')
    torn = read_artifact(tmp_path, "torn.json")
    assert torn.state == "unreadable" and "torn.json is not strict JSON" in torn.why and torn.body == {}
    write(tmp_path / "list.json", "[1]")
    assert read_artifact(tmp_path, "list.json").state == "unreadable"
    write(tmp_path / "big.json", '{"a": "' + "x" * 100 + '"}')
    assert read_artifact(tmp_path, "big.json", max_bytes=50).state == "unreadable"
    body = {"a": 1, "schema": {"name": "eval_report", "version": 1}}
    write(tmp_path / "whole.json", json.dumps(body | {"self_digest": self_digest(body)}))
    assert read_artifact(tmp_path, "whole.json") == (
        "whole.json",
        "ready",
        "",
        body | {"self_digest": self_digest(body)},
    )
    write(tmp_path / "edited.json", json.dumps(body | {"a": 2, "self_digest": self_digest(body)}))
    assert read_artifact(tmp_path, "edited.json").state == "changed"


def test_no_link_is_followed_and_no_pipe_is_waited_for(tmp_path):
    outside = tmp_path / "outside"
    write(outside / "secret.json", '{"secret": 1}')
    run = tmp_path / "run"
    run.mkdir()
    (run / "folder").symlink_to(outside)
    (run / "file.json").symlink_to(outside / "secret.json")
    os.mkfifo(run / "pipe.json")
    for name in ("folder/secret.json", "file.json", "pipe.json", "folder"):
        assert read_artifact(run, name).state == "unreadable", name
    (run / "own.json").write_text('{"own": 1}')
    assert read_artifact(run, "own.json").body == {"own": 1}


def test_a_report_about_other_weights_is_stale(tmp_path):
    write(tmp_path / "report.json", '{"weights_digest": "aaaa"}')
    report = read_artifact(tmp_path, "report.json")
    assert weights_now(tmp_path, "sft") is None
    assert made_on(report, None, "aaaa").state == "ready", "without a checkpoint nothing is said"
    write(tmp_path / "sft/checkpoint/MANIFEST.json", '{"weights_digest": "bbbb"}')
    now = weights_now(tmp_path, "sft")
    assert now == "bbbb"
    stale = made_on(report, now, report.value("weights_digest"))
    assert stale.state == "stale" and "aaaa" in stale.why and "bbbb" in stale.why
    assert made_on(report, "aaaa", "aaaa").state == "ready"
