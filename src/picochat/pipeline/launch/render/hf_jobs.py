"""A job of the Hugging Face hub: one container, one command, a time limit that the cap pays for."""

from __future__ import annotations

from picochat.core.errors import refuse
from picochat.pipeline.launch.records import LaunchPlan
from picochat.pipeline.launch.render.torchrun import torchrun_words
from picochat.pipeline.launch.render.words import cap_seconds, header, shell_block


def render_hf_jobs(plan: LaunchPlan) -> str:
    """For a shell with the `hf` program. Raises `launch.target` for several nodes, or without image and flavor."""
    if plan.nodes != 1:
        refuse("launch.target", f"a job of the hub is one machine, the plan has {plan.nodes} nodes")
    if not plan.target.image or not plan.target.flavor:
        refuse("launch.target", "a job of the hub needs an image and a flavor, the plan names neither or one")
    secrets = [word for name in plan.environment for word in ("--secrets", name)]
    limits = ["--flavor", plan.target.flavor, "--timeout", f"{cap_seconds(plan)}s"]
    words = ["hf", "jobs", "run", "--detach", *limits, *secrets, plan.target.image, *torchrun_words(plan), *plan.argv]
    return "\n".join(["#!/usr/bin/env bash", *header(plan), "set -euo pipefail", shell_block(words), ""])
