"""A machine that is reached over ssh: which files travel, and the commands, each an argv list.

files -> rsync --files-from   check -> sha256sum -c   start -> a detached torchrun   ask -> picochat status --json
"""

from __future__ import annotations

import shlex

from picochat.pipeline.launch.records import LaunchPlan
from picochat.pipeline.launch.render.torchrun import torchrun_words
from picochat.pipeline.launch.render.words import header, run_folder, shell_line

CONNECT_TIMEOUT_S = 15


def ssh_words(plan: LaunchPlan, words: list[str]) -> list[str]:
    """A command there. ssh joins its words into one line for the other side's shell, so each is quoted here."""
    return [*ssh_options(plan), str(plan.target.host), "--", shell_line(words)]


def ssh_options(plan: LaunchPlan) -> list[str]:
    """The client without any question: keys and known hosts are the user's own configuration."""
    port = ["-p", str(plan.target.port)] if plan.target.port else []
    return ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_TIMEOUT_S}", *port]


def copy_words(plan: LaunchPlan, run_root: str, listing: str) -> list[str]:
    """Copies the files that the listing names from the run folder to the one there."""
    shell = shlex.join(ssh_options(plan))
    to = f"{plan.target.host}:{run_folder(plan)}/"
    return ["rsync", "--archive", "--files-from", listing, "--rsh", shell, f"{run_root}/", to]


def fetch_words(plan: LaunchPlan, into: str) -> list[str]:
    """Copies the whole run back."""
    shell = shlex.join(ssh_options(plan))
    return ["rsync", "--archive", "--rsh", shell, f"{plan.target.host}:{run_folder(plan)}/", f"{into}/"]


def digests_text(plan: LaunchPlan) -> str:
    """What `sha256sum --check` reads: every file that travelled."""
    return "".join(f"{file.sha256}  {file.path}\n" for file in plan.files)


def start_words(plan: LaunchPlan) -> list[str]:
    """Detached from the connection: the run outlives it, and its output stands in the run's folder."""
    launcher = torchrun_words(plan, str(plan.target.host).rpartition("@")[2])[1:]
    program = shell_line([plan.target.python, "-m", "torch.distributed.run", *launcher, *plan.argv])
    wanted = "".join(f': "${{{name}:?}}"; ' for name in plan.environment)
    script = f"cd {plan.target.folder} && {wanted}exec {program}"
    log = f"{run_folder(plan)}/logs/launch.log"
    return ["setsid", "--fork", "bash", "-lc", f"{{ {script}; }} > {log} 2>&1 < /dev/null"]


def render_ssh(plan: LaunchPlan) -> str:
    """The same commands for a person to read or to run one by one."""
    lines = ["#!/usr/bin/env bash", *header(plan), "set -euo pipefail"]
    lines += [shell_line(ssh_words(plan, ["mkdir", "-p", f"{run_folder(plan)}/logs"]))]
    lines += [shell_line(copy_words(plan, f"runs/{plan.run}", "files.txt"))]
    check = shell_line(ssh_words(plan, ["bash", "-c", f"cd {run_folder(plan)} && sha256sum --check --quiet"]))
    lines += [f"{check} < digests.txt", shell_line(ssh_words(plan, start_words(plan)))]
    lines += ["# ask how it stands, and stop it with a checkpoint:"]
    lines += [
        f"# {shell_line(ssh_words(plan, status_words(plan)))}",
        f"# {shell_line(ssh_words(plan, stop_words(plan)))}",
    ]
    return "\n".join([*lines, ""])


def status_words(plan: LaunchPlan) -> list[str]:
    return [plan.target.python, "-m", "picochat.cli", "status", run_folder(plan), "--json"]


def stop_words(plan: LaunchPlan) -> list[str]:
    return [plan.target.python, "-m", "picochat.cli", "stop", run_folder(plan)]
