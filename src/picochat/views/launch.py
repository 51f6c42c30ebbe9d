"""A launch plan and what became of it, in words. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from picochat.core.units import format_bytes, format_count, format_hours
from picochat.views.checks import check_rows
from picochat.views.dataset import Table
from picochat.views.fixes import fill_fix

Document = Mapping[str, Any]


def plan_lines(plan: Document, digest: str) -> list[str]:
    """What a person reads before typing the cap."""
    money, target = plan["money"], plan["target"]
    low, expected, high = money["estimate_usd"]
    hours = [format_hours(value) for value in money["hours"]]
    size = sum(file["bytes"] for file in plan["files"])
    where = target["host"] or target["queue"] or target["flavor"] or "wherever it is submitted"
    rehearsal = f", first steps of plan {plan['dry_run_of'][:12]}" if plan["dry_run_of"] else ""
    return [
        f"Plan      {plan['name']}, {plan['profile']}{rehearsal}, sha256 {digest}",
        f"Where     {plan['nodes']} x {plan['gpus_per_node']} {plan['card']}, {target['kind']}: {where}",
        f"Work      {format_count(plan['parameters'])} parameters, {format_count(plan['tokens'])} tokens, "
        f"{plan['steps']:,} steps",
        f"Travels   {len(plan['files']):,} files, {format_bytes(size)}, each by its digest",
        f"Time      {hours[1]} ({hours[0]} to {hours[2]})",
        f"Money     ${money['rate_usd_per_gpu_hour']} a GPU-hour, estimate ${expected} (${low} to ${high})",
        f"CAP       ${money['cap_usd']}: at this amount the run has saved a checkpoint and stopped",
        f"Autostop  {plan['autostop_minutes']} min after the end",
        f"Needs     {', '.join(plan['environment']) or 'no variable'} in the environment there",
    ]


def dry_run_line(plan: Document, dry_run: Document | None) -> str:
    """What came of the rehearsal, in a line: `run mine-dry: 8 rows hold`."""
    if plan["dry_run_of"]:
        return f"this is the dry run of plan {plan['dry_run_of'][:12]}"
    if dry_run is None:
        return "none was judged: what was not run blocks"
    bad = [check["id"] for check in dry_run["checks"] if check["verdict"] in ("block", "not_run")]
    if bad:
        return f"{', '.join(bad)} of run {dry_run['run']} did not pass"
    return f"run {dry_run['run']}: {len(dry_run['checks'])} rows hold"


def checks_table(checks: Iterable[Document]) -> Table:
    """Preconditions or rows of a dry run."""
    rows = [
        [row.verdict, row.id, row.measured, row.threshold, "" if row.verdict == "pass" else f"{row.why}: {row.fix}"]
        for row in check_rows(checks)
    ]
    return Table("", ["verdict", "check", "measured", "asked for", "why, and what mends it"], rows)


def plans_table(plans: Iterable[tuple[Document, str, str]]) -> Table:
    """(plan, digest, state) of every plan of a desk."""
    rows = [
        [
            digest[:12],
            plan["name"],
            f"{plan['nodes']} x {plan['gpus_per_node']} {plan['card']}",
            f"${plan['money']['estimate_usd'][1]}",
            f"${plan['money']['cap_usd']}",
            state,
        ]
        for plan, digest, state in plans
    ]
    return Table("", ["plan", "name", "where", "estimate", "cap", "state"], rows)


def readiness_lines(targets: Iterable[Document], run: str) -> list[str]:
    """A line a target, then what is missing with what mends it."""
    lines = []
    for target in targets:
        lines.append(f"{target['ready'].replace('_', ' '):<10}{target['title']}")
        rows = {row.id: row for row in check_rows(target["checks"])}
        missing = [rows[name] for name in target["missing"]]
        lines += [f"          {row.verdict:<8} {row.id}: {fill_fix(row.fix, run, None)}" for row in missing]
    return lines
