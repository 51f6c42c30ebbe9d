"""A launch plan that is sound, and how to change one field of it."""

from __future__ import annotations

from typing import Any

from picochat.pipeline.launch.records import LaunchPlan


def plan_json(**changes: Any) -> dict[str, Any]:
    """The document of a plan; `changes` replace whole fields."""
    body: dict[str, Any] = {
        "schema": {"name": "launch_plan", "version": 1},
        "name": "letters-1b",
        "created_at": "2026-01-01T00:00:00.000Z",
        "nonce": "0" * 32,
        "profile": "h200-1b-ddp8",
        "run": "letters-1b",
        "argv": ["torchrun", "--standalone", "-m", "picochat.cli", "run", "h200-1b-ddp8"],
        "environment": ["HF_TOKEN"],
        "target": {
            "kind": "ssh",
            "host": "user@gpu-1",
            "port": 22,
            "folder": "picochat",
            "python": "python3",
            "queue": None,
            "flavor": None,
            "image": None,
        },
        "nodes": 1,
        "gpus_per_node": 8,
        "card": "H100",
        "money": {
            "rate_usd_per_gpu_hour": "3.00",
            "hours": [13.9, 15.5, 17.4],
            "estimate_usd": ["334.00", "371.00", "417.00"],
            "cap_usd": "430.00",
        },
        "autostop_minutes": 15,
        "files": [{"path": "run.json", "bytes": 10, "sha256": "a" * 64}],
        "config_digest": "b" * 64,
        "code_digest": "c" * 64,
        "preflight_digest": "d" * 64,
        "parameters": 1_120_985_088,
        "tokens": 22_439_526_400,
        "steps": 21_400,
        "predicted": {"tokens_per_s": 448_000.0, "needed_bytes": 40_000_000_000},
    }
    return body | changes


def sound_plan(**changes: Any) -> LaunchPlan:
    """The plan itself."""
    return LaunchPlan.from_json(plan_json(**changes), "plan")
