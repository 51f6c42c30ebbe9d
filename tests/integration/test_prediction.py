"""From a ladder to a prediction to the run that it was made for; branches to the bit; kills, and hands that meddle."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.support.base_run import differences
from tests.support.tiny_run import flip_byte, picochat, set_flags, tiny_settings

from picochat.artifacts import layout
from picochat.artifacts.reports import self_digest
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.jsonio import pretty_json
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.prediction import build_plot
from picochat.judgement.verify import verify_run
from picochat.pipeline.config import RunConfig
from picochat.pipeline.prediction.ladder import load_ladder
from picochat.pipeline.runner import Factory, load_run_record, run_stages

SIZES = {"ladder.sizes": 4, "ladder.span": 8.5, "ladder.gap": 1.5, "ladder.seeds": 2}
LENGTHS = {"ladder.cuts": [0.5, 1.0], "ladder.tokens_per_parameter": 5}
STEPS = 60


def run_settings(**more: Any) -> list[str]:
    """A target of 60 steps under the rules of its ladder."""
    settings = tiny_settings(Path("unused"), **{"base.loop.tokens": STEPS * 512, "base.loop.schedule": "wsd"})
    del settings["data.pack"]
    shape = {"model.dim": 128, "model.hidden_dim": 256, "sft.loop.tokens": 8 * 512}
    return set_flags(settings | shape | more)


def ladder_words(root: Path, pack: Path, *more: object) -> list[object]:
    return ["predict", "ladder", "tiny", "--out-dir", root, "--pack", pack, *run_settings(**SIZES, **LENGTHS), *more]


def fit_words(ladder: Path, run: Path, pack: Path, **more: Any) -> list[object]:
    words = ["predict", "fit", ladder, "--target", "tiny", "--out-dir", run, "--pack", pack]
    return [*words, *run_settings(**more)]


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory, pack: Path) -> Path:
    """A finished ladder, killed once on its way. Read only."""
    root = tmp_path_factory.mktemp("ladder") / "ladder"
    died = picochat(*ladder_words(root, pack, "--quiet"), failpoint="ckpt.before_manifest:sigkill@9")
    assert died.returncode == -signal.SIGKILL and not (root / layout.LADDER).exists()
    finished = sorted(path.parent.parent.name for path in root.glob("*/base/report.json"))
    assert finished and len(finished) < 9
    times = {name: (root / name / "base" / "report.json").stat().st_mtime_ns for name in finished}
    refused = picochat(*ladder_words(root, pack, "--quiet"))
    assert refused.returncode == 2 and "--resume" in refused.stderr
    done = picochat(*ladder_words(root, pack, "--resume"))
    assert done.returncode == 0, done.stderr
    assert {name: (root / name / "base" / "report.json").stat().st_mtime_ns for name in finished} == times
    return root


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory, ladder: Path, pack: Path) -> Path:
    """The target's run with a prediction, before anything of it was trained. Read only."""
    root = tmp_path_factory.mktemp("predicted") / "run"
    done = picochat(*fit_words(ladder, root, pack))
    assert done.returncode == 0, done.stderr
    assert "predicted bits per byte" in done.stdout and "law:" in done.stdout
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, predicted: Path, pack: Path) -> Path:
    """The same, trained to its verdict. Read only."""
    root = tmp_path_factory.mktemp("trained") / "run"
    shutil.copytree(predicted, root)
    done = picochat("run", "tiny", "--out-dir", root, "--pack", pack, *run_settings(), "--resume", "--quiet")
    assert done.returncode == 0, done.stderr
    return root


def test_a_ladder_is_a_run_folder_a_rung_and_one_record(ladder: Path):
    record = load_ladder(ladder)
    assert [rung.name for rung in record.rungs] == [*(f"n{n}-d{d}" for n in range(1, 5) for d in (2, 1)), "n1-d2-s1"]
    sizes = sorted({rung.parameters for rung in record.rungs})
    assert len(sizes) == 4 and sizes[-1] >= 8 * sizes[0]
    assert len({rung.weights_digest for rung in record.rungs}) == 9
    assert [rung.seed for rung in record.rungs] == [1] * 8 + [2]
    assert {rung.branch_step is None for rung in record.rungs if rung.name.endswith("d1")} == {False}
    for rung in record.rungs:
        store = RunStore(ladder / rung.name)
        report = store.read(layout.report_path(layout.BASE))
        assert report["training"]["tokens_seen"] == rung.tokens and report["validation"]["bpb"] == rung.bpb
        assert [found.id for found in verify_run(store) if found.verdict == "block"] == []


def rung_settings(rung: RunStore) -> tuple[dict[str, Any], list[object]]:
    """How a rung was trained: its keys without the branch, and its text, as `train base` takes them."""
    config = rung.read(layout.RUN)["config"]
    values = {f"base.loop.{key}": value for key, value in config["base"]["loop"].items() if value is not None}
    values |= {f"model.{key}": value for key, value in config["model"].items()}
    values |= {"machine.compile": "off", "machine.threads": 1, "tokenizer.vocab_size": config["model"]["vocab_size"]}
    text = config["base"]["text"]
    return values, ["--corpus", text["corpus"], "--tokenizer", text["tokenizer"]]


