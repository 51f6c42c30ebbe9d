"""A whole `run tiny --ddp` on two ranks: the documents, the answers and the gate of one process."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.launched import run_launched
from tests.support.tiny_run import BASE_STEPS, picochat, set_flags, tiny_settings, write_pack

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.events import iter_events
from picochat.core.jsonio import iter_jsonl
from picochat.training.ledger import spliced

STAGES = (layout.BASE, layout.SFT)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    settings = tiny_settings(write_pack(tmp_path_factory.mktemp("pack") / "pack")) | {"machine.precision": "fp32"}
    return ["run", "tiny", "--quiet", *set_flags(settings)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> RunStore:
    root = tmp_path_factory.mktemp("alone") / "run"
    assert picochat(*words, "--out-dir", root).returncode == 0
    return RunStore(root)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> RunStore:
    folder = tmp_path_factory.mktemp("together")
    done = run_launched(folder, *words, "--out-dir", folder / "run")
    assert done.returncode == 0, done.output[-3000:]
    return RunStore(folder / "run")


def ledger(store: RunStore, stage: str) -> list[dict[str, Any]]:
    return spliced(store.path(f"{stage}/{layout.LEDGER}"))


def test_the_document_ledger_is_that_of_one_process(alone: RunStore, together: RunStore):
    for stage in STAGES:
        ours, theirs = ledger(together, stage), ledger(alone, stage)
        for key in ("step", "documents", "targets", "verdict"):
            assert [row[key] for row in ours] == [row[key] for row in theirs], (stage, key)


def test_answers_and_scores_are_those_of_one_process(alone: RunStore, together: RunStore):
    """The weights are equal to rounding; on the same weights each answer is the same."""
    for name in (layout.ROWS, layout.FIT_ROWS, layout.HELDOUT_ROWS):
        ours, theirs = (list(iter_jsonl(s.path(f"{layout.EVAL}/{name}"))) for s in (together, alone))
        assert [row["id"] for row in ours] == [row["id"] for row in theirs]
    ours, theirs = (s.read(layout.report_path(layout.BASE))["validation"] for s in (together, alone))
    assert ours["bpb"] == pytest.approx(theirs["bpb"], rel=1e-5)
    assert (ours["tokens"], ours["documents"]) == (theirs["tokens"], theirs["documents"])


def test_two_ranks_answer_as_one_does_on_the_same_weights(together: RunStore, tmp_path: Path):
    """`eval skills` by one process over the run of two: the rows do not change, so nothing is written again."""
    before = {p.name: p.read_bytes() for p in together.path(layout.EVAL).glob("*rows.jsonl")}
    assert picochat("eval", "skills", together.root, "--quiet").returncode == 0
    assert {p.name: p.read_bytes() for p in together.path(layout.EVAL).glob("*rows.jsonl")} == before
    report = together.read(layout.report_path(layout.EVAL))
    assert report["manifest"]["environment"]["ranks"] == 1


def test_the_gate_judges_and_verify_passes(together: RunStore):
    gate = together.read(layout.GATE)
    assert gate["verdict"] == "warn" and {check["id"] for check in gate["checks"]} >= {"training.ledger"}
    assert picochat("verify", together.root).returncode == 0
    report = together.read(layout.report_path(layout.BASE))
    assert (report["machine"]["ranks"], report["machine"]["strategy"]) == (2, "ddp")
    page = together.path(f"{layout.BASE}/{layout.REPORT_MD}").read_text()
    assert "Device cpu, 1 threads a rank, 2 ranks (ddp)." in page
    assert not any(path.name.startswith(".tmp-") for path in together.root.rglob("*"))


@pytest.mark.full_size
@pytest.mark.bar("B3")
def test_killed_in_the_middle_and_resumed_on_one_rank_it_is_data_exact(
    words: list[str], together: RunStore, tmp_path: Path
):
    root = tmp_path / "run"
    assert (
        run_launched(tmp_path, *words, "--out-dir", root, failpoint="step.after_backward:sigkill@33#1").returncode == 1
    )
    aloud = [word for word in words if word != "--quiet"]
    done = picochat(*aloud, "--out-dir", root, "--resume", "--set", "resume.elastic=true")
    assert done.returncode == 0, done.stderr
    assert "base: world_size was 2, is now 1: data-exact and loss-close, not bit-exact" in done.stderr
    for stage in STAGES:
        ours, theirs = ledger(RunStore(root), stage), ledger(together, stage)
        assert [row["documents"] for row in ours] == [row["documents"] for row in theirs]
    [event] = [e for e in iter_events(root / layout.EVENTS) if e["kind"] == "resumed"]
    assert event["exact"] is False and {d["field"] for d in event["differences"]} >= {"world_size", "strategy"}
    assert picochat("verify", root).returncode == 0


@pytest.mark.bar("B1")
def test_killed_in_the_middle_and_resumed_on_two_ranks_it_is_the_same(
    words: list[str], together: RunStore, tmp_path: Path, pytestconfig: pytest.Config
):
    """Rank 0 dies in step 10 of SFT; in the full size rank 1 has died in base before that."""
    root = tmp_path / "run"
    deaths, saved = [f"step.after_backward:sigkill@{BASE_STEPS + 10}#0"], {layout.BASE: [], layout.SFT: [6]}
    if pytestconfig.getoption("--full"):
        deaths, saved[layout.BASE] = ["step.after_backward:sigkill@33#1", "step.after_backward:sigkill@20#0"], [30]
    for failpoint in deaths:
        done = run_launched(tmp_path, *words, "--out-dir", root, "--resume", failpoint=failpoint)
        assert done.returncode == 1
    assert run_launched(tmp_path, *words, "--out-dir", root, "--resume").returncode == 0
    for stage in STAGES:
        assert ledger(RunStore(root), stage) == ledger(together, stage)
        ours, theirs = (s.read(layout.report_path(stage))["weights_digest"] for s in (RunStore(root), together))
        assert ours == theirs
        resumes = RunStore(root).read(layout.report_path(stage))["training"]["resumes"]
        assert [entry["step"] for entry in resumes] == saved[stage]
