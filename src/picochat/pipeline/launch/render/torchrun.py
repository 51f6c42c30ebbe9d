"""The command of every node, for machines that somebody else starts."""

from __future__ import annotations

from picochat.pipeline.launch.records import LaunchPlan
from picochat.pipeline.launch.render.words import header, shell_block

MEETING_PORT = 29_500


def torchrun_words(plan: LaunchPlan, head: str = "$HEAD_NODE") -> list[str]:
    """The launcher's words before the program: one node meets itself, several meet at the first one's address."""
    words = ["torchrun", f"--nproc_per_node={plan.gpus_per_node}"]
    if plan.nodes == 1:
        return [*words, "--standalone"]
    endpoint = f"--rdzv_endpoint={head}:{MEETING_PORT}"
    return [*words, f"--nnodes={plan.nodes}", "--rdzv_backend=c10d", endpoint, f"--rdzv_id={plan.digest()[:16]}"]


def render_torchrun(plan: LaunchPlan) -> str:
    """A shell script to be run on every node."""
    words = [*torchrun_words(plan, "HEAD_NODE"), *plan.argv]
    text = shell_block(words).replace("=HEAD_NODE:", '="${HEAD_NODE:?}":')
    lines = ["#!/usr/bin/env bash", *header(plan)]
    if plan.nodes > 1:
        lines.append("# on every node, with HEAD_NODE set to the address of the first one")
    lines += ["set -euo pipefail", f"cd {plan.target.folder}", *_wants(plan), f"exec {text}", ""]
    return "\n".join(lines)


def _wants(plan: LaunchPlan) -> list[str]:
    """Refuses to start without a variable that the run needs; its value is never shown."""
    return [f': "${{{name}:?}}"' for name in plan.environment]