def test_a_branch_is_to_the_bit_the_training_that_it_would_have_been_alone(ladder: Path, tmp_path: Path):
    branch = RunStore(ladder / "n2-d1")
    values, text = rung_settings(branch)
    done = picochat("train", "base", *text, "--out-dir", tmp_path / "alone", "--quiet", *set_flags(values))
    assert done.returncode == 0, done.stderr
    assert differences(branch, RunStore(tmp_path / "alone")) == []


def test_a_branch_that_was_killed_goes_on_and_one_that_would_differ_is_refused(ladder: Path, tmp_path: Path):
    values, text = rung_settings(RunStore(ladder / "n2-d1"))
    values["base.branch"] = RunStore(ladder / "n2-d1").read(layout.RUN)["config"]["base"]["branch"]

    def train(name: str, *more: object, failpoint: str = "", **changed: Any):
        words = [*text, "--out-dir", tmp_path / name, "--quiet", *set_flags(values | changed)]
        return picochat("train", "base", *words, *more, failpoint=failpoint)

    assert train("killed", failpoint="step.after_optimizer:sigkill@3").returncode == -signal.SIGKILL
    assert train("killed", "--resume").returncode == 0
    assert differences(RunStore(tmp_path / "killed"), RunStore(ladder / "n2-d1")) == []
    for name, changed, words in (
        ("seed", {"seed": 5}, "(seed, trunk 1, branch 5)"),
        ("rate", {"base.loop.lr": 1e-3}, "loop.lr"),
        ("short", {"base.loop.tokens": 512 * 26}, "of the peak rate"),
        ("gone", {"base.branch": str(tmp_path / "nowhere")}, "does not exist (base.branch)"),
    ):
        refused = train(name, **changed)
        assert refused.returncode == 4 and words in refused.stderr, refused.stderr
    replay = picochat("reproduce", tmp_path / "killed", "--stage", "base", "--steps", "3")
    assert replay.returncode == 2 and "branched" in replay.stderr, replay.stderr


def test_a_finished_ladder_is_kept_and_one_changed_byte_is_found(ladder: Path, tmp_path: Path, pack: Path):
    before = (ladder / layout.LADDER).read_bytes()
    again = picochat(*ladder_words(ladder, pack, "--resume", "--json"))
    assert again.returncode == 0 and json.loads(again.stdout) == json.loads(before)
    assert (ladder / layout.LADDER).read_bytes() == before
    other = picochat(*ladder_words(ladder, pack, "--resume", *set_flags({"base.loop.lr": 1e-3})))
    assert other.returncode == 2 and "base.loop.lr" in other.stderr
    copy = tmp_path / "ladder"
    shutil.copytree(ladder, copy)
    flip_byte(copy / "n3-d2" / "base" / "checkpoint" / layout.CKPT_WEIGHTS)
    broken = picochat("predict", "fit", copy, "--target", "300_000,30_000")
    assert broken.returncode == 4 and "n3-d2" in broken.stderr
    record = json.loads(before)
    record["rungs"][0]["bpb"] = 1.0
    (copy / layout.LADDER).write_bytes(pretty_json(record))
    assert "self_digest" in picochat("predict", "fit", copy, "--target", "300_000,30_000").stderr
    missing = picochat("predict", "fit", tmp_path / "nothing", "--target", "tiny")
    assert missing.returncode == 4 and "picochat predict ladder" in missing.stderr


def test_a_prediction_stands_before_the_run_is_trained_and_is_written_once(predicted: Path, ladder: Path, pack: Path):
    assert sorted(path.name for path in predicted.iterdir() if path.name[0] != ".") == [
        "logs",
        "prediction.json",
        "run.json",
    ]
    body = RunStore(predicted).read_report(layout.PREDICTION, "prediction")
    assert body["predicted"]["low"] < body["predicted"]["bpb"] < body["predicted"]["high"]
    assert body["rules_differ"] == [] and body["refusal"] is None and len(body["rungs"]) == 9
    before = (predicted / layout.PREDICTION).read_bytes()
    again = picochat(*fit_words(ladder, predicted, pack))
    assert again.returncode == 3 and "was written before" in again.stderr
    assert (predicted / layout.PREDICTION).read_bytes() == before


