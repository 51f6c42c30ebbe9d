"""A SkyPilot task. JSON strings are YAML strings, so every value is quoted the same way."""

from __future__ import annotations

import json

from picochat.pipeline.launch.records import LaunchPlan
from picochat.pipeline.launch.render.torchrun import torchrun_words
from picochat.pipeline.launch.render.words import cap_seconds, header, shell_block


def render_skypilot(plan: LaunchPlan) -> str:
    """For `sky launch --down`: the machine goes when it was idle long enough, or when the time of the cap is up."""
    words = [*torchrun_words(plan, "HEAD_NODE"), *plan.argv]
    command = shell_block(["timeout", "--signal=TERM", str(cap_seconds(plan)), *words])
    command = command.replace("=HEAD_NODE:", '="$HEAD_NODE":')
    lines = [
        *header(plan),
        f"# sky launch --idle-minutes-to-autostop {plan.autostop_minutes} --down THIS_FILE",
        f"name: {_quote(plan.name)}",
        f"num_nodes: {plan.nodes}",
        "resources:",
        f"  accelerators: {_quote(f'{plan.card}:{plan.gpus_per_node}')}",
    ]
    if plan.target.image:
        lines.append(f"  image_id: {_quote('docker:' + plan.target.image)}")
    lines += ["workdir: .", "envs:"] if plan.environment else ["workdir: ."]
    lines += [f"  {name}: null" for name in plan.environment]
    run = ["set -euo pipefail", f"cd {plan.target.folder}"]
    if plan.nodes > 1:
        run.append('HEAD_NODE="$(echo "$SKYPILOT_NODE_IPS" | head -n 1)"')
    lines += ["run: |", *[f"  {line}" for text in (*run, command) for line in text.split("\n")]]
    return "\n".join([*lines, ""])


def _quote(text: str) -> str:
    return json.dumps(text)
