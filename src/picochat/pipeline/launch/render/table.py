"""Every way in which a plan can be written out."""

from __future__ import annotations

from collections.abc import Callable

from picochat.pipeline.launch.records import LaunchPlan, TargetKind
from picochat.pipeline.launch.render.hf_jobs import render_hf_jobs
from picochat.pipeline.launch.render.skypilot import render_skypilot
from picochat.pipeline.launch.render.slurm import render_slurm
from picochat.pipeline.launch.render.ssh import render_ssh
from picochat.pipeline.launch.render.torchrun import render_torchrun

RENDERINGS: dict[TargetKind, Callable[[LaunchPlan], str]] = {
    "torchrun": render_torchrun,
    "ssh": render_ssh,
    "slurm": render_slurm,
    "skypilot": render_skypilot,
    "hf_jobs": render_hf_jobs,
}
