"""The same plan gives the same bytes; each rendering holds the plan's digest, its command and its limit, no secret."""

import shlex
import subprocess
from typing import Any

import pytest
from tests.support.launch_plans import plan_json, sound_plan

from picochat.core.errors import PicochatError
from picochat.pipeline.launch.records import LaunchPlan
from picochat.pipeline.launch.render.ssh import copy_words, ssh_words, start_words
from picochat.pipeline.launch.render.table import RENDERINGS
from picochat.pipeline.launch.render.words import cap_clock, cap_seconds, shell_block

ARGV = ("-m", "picochat.cli", "run", "h200-1b-ddp8", "--out-dir", "runs/letters-1b", "--resume", "--ddp")
SETTINGS = ("--set", 'data.pack="my/pack.toml"', "--set", "base.loop.tokens=22439526400")
IMAGE = "repo/picochat@sha256:" + "e" * 64


def plan(nodes: int = 1, **target: Any) -> LaunchPlan:
    places = plan_json()["target"] | {"image": IMAGE, "flavor": "h100x8", "queue": "gpu"} | target
    return sound_plan(argv=[*ARGV, *SETTINGS], nodes=nodes, target=places)


@pytest.mark.parametrize("kind", RENDERINGS)
def test_the_same_plan_gives_the_same_bytes_and_names_itself(kind: str):
    first, again = RENDERINGS[kind](plan()), RENDERINGS[kind](plan())
    assert first == again and plan().digest() in first and "430.00" in first
    assert first.endswith("\n") and "\t" not in first


@pytest.mark.parametrize("kind", RENDERINGS)
def test_every_word_of_the_command_is_there(kind: str):
    text = RENDERINGS[kind](plan())
    for word in ("picochat.cli", "runs/letters-1b", "--resume", "my/pack.toml", "base.loop.tokens=22439526400"):
        assert word in text


@pytest.mark.parametrize("kind", ["torchrun", "ssh", "slurm", "hf_jobs"])
def test_a_script_is_read_by_a_shell(kind: str):
    done = subprocess.run(["bash", "-n"], input=RENDERINGS[kind](plan()).encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["torchrun", "slurm", "skypilot"])
def test_several_nodes_meet_at_the_first_one(kind: str):
    text = RENDERINGS[kind](plan(nodes=2))
    assert "--nnodes=2" in text and "HEAD_NODE" in text and "--standalone" not in text
    assert "--standalone" in RENDERINGS[kind](plan())


def test_slurm_holds_the_run_to_the_time_that_the_cap_pays_for():
    text = RENDERINGS["slurm"](plan())
    assert cap_seconds(plan()) == int(430 / 24 * 3600) and cap_clock(plan()) == "17:55:00"
    assert "#SBATCH --time=17:55:00" in text and "#SBATCH --signal=TERM@300" in text and "--partition=gpu" in text


def test_two_nodes_have_half_the_time():
    assert cap_seconds(plan(nodes=2)) == cap_seconds(plan()) // 2


def test_skypilot_is_yaml_that_says_what_the_plan_says():
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load(RENDERINGS["skypilot"](plan(nodes=2)))
    assert found["num_nodes"] == 2 and found["resources"]["accelerators"] == "H100:8"
    assert found["envs"] == {"HF_TOKEN": None} and found["resources"]["image_id"] == f"docker:{IMAGE}"
    words = shlex.split(found["run"].split("timeout", 1)[1].replace("\\\n", " "))
    assert words[:2] == ["--signal=TERM", str(cap_seconds(plan(nodes=2)))] and words[-1] == SETTINGS[-1]


def test_a_job_of_the_hub_is_one_machine_with_a_pinned_image():
    words = shlex.split(RENDERINGS["hf_jobs"](plan()).split("set -euo pipefail\n")[1].replace("\\\n", " "))
    assert words[:4] == ["hf", "jobs", "run", "--detach"] and "--secrets" in words and IMAGE in words
    assert words[words.index("--timeout") + 1] == f"{cap_seconds(plan())}s"
    for bad in (plan(nodes=2), plan(image=None), plan(flavor=None)):
        with pytest.raises(PicochatError) as caught:
            RENDERINGS["hf_jobs"](bad)
        assert caught.value.code == "launch.target"


@pytest.mark.parametrize("kind", RENDERINGS)
def test_variables_stand_there_by_name_alone(kind: str):
    text = RENDERINGS[kind](plan())
    assert "HF_TOKEN" in text and "HF_TOKEN=" not in text


def test_ssh_quotes_every_word_for_the_other_shell():
    words = ssh_words(plan(), ["echo", "a b", "$(id)", "'"])
    assert words[:1] == ["ssh"] and words[-2] == "--"
    assert shlex.split(words[-1]) == ["echo", "a b", "$(id)", "'"]


def test_the_started_command_comes_out_as_it_went_in():
    script = shlex.split(shlex.join(start_words(plan())))[-1]
    inner = script.split("exec ", 1)[1].split("; }", 1)[0]
    words = shlex.split(inner)
    assert words[:3] == ["python3", "-m", "torch.distributed.run"] and tuple(words[5:]) == (*ARGV, *SETTINGS)
    assert "${HF_TOKEN:?}" in script and "> picochat/runs/letters-1b/logs/launch.log" in script


def test_only_named_files_are_copied():
    words = copy_words(plan(), "runs/here", "list.txt")
    assert words[words.index("--files-from") + 1] == "list.txt"
    assert words[-2:] == ["runs/here/", "user@gpu-1:picochat/runs/letters-1b/"]


def test_a_block_reads_back_as_the_same_words():
    words = ["torchrun", "--nproc_per_node=8", *ARGV, *SETTINGS, "a b"]
    assert shlex.split(shell_block(words).replace("\\\n", " ")) == words
