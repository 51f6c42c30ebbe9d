"""Commands as words, and as text that a person can paste: every word quoted where a shell would read it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from picochat.pipeline.launch.records import LaunchPlan

WIDTH = 100


def shell_line(words: Iterable[str]) -> str:
    """One line, quoted."""
    return " ".join(map(shlex.quote, words))


def shell_block(words: Iterable[str], indent: str = "  ") -> str:
    """A command over several lines that stays one command; a flag and its value stay together."""
    lines: list[str] = []
    for word in map(shlex.quote, words):
        if lines and not word.startswith("--") and len(lines[-1]) + len(word) < WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return f" \\\n{indent}".join(lines)


def header(plan: LaunchPlan, mark: str = "#") -> list[str]:
    """What every rendering says first: which plan it is, and what it may cost."""
    money = plan.money
    return [
        f"{mark} {plan.name}: {plan.profile} on {plan.nodes} x {plan.gpus_per_node} {plan.card}",
        f"{mark} plan {plan.digest()}",
        f"{mark} estimate ${money.estimate_usd[1]} (${money.estimate_usd[0]} to ${money.estimate_usd[2]}), "
        f"cap ${money.cap_usd}, at ${money.rate_usd_per_gpu_hour} a GPU-hour",
        f"{mark} needs in the environment: {', '.join(plan.environment) or 'nothing'}",
    ]


def cap_seconds(plan: LaunchPlan) -> int:
    """How long the machine may run at the plan's rate before the cap is spent: a limit for the provider's own clock."""
    per_hour = float(plan.money.rate_usd_per_gpu_hour) * plan.gpus
    return int(float(plan.money.cap_usd) / per_hour * 3600)


def cap_clock(plan: LaunchPlan) -> str:
    """The same as HH:MM:SS."""
    hours, rest = divmod(cap_seconds(plan), 3600)
    return f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"


def run_folder(plan: LaunchPlan) -> str:
    """The run, from the folder in which every rendering starts."""
    return f"{plan.target.folder}/runs/{plan.run}"
