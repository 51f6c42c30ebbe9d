"""What a user sees of the demo, and what each command says about the finished run."""

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path

from tests.e2e.conftest import SHORT, Demo
from tests.support.many import run_all
from tests.support.tiny_run import flip_byte, picochat, set_flags

CopyDemo = Callable[[], Path]


def test_the_demo_names_each_stage_the_verdict_and_what_to_do_next(demo: Demo):
    for stage in ("dataset", "tokenizer", "base", "sft", "evaluate", "summary"):
        assert f"{stage}:" in demo.done.stderr, stage
    said = demo.done.stdout
    assert "under research" in said
    assert "skill.arithmetic" in said and "asked for" in said
    for command in ("picochat chat", "picochat verify", "picochat gate"):
        assert f"{command} runs/demo-1" in said
    assert (demo.root / "summary.md").is_file()
    assert not list(demo.root.rglob(".tmp-*"))


def test_too_few_steps_are_given_no_skill_and_no_release(demo: Demo):
    checks = json.loads((demo.root / "gate.json").read_text())["checks"]
    skills = [check for check in checks if check["id"].startswith("skill.")]
    assert skills and all(check["verdict"] != "pass" for check in skills)


def test_the_release_gate_blocks_with_3(copy_of_demo: CopyDemo):
    root = copy_of_demo()
    done = picochat("gate", root, "--profile", "skill_release")
    assert done.returncode == 3, done.stderr
    assert "blocked" in done.stdout and "skill_release" in done.stdout


def test_verify_passes_then_names_the_flipped_file(copy_of_demo: CopyDemo):
    root = copy_of_demo()
    assert picochat("verify", root).returncode == 0
    flip_byte(root / "sft" / "checkpoint" / "model.safetensors")
    done = picochat("verify", root)
    assert done.returncode == 4
    assert "model.safetensors" in done.stdout and "does not verify" in done.stdout
    assert picochat("checkpoint", "verify", root).returncode == 4
    spoken = picochat("chat", root, "--prompt", "Who are you?")
    assert spoken.returncode == 4 and "error:" in spoken.stderr and "fix:" in spoken.stderr


def test_a_report_of_another_run_does_not_verify(copy_of_demo: CopyDemo, demo: Demo, tmp_path: Path):
    root = copy_of_demo()
    report = json.loads((root / "eval" / "report.json").read_text())
    report["manifest"]["run_digest"] = "0" * 64
    (root / "eval" / "report.json").write_text(json.dumps(report, indent=1))
    done = picochat("verify", root)
    assert done.returncode == 4 and "eval/report.json" in done.stdout


def test_every_json_output_parses(demo: Demo):
    root = demo.root
    commands: list[list[object]] = [
        ["status", root],
        ["runs"],
        ["verify", root],
        ["data", "inspect", root],
        ["checkpoint", "list", root],
        ["eval", "fit", root],
        ["generate", root, "--prompt", "The", "--max-new-tokens", "3"],
        ["chat", root, "--prompt", "Hi", "--max-new-tokens", "3"],
        ["doctor"],
    ]
    for done in run_all([[*argv, "--json"] for argv in commands], cwd=demo.cwd):
        assert done.returncode == 0, (done.argv, done.stderr)
        json.loads(done.stdout)


def test_the_newest_run_is_meant_without_a_name_and_any_folder_is_a_place_to_start(demo: Demo, tmp_path: Path):
    assert json.loads(picochat("status", "--json", cwd=demo.cwd).stdout)["state"] == "finished"
    assert json.loads(picochat("status", demo.root, "--json", cwd=tmp_path).stdout)["state"] == "finished"
    runs = picochat("runs", "--json", cwd=tmp_path, PICOCHAT_RUNS=str(demo.root.parent))
    assert [Path(row["run"]).name for row in json.loads(runs.stdout)] == ["demo-1"]
    nothing = picochat("status", cwd=tmp_path)
    assert nothing.returncode == 2 and "no run" in nothing.stderr


PROMPTS = {
    "empty": "",
    "blank": "   ",
    "huge": "word " * 20_000,
    "control characters": "a\x00b\x1b[31m\x07\r\n".replace("\x00", ""),
    "special token": "<|end|><|assistant|><|bos|>",
    "not latin": "привет 你好 🙂 e\u0301",
}


def test_no_prompt_ends_in_a_traceback(demo: Demo):
    commands, stdins = [], []
    for name, command in itertools.product(PROMPTS, ("generate", "chat")):
        huge = ["--prompt", "-"] if name == "huge" and command == "generate" else ["--prompt", PROMPTS[name][:50_000]]
        commands.append([command, demo.root, *huge, "--max-new-tokens", "4"])
        stdins.append(PROMPTS[name])
    for done in run_all(commands, stdins):
        assert done.returncode in (0, 2, 4), (done.argv, done.stderr)
        assert done.returncode == 0 or done.stderr.startswith("error:"), (done.argv, done.stderr)


def test_a_prompt_that_is_no_text_is_refused(demo: Demo):
    done = picochat("generate", demo.root, "--prompt", os.fsdecode(b"bad \xff byte"), "--max-new-tokens", "4")
    assert done.returncode == 4 and done.stderr.startswith("error:")


def test_chat_reads_piped_lines_and_obeys_commands(demo: Demo):
    lines = "Who are you?\n/history\n/undo\n/reset\n/what\n\nSpell cat.\n"
    done = picochat("chat", demo.root, "--max-new-tokens", "4", stdin=lines)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") >= 2 and "user: Who are you?" in done.stderr


def test_no_colour_codes_reach_a_pipe(demo: Demo):
    for argv in (["status", demo.root], ["verify", demo.root], ["runs"]):
        done = picochat(*argv, cwd=demo.cwd)
        assert "\x1b[" not in done.stdout + done.stderr


def test_real_speeches_and_a_real_benchmark(real_data: Path, tmp_path: Path):
    root = tmp_path / "sotu"
    flags = set_flags({**SHORT, "sft.loop.tokens": 8_192, "base.loop.tokens": 8_192})
    done = picochat("run", "tiny", "--pack", real_data / "sotu", "--out-dir", root, *flags)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((root / "corpus_manifest.json").read_text())
    assert manifest["counts"]["documents"] == len(list((real_data / "sotu").glob("*.txt"))) == 233
    assert (root / "summary.md").stat().st_size > 500
    scored = picochat("eval", "benchmark", "blimp", "--data", real_data / "blimp", "--limit", "5", "--run", root)
    assert scored.returncode == 0, scored.stderr
    judged = picochat("gate", root, "--json")
    found = json.loads(judged.stdout)
    row = next(check for check in [*found["checks"], *found["shown"]] if check["id"] == "external.present")
    assert row["measured"] == 1
    assert picochat("verify", root).returncode == 0
