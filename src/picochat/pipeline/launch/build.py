"""From a run folder whose data is built to a launch plan: what travels, what is started, and what it may cost."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.code_record import code_record
from picochat.artifacts.run_record import RunRecord
from picochat.artifacts.store import RunStore
from picochat.core.clock import utc_now
from picochat.core.errors import refuse
from picochat.judgement.rules.preflight import settings_digest
from picochat.pipeline.config import RunConfig
from picochat.pipeline.launch.dry_run import STEPS
from picochat.pipeline.launch.records import (
    LaunchPlan,
    Money,
    Target,
    TravellingFile,
    dollars,
    format_dollars,
    plan_tag,
)
from picochat.pipeline.plan.build import build_plan
from picochat.pipeline.plan.cards import CPU, Fleet
from picochat.pipeline.plan.records import Plan
from picochat.pipeline.resuming import own_settings

DRY_RUN_CAP_FRAC = 0.1


class Order(NamedTuple):
    """What a person asks for."""

    fleet: Fleet
    nodes: int
    target: Target
    rate: str
    cap: str
    environment: tuple[str, ...] = ()
    autostop_minutes: int = 15
    strategy: str | None = None


def build_launch_plan(store: RunStore, record: RunRecord, config: RunConfig, order: Order) -> LaunchPlan:
    """The plan to start this run's training elsewhere.

    Raises `launch.money` for sums that are none, `launch.shape` for GPUs that nodes cannot share, `launch.data` when
    something that training reads is not built, `plan.*`.
    """
    rate, cap = dollars(order.rate), dollars(order.cap)
    if not rate or not cap:
        refuse("launch.money", f"rate {order.rate!r} and cap {order.cap!r} are not both sums in dollars and cents")
    if order.fleet.count % order.nodes or order.fleet.card.name == CPU:
        refuse("launch.shape", f"{order.fleet} cannot be shared by {order.nodes} nodes")
    require_built(store, config)
    found = build_plan(config, order.fleet, float(rate), order.strategy, profile=record.profile)
    return LaunchPlan.from_json(_document(store, record, config, order, found), f"launch plan of {store.root}")


def _document(store: RunStore, record: RunRecord, config: RunConfig, order: Order, found: Plan) -> dict[str, Any]:
    per_node = order.fleet.count // order.nodes
    name = store.root.resolve().name
    settings = {
        "launch.cap_usd": order.cap,
        "launch.rate_usd_per_gpu_hour": order.rate,
        "launch.gpus": str(order.fleet.count),
    }
    preflight = store.ref("preflight", layout.PREFLIGHT).sha256 if store.has(layout.PREFLIGHT) else None
    return {
        "schema": plan_tag().to_json(),
        "name": name,
        "created_at": utc_now(),
        "nonce": secrets.token_hex(16),
        "profile": record.profile,
        "run": name,
        "argv": list(run_words(record, name, found.strategy, settings)),
        "environment": list(order.environment),
        "target": order.target.to_json(),
        "nodes": order.nodes,
        "gpus_per_node": per_node,
        "card": order.fleet.card.name,
        "money": money_of(found, order).to_json(),
        "autostop_minutes": order.autostop_minutes,
        "files": [file.to_json() for file in travelling_files(store)],
        "config_digest": settings_digest(record.config),
        "code_digest": code_record().package_digest,
        "preflight_digest": preflight,
        "parameters": found.parameters,
        "tokens": found.base.tokens,
        "steps": found.base.steps,
        "predicted": {
            "tokens_per_s": found.estimate.tokens_per_s if found.estimate else None,
            "needed_bytes": found.base.batch.memory.needed_bytes,
            "disk_bytes": found.disk.total_bytes,
        },
        "dry_run_of": None,
    }


def run_words(record: RunRecord, name: str, strategy: str, settings: Mapping[str, str]) -> tuple[str, ...]:
    """The program's words after the launcher's: the run is gone on with, from the files that travelled."""
    words = ["-m", "picochat.cli", "run", record.profile, "--out-dir", f"runs/{name}", "--resume", "--ddp"]
    words += ["--distributed-strategy", "fsdp"] if strategy == "fsdp" else []
    own = own_settings(record)
    given = dict(settings) | {key: value for key, value in own.items() if not key.startswith("launch.")}
    return (*words, *[word for key, value in given.items() for word in ("--set", f"{key}={value}")])


def money_of(found: Plan, order: Order) -> Money:
    """Hours and dollars at the plan's three speeds, from the fastest to the slowest."""
    if not found.estimates:
        refuse("launch.money", f"nothing is known of the speed of {order.fleet}")
    totals = sorted((estimate.total for estimate in found.estimates), key=lambda line: line.hours)
    expected = found.estimate.total if found.estimate else totals[len(totals) // 2]
    hours = (totals[0].hours, expected.hours, totals[-1].hours)
    low, middle, high = (format_dollars(hour * float(order.rate) * order.fleet.count) for hour in hours)
    return Money(rate_usd_per_gpu_hour=order.rate, hours=hours, estimate_usd=(low, middle, high), cap_usd=order.cap)


def travelling_files(store: RunStore) -> list[TravellingFile]:
    """Everything of the run that is not live, by path."""
    paths = sorted(path for path in store.root.rglob("*") if path.is_file() and not path.is_symlink())
    named = [path.relative_to(store.root) for path in paths]
    refs = [store.ref("file", str(path)) for path in named if not layout.is_live(path)]
    return [TravellingFile(path=ref.path, bytes=ref.bytes, sha256=ref.sha256) for ref in refs]


def require_built(store: RunStore, config: RunConfig) -> None:
    """Raises `launch.data` when a stage before training would run on rented GPUs."""
    needed = [layout.CORPUS_MANIFEST, layout.HONESTY, layout.TOKENIZER_REPORT]
    needed += [layout.SHARDS_MANIFEST] if config.base.data_mode != "memory" else []
    if missing := [path for path in needed if not store.has(path)]:
        refuse("launch.data", f"{store.root} has no {', '.join(missing)}: it would be made while GPUs are paid for")


def build_dry_run(plan: LaunchPlan) -> LaunchPlan:
    """The plan that rehearses the first steps of another one, in a run of its own, under a cap of its own."""
    cap = max(Decimal("1.00"), (Decimal(plan.money.cap_usd) * Decimal(str(DRY_RUN_CAP_FRAC))).quantize(Decimal("0.01")))
    name = f"{plan.run[:70]}-dry"
    changes = {f"runs/{plan.run}": f"runs/{name}", f"launch.cap_usd={plan.money.cap_usd}": f"launch.cap_usd={cap}"}
    argv = [changes.get(word, word) for word in plan.argv]
    minutes = float(cap) / (float(plan.money.rate_usd_per_gpu_hour) * plan.gpus)
    body = plan.to_json() | {
        "name": f"{plan.name[:70]}-dry",
        "run": name,
        "created_at": utc_now(),
        "nonce": secrets.token_hex(16),
        "argv": [*argv, "--set", f"launch.stop_after_steps={STEPS}"],
        "money": plan.money.to_json() | {"cap_usd": str(cap), "hours": [minutes] * 3, "estimate_usd": [str(cap)] * 3},
        "steps": STEPS,
        "dry_run_of": plan.digest(),
    }
    return LaunchPlan.from_json(body, f"dry run of {plan.name}")
