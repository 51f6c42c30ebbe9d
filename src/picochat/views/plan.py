"""A plan as tables and lines for people. Every number stands in the plan; nothing is computed here but shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.core.units import format_bytes, format_count, format_hours
from picochat.views.dataset import Table

Document = Mapping[str, Any]
PARTS = {
    "weights_bytes": "weights",
    "gradients_bytes": "gradients",
    "optimizer_bytes": "optimizer state",
    "activations_bytes": "activations",
    "logits_bytes": "logits and head",
    "work_bytes": "casts and work",
    "margin_bytes": "margin: 8 % and 1.5 GiB",
    "needed_bytes": "needed",
}


def plan_tables(plan: Document) -> list[Table]:
    """What is trained, memory a rank, time and money, disk."""
    return [_stages(plan), _memory(plan), *([_time(plan)] if plan["estimates"] else []), _disk(plan)]


def headline(plan: Document) -> str:
    """Which model on which machine, in one line."""
    fleet, ways = plan["fleet"], [plan["precision"], "compiled" if plan["compiled"] else "eager or by need"]
    if plan["strategy"] != "single":
        ways.insert(0, plan["strategy"])
    return (
        f"{plan['profile']}: {plan['parameters']:,} parameters on {fleet['count']} x {fleet['card']['title']} "
        f"({', '.join(ways)}), {plan['tokens_per_parameter']:.1f} tokens a parameter"
    )


def closing_lines(plan: Document) -> list[str]:
    """The bill that is reckoned with, what dominates, checks, notes, remedies."""
    lines = [_bill(plan)]
    big = plan["dominates"]
    named = " ".join(
        f"{where}: {big[key]} {big[key + '_frac']:.0%};"
        for where, key in (("memory", "memory"), ("operations", "flops"), ("disk", "disk"))
    )
    lines.append(f"dominates  {named.rstrip(';')}")
    lines += [f"memory     {stage['stage']}: {stage['why']}" for stage in plan["stages"]]
    lines += [_check(plan, check) for check in plan["checks"]]
    lines += [f"note       {note}" for note in plan["notes"]]
    return lines + [f"would fit  {remedy}" for remedy in plan["remedies"]]


def _stages(plan: Document) -> Table:
    rows = [
        [
            stage["stage"],
            format_count(stage["tokens"]),
            f"{stage['steps']:,}",
            f"{stage['tokens_per_step']:,}",
            f"{stage['batch']['micro_batch_size']} x {stage['batch']['grad_accum_steps']} x {plan['fleet']['count']}",
            f"{stage['flops_per_token']:.4g}",
            f"{stage['flops_total']:.4g}",
            f"yes, + {stage['recompute_frac']:.0%} executed" if stage["batch"]["checkpoint_blocks"] else "no",
        ]
        for stage in plan["stages"]
    ]
    columns = ["stage", "tokens", "steps", "tokens a step", "rows x accumulation x ranks"]
    return Table("", [*columns, "FLOPs a token", "FLOPs in all", "blocks recomputed"], rows)


def _memory(plan: Document) -> Table:
    found = [stage["batch"]["memory"] for stage in plan["stages"]]
    rows = [[title, *(format_bytes(memory[key]) for memory in found)] for key, title in PARTS.items()]
    rows.append(["peak is in", *(memory["phase"] for memory in found)])
    rows.append(["of", *(_fits(plan, stage) for stage in plan["stages"])])
    return Table("", ["memory a rank", *(stage["stage"] for stage in plan["stages"])], rows)


def _fits(plan: Document, stage: Document) -> str:
    room = plan["fleet"]["card"]["memory_gb"]
    where = "this machine's" if room is None else f"{room:g} GB"
    return f"{where}: {'fits' if stage['batch']['fits'] else 'DOES NOT FIT'}"


def _time(plan: Document) -> Table:
    estimates = plan["estimates"]
    heads = [
        ("measured here" if found["basis"] == "probe" else f"MFU {found['mfu_frac']:.0%}")
        + (" *" if number == plan["assumed"] else "")
        for number, found in enumerate(estimates)
    ]
    rows = [["tokens/s", *(f"{found['tokens_per_s']:,.0f}" for found in estimates)]]
    for place, line in enumerate(estimates[0]["lines"]):
        rows.append([line["name"], *(_cost(found["lines"][place]) for found in estimates)])
    rows.append(["total", *(_cost(found["total"]) for found in estimates)])
    return Table("", ["time and money", *heads], rows)


def _cost(line: Document) -> str:
    hours = format_hours(line["hours"])
    return hours if line["money"] is None else f"{hours}  ${line['money']:,.2f}"


def _disk(plan: Document) -> Table:
    disk = plan["disk"]
    copies = disk["checkpoint_copies"]
    rows = [
        ["corpus, at most", format_bytes(disk["corpus_bytes"])],
        ["shards, at most", format_bytes(disk["shards_bytes"])],
        [f"checkpoints, {copies} of {format_bytes(disk['checkpoint_bytes'])}", _checkpoints(disk)],
        ["all", format_bytes(disk["total_bytes"])],
        ["a save takes", f"{disk['save_s']:.1f} s, {disk['saves']:,} of them"],
        *([f"assumed {number}", text] for number, text in enumerate(disk["assumptions"], 1)),
    ]
    return Table("", ["disk", "at most"], rows)


def _checkpoints(disk: Document) -> str:
    return format_bytes(disk["total_bytes"] - disk["corpus_bytes"] - disk["shards_bytes"])


def _bill(plan: Document) -> str:
    if plan["assumed"] is None:
        return "reckon     hours and money are unknown: no speed is known for these ranks"
    found = plan["estimates"][plan["assumed"]]
    basis = "as measured here" if found["basis"] == "probe" else f"at {found['mfu_frac']:.0%} of the peak"
    money = found["total"]["money"]
    price = "money is unknown without --rate" if money is None else f"${money:,.2f}"
    return f"reckon     {format_hours(found['total']['hours'])} {basis} (*), {price}"


def _check(plan: Document, check: Document) -> str:
    counted = plan["counted"]
    words = "agrees" if check["verdict"] == "pass" else "DISAGREES: rely on neither"
    return (
        f"{check['verdict']:<10} {check['id']}: counted {format_bytes(counted['peak_bytes'])} on fake tensors, formula "
        f"{format_bytes(counted['formula_peak_bytes'])}: {check['measured']:.1%} apart, {words}"
    )