def test_the_result_stands_beside_it_and_everything_verifies(trained: Path):
    store = RunStore(trained)
    check = store.read_report(layout.PREDICTION_CHECK, "prediction_check")
    report = store.read(layout.report_path(layout.BASE))
    assert check["incomparable"] == [] and check["measured"]["bpb"] == report["validation"]["bpb"]
    said = check["predicted"]
    assert check["inside"] is (said["low"] <= check["measured"]["bpb"] <= said["high"])
    assert [found.id for found in verify_run(store) if found.verdict == "block"] == []
    summary, page = ((trained / name).read_text() for name in (layout.SUMMARY_MD, layout.REPORT_HTML))
    assert "## Predicted and measured loss" in summary and f"{said['bpb']:.4f}" in summary
    assert "Held-out loss over parameters" in page and 'id="prediction-title"' in page
    plot = build_plot(RunEvidence(store).prediction)
    assert plot is not None and len(plot["rungs"]) == 4 and len(plot["law"]) == 5 and len(plot["measured"]) == 1


@pytest.mark.parametrize("name", [layout.PREDICTION, "base/report.json", "base/ledger.jsonl"])
def test_the_comparison_looks_at_its_inputs_again(trained: Path, tmp_path: Path, name: str):
    root = tmp_path / "run"
    shutil.copytree(trained, root)
    flip_byte(root / name)
    store = RunStore(root)
    config = RunConfig.from_dict(load_run_record(store).config)
    with pytest.raises(PicochatError) as caught:
        run_stages(store, config, Factory(), ("prediction",))
    assert caught.value.exit_code == 4 and Path(name).name in caught.value.detail


def test_base_that_has_begun_is_too_late(tiny_run: RunStore, ladder: Path, pack: Path, tmp_path: Path):
    root = tmp_path / "run"
    shutil.copytree(tiny_run.root, root)
    shutil.rmtree(root / "base")
    late = picochat(*fit_words(ladder, root, pack))
    assert late.returncode == 3 and "base has begun" in late.stderr
    assert not (root / layout.PREDICTION).exists()


def rewritten(store: RunStore, **changed: Any) -> None:
    """prediction.json with other numbers and a digest of its own that fits."""
    body = store.read(layout.PREDICTION) | changed
    store.path(layout.PREDICTION).write_bytes(pretty_json(body | {"self_digest": self_digest(body)}))


def test_a_prediction_that_becomes_another_while_base_trains_stops_it(predicted: Path, pack: Path, tmp_path: Path):
    root = tmp_path / "run"
    shutil.copytree(predicted, root)
    words = ["run", "tiny", "--out-dir", root, "--pack", pack, *run_settings(), "--resume", "--quiet"]
    assert picochat(*words, failpoint="step.after_optimizer:sigkill@25").returncode == -signal.SIGKILL
    rewritten(RunStore(root), predicted={"bpb": 2.0, "low": 1.0, "high": 9.0})
    stopped = picochat(*words)
    assert stopped.returncode == 4 and "inputs.prediction" in stopped.stderr, stopped.stderr


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"predicted": {"bpb": 2.0, "low": 0.1, "high": 9.0}}, "verify.rates"),
        ({"target": {"parameters": 1_000_000, "tokens": 30_720}}, "verify.rates"),
    ],
)
def test_a_prediction_that_does_not_follow_is_found(trained: Path, tmp_path: Path, changed: dict, check: str):
    root = tmp_path / "run"
    shutil.copytree(trained, root)
    rewritten(RunStore(root), **changed)
    blocks = [found for found in verify_run(RunStore(root)) if found.verdict == "block"]
    assert {found.id for found in blocks} >= {check, "verify.lineage", "verify.chain"}
    assert any(layout.PREDICTION in str(found.evidence) for found in blocks)


@pytest.mark.parametrize("name", [layout.PREDICTION, layout.PREDICTION_CHECK])
def test_what_was_said_cannot_be_taken_back(trained: Path, tmp_path: Path, name: str):
    root = tmp_path / "run"
    shutil.copytree(trained, root)
    (root / name).unlink()
    blocks = [found for found in verify_run(RunStore(root)) if found.verdict == "block"]
    assert any(name in str(found.evidence) for found in blocks)


def test_a_target_too_far_away_is_refused_and_the_refusal_recorded(ladder: Path, pack: Path, tmp_path: Path):
    root = tmp_path / "run"
    far = {"model.dim": 1024, "model.n_layers": 12, "model.hidden_dim": 2048}
    refused = picochat(*fit_words(ladder, root, pack, **far))
    assert refused.returncode == 3 and "powers of ten beyond" in refused.stderr
    body = RunStore(root).read_report(layout.PREDICTION, "prediction")
    assert body["predicted"] is None and body["refusal"]["code"] == "prediction.too_far"
    asked = picochat("predict", "fit", ladder, "--target", "1.1e9,22e9", "--json")
    assert asked.returncode == 3 and json.loads(asked.stdout)["predicted"] is None
    near = picochat("predict", "fit", ladder, "--target", "300_000,30_000", "--json")
    assert near.returncode == 0 and json.loads(near.stdout)["predicted"]["bpb"] > 0
    bound = picochat("predict", "fit", ladder, "--target", "300_000,30_000", "--out-dir", tmp_path / "other")
    assert bound.returncode == 2 and not (tmp_path / "other").exists()
