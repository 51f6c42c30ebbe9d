"""picochat plan: its document, its page, its exit codes; what is measured travels through a stand-in."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from picochat.cli.app import cli
from picochat.cli.commands.plan import plan
from picochat.core.errors import PicochatError
from picochat.pipeline.plan import measuring

ROOT = Path(__file__).parents[3]


def call(*argv: str, code: int = 0) -> str:
    done = CliRunner().invoke(plan, argv)
    assert done.exit_code == code, done.output
    return done.output


def refusal(*argv: str) -> PicochatError:
    done = CliRunner().invoke(plan, argv)
    assert isinstance(done.exception, PicochatError), done.output
    return done.exception


def test_the_document_holds_the_whole_plan():
    found = json.loads(call("h200-1b-ddp8", "--gpus", "8xH100", "--rate", "3.00", "--json"))
    assert found["parameters"] == 1_120_985_088
    assert found["fleet"]["count"] == 8 and found["fleet"]["card"]["bf16_tflops"] == 989.0
    assert found["estimates"][found["assumed"]]["mfu_frac"] == 0.40
    assert found["estimates"][0]["total"]["money"] == pytest.approx(421.3, rel=0.01)
    assert found["stages"][0]["batch"]["fits"] is True


def test_the_page_shows_what_the_document_holds():
    page = call("h200-1b-ddp8", "--gpus", "8xH100", "--rate", "3.00")
    for words in (
        "1,120,985,088 parameters",
        "22.4 B",
        "21,400",
        "7.934e+09",
        "MFU 40% *",
        "15.6 h",
        "$375.01",
        "fits",
    ):
        assert words in page
    assert "contingency, 5%" in page and "checkpoints, 6 of 12.5 GiB" in page
    assert "DOES NOT FIT" not in page


def test_without_a_rate_no_money_is_shown():
    page = call("h200-1b-ddp8")
    assert "$" not in page and "money is unknown without --rate" in page
    assert "H200" in page, "the profile's own card"


def test_settings_and_strategy_reach_the_plan():
    found = json.loads(
        call("h200-1b-ddp8", "--distributed-strategy", "fsdp", "--set", "base.loop.micro_batch_size=32", "--json")
    )
    assert found["strategy"] == "fsdp"
    assert found["stages"][0]["batch"]["micro_batch_size"] == 32


def test_a_plan_that_does_not_fit_is_shown_and_refused():
    done = CliRunner().invoke(plan, ["h200-1b-ddp8", "--gpus", "8xL4"])
    assert isinstance(done.exception, PicochatError)
    assert (done.exception.code, done.exception.exit_code) == ("plan.memory", 3)
    assert "DOES NOT FIT" in done.output and "would fit" in done.output


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (("h200-1b-ddp8", "--gpus", "8xH10"), "plan.card"),
        (("h200-1b-ddp8", "--gpus", "many"), "plan.card"),
        (("h200-1b-ddp8", "--gpus", "0xH100"), "plan.gpus"),
        (("h200-1b-ddp8", "--rate", "-1"), "plan.rate"),
        (("h200-1b-ddp8", "--rate", "nan"), "plan.rate"),
        (("huge",), "config.value"),
        (("tiny", "--set", "model.dims=3"), "config.key"),
        (("h200-1b-ddp8", "--gpus", "7xH100"), "config.conflict"),
    ],
)
def test_bad_input_is_refused_with_a_code_of_2(argv, code):
    err = refusal(*argv)
    assert (err.code, err.exit_code) == (code, 2)


def test_it_imports_no_torch():
    code = (
        "import sys\nfrom picochat.cli.__main__ import main\ntry:\n    main(['plan', 'h200-1b-ddp8', '--json'])\n"
        "finally:\n    print('torch' in sys.modules)"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=ROOT / "src", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"


def stand_in(monkeypatch, **said):
    """Answers in place of the processes; the questions are kept."""
    asked = {}

    def ask(module, question, **limits):
        asked[module.rpartition(".")[2]] = question
        return said

    monkeypatch.setattr(measuring, "ask", ask)
    return asked


def test_measure_asks_for_the_planned_step_and_judges_the_answer(monkeypatch):
    counted = {"parameters": 1_120_985_088, "torch": "0"}
    asked = stand_in(monkeypatch, peak_bytes=round(29.83 * 2**30), **counted)
    page = call("h200-1b-ddp8", "--gpus", "8xH100", "--measure")
    assert "plan.memory_agrees" in page and "agrees" in page and "DISAGREES" not in page
    question = asked["memory"]
    assert (question["micro_batch_size"], question["micro_batches"]) == (16, 2)
    assert question["gradients_held"] is True and question["slices"] == 1
    stand_in(monkeypatch, peak_bytes=20 * 2**30, **counted)
    page = call("h200-1b-ddp8", "--gpus", "8xH100", "--measure", code=3)
    assert "DISAGREES: rely on neither" in page and "block" in page


def test_a_count_of_another_model_is_no_count(monkeypatch):
    stand_in(monkeypatch, peak_bytes=1, parameters=7, torch="0")
    assert refusal("tiny", "--measure").code == "plan.measuring"


PROBED = {
    "tokens_per_s": 10_000.0,
    "tokens_per_step": 4096,
    "step_s": [0.4, 0.4],
    "warmup_steps": 3,
    "compile": "block",
    "compile_reason": "",
    "machine": {},
    "peak_rss_bytes": 1,
}


def test_a_probe_is_the_estimate_to_reckon_with(monkeypatch):
    asked = stand_in(monkeypatch, **PROBED)
    found = json.loads(call("tiny", "--probe", "--json"))
    assert found["assumed"] == 0 and found["estimates"][0]["basis"] == "probe"
    base = found["stages"][0]
    assert found["estimates"][0]["training_hours"] == pytest.approx(base["tokens"] / 10_000 / 3600)
    assert asked["probing"]["steps"] == 20 and asked["probing"]["machine"]["device"] == "cpu"
    assert "measured here *" in call("tiny", "--probe")


def test_a_probe_of_one_card_counts_for_all_of_them(monkeypatch):
    asked = stand_in(monkeypatch, **PROBED)
    found = json.loads(call("h200-1b-ddp8", "--gpus", "8xH100", "--probe", "--json"))
    assert found["estimates"][0]["tokens_per_s"] == 80_000.0
    assert [row["basis"] for row in found["estimates"]] == ["probe", "mfu", "mfu", "mfu"]
    assert asked["probing"]["machine"]["device"] == "cuda"
    shared = json.loads(call("tiny", "--gpus", "2xcpu", "--probe", "--json"))
    assert shared["estimates"][0]["tokens_per_s"] == 10_000.0


@pytest.mark.parametrize(("steps", "doubted"), [([0.4] * 20, False), ([0.4] * 15 + [1.4] * 5, True)])
def test_steps_that_are_not_alike_are_doubted(monkeypatch, steps, doubted):
    stand_in(monkeypatch, **PROBED | {"step_s": steps})
    assert ("something else keeps this machine busy" in " ".join(call("tiny", "--probe").split())) is doubted


def test_a_probe_trains_the_planned_batch_and_none_that_does_not_fit(monkeypatch):
    asked = stand_in(monkeypatch, **PROBED)
    call("h200-1b-ddp8", "--gpus", "8xA100-80", "--set", "base.loop.checkpoint_blocks=false", "--probe")
    assert asked["probing"]["loop"]["micro_batch_size"] == 8
    asked.clear()
    assert refusal("h200-1b-ddp8", "--gpus", "8xL4", "--probe").code == "plan.memory"
    assert asked == {}


def test_the_command_is_in_the_table():
    assert "What a run will need" in CliRunner().invoke(cli, ["--help"]).output
