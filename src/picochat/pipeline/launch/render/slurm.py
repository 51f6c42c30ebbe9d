"""A batch script for Slurm: one torchrun a node, the cap as Slurm's own time limit, a signal before it falls."""

from __future__ import annotations

from picochat.pipeline.launch.records import LaunchPlan
from picochat.pipeline.launch.render.torchrun import torchrun_words
from picochat.pipeline.launch.render.words import cap_clock, header, run_folder, shell_block

GRACE_S = 300


def render_slurm(plan: LaunchPlan) -> str:
    """For `sbatch`. TERM arrives before the limit, and the run then saves and stops with exit code 75."""
    queue = [f"#SBATCH --partition={plan.target.queue}"] if plan.target.queue else []
    words = [*torchrun_words(plan, "HEAD_NODE"), *plan.argv]
    command = shell_block(["srun", "--kill-on-bad-exit=1", *words]).replace("=HEAD_NODE:", '="$HEAD_NODE":')
    lines = [
        "#!/usr/bin/env bash",
        *header(plan),
        f"#SBATCH --job-name={plan.name}",
        *queue,
        f"#SBATCH --nodes={plan.nodes}",
        "#SBATCH --ntasks-per-node=1",
        f"#SBATCH --gpus-per-node={plan.gpus_per_node}",
        "#SBATCH --exclusive",
        f"#SBATCH --time={cap_clock(plan)}",
        f"#SBATCH --signal=TERM@{GRACE_S}",
        f"#SBATCH --output={run_folder(plan)}/logs/slurm-%j.log",
        "set -euo pipefail",
        f"cd {plan.target.folder}",
        *[f': "${{{name}:?}}"' for name in plan.environment],
    ]
    if plan.nodes > 1:
        lines.append('HEAD_NODE="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"')
    return "\n".join([*lines, command, ""])
