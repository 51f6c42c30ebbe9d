"""Datasets as tables: what the artifacts of a corpus, its shards and its contamination say, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from picochat.core.units import format_bytes, format_count
from picochat.views.checks import UNKNOWN

Document = Mapping[str, Any]
EXAMPLES = 3
MAX_DIRTY_FRAC = 0.10
"""Of published items, and of held-out documents, which share wording with others of their kind."""
_OWN_ROWS = ("eval", "heldout")
"""Sets of which no row may stand in the training text."""
_LEAKS = ("unknown_side", "digest_mismatch", "misplaced", "exact_leak", "near_leak")


class Table(NamedTuple):
    title: str
    columns: list[str]
    rows: list[list[str]]


def corpus_tables(manifest: Document, examples: bool = False) -> list[Table]:
    """The manifest of a corpus: counts, sources, and what was dropped and why."""
    counts = [[key, f"{value:,}"] for key, value in manifest["counts"].items()]
    reasons = sorted(manifest["dropped"]["by_reason"].items(), key=lambda item: (-item[1], item[0]))
    dropped = [[reason, f"{count:,}"] for reason, count in reasons] or [["nothing was dropped", "0"]]
    columns = ["dropped because", "documents"]
    if examples:
        samples = manifest["dropped"]["samples"]
        columns.append("for example")
        names = [", ".join(_sample(entry) for entry in samples.get(reason, [])[:EXAMPLES]) for reason, _ in reasons]
        dropped = [row + [name] for row, name in zip(dropped, names or [""], strict=True)]
    source_columns = ["source", "read", "kept", "dropped", "weight", "licence", "revision"]
    return [
        Table("", ["count", "value"], counts),
        Table("", source_columns, [_source_row(source) for source in manifest["sources"]]),
        Table("", columns, dropped),
    ]


def _sample(entry: Document) -> str:
    twin = entry.get("document")
    return str(entry["name"]) + (f" (document {twin:,} stays)" if twin is not None else "")


def _source_row(source: Document) -> list[str]:
    dropped = sum(source["dropped"].values())
    budget = source.get("token_budget")
    share = f"{format_count(budget)} tokens" if budget else f"{source.get('weight', 1.0):g}"
    figures = [f"{source['read']:,}", f"{source['kept']:,}", f"{dropped:,}"]
    return [source["id"], *figures, share, source["licence"], str(source["revision"])[:16]]


def duplicate_tables(manifest: Document) -> list[Table]:
    """How duplicates were searched for, and what the written corpus says of itself."""
    found, checks = manifest["duplicates"], manifest["checks"]
    near = found["near"]
    rows = [["exact duplicates removed", f"{found['exact_removed']:,}"]]
    rows.append(["near duplicates removed", f"{found['near_removed']:,}" if near != "not_run" else "not run"])
    if near != "not_run" and "engine" in near:
        rows.append(["engine", " ".join(map(str, near["engine"].values()))])
        rows.append(["pairs compared, linked", f"{near['verified']:,}, {near['links']:,}"])
        rows.append(["thinned buckets", f"{near['thinned_buckets']:,}"])
    if checks.get("audited"):
        rows.append(["near copies left, of a sample", f"{checks['audit_near']:,} of {checks['audited']:,}"])
    proofs = [[name.replace("_", " "), str(value)] for name, value in checks.items()]
    return [Table("", ["duplicates", "value"], rows), Table("", ["read back", "value"], proofs)]


def shards_tables(manifest: Document) -> list[Table]:
    """Shards of both sides, how well rows are packed, and how often an epoch shows each source."""
    rows = []
    for side in ("train", "val"):
        shards = manifest[side]
        tokens, size = sum(shard["tokens"] for shard in shards), sum(shard["bytes"] for shard in shards)
        documents = sum(shard["documents"] for shard in shards)
        rows.append([side, f"{len(shards):,}", format_count(tokens), f"{documents:,}", format_bytes(size)])
    tables = [Table("", ["side", "shards", "tokens", "documents", "size"], rows)]
    if facts := manifest["packing_facts"]:
        tables.append(Table("", ["packing", "value"], [[key, f"{value:,}"] for key, value in facts.items()]))
    exposure = []
    for entry in manifest["exposure"]:
        tokens = [format_count(entry[key]) for key in ("unique_tokens", "epoch_tokens")]
        exposure.append([entry["source"], f"{entry['weight']:.3g}", *tokens])
    return [*tables, Table("", ["source", "weight", "unique tokens", "tokens an epoch"], exposure)]


def contamination_tables(honesty: Document) -> list[Table]:
    """Items of each set that stand in the training text."""
    rows = []
    for name, entry in honesty["contamination"]["sets"].items():
        keys = ("items", "dirty", "clean", "uncheckable")
        rows.append([name, *(f"{entry[key]:,}" if entry.get(key) is not None else UNKNOWN for key in keys)])
    return [Table("", ["set", "items", "in the training text", "clean", "uncheckable"], rows)]


def pack_tables(preview: Document) -> list[Table]:
    """What a pack offers: its sources, and what became of the first documents of each."""
    sources, fates = [], []
    for source in preview["sources"]:
        known = source["state"] == "present" and source["files"]
        size = [f"{source['files']:,}", format_bytes(source["bytes"])] if known else [UNKNOWN] * 2
        origin = [source["licence"], str(source["revision"])[:16]]
        sources.append([source["id"], source["place"], source["state"], *size, *origin])
        first = source["first"]
        for reason, shown in first["examples"].items() if first else ():
            count = first["kept"] if reason == "kept" else first["dropped"][reason]
            text = " ".join(shown[0]["text"].split())[:60]
            fates.append([source["id"], reason, f"{count:,} of {first['read']:,}", shown[0]["name"], text])
    return [
        Table(preview["name"], ["source", "from", "state", "files", "size", "licence", "revision"], sources),
        Table("", ["source", "first documents", "count", "for example", "begins"], fates),
    ]


def blocking_faults(manifest: Document, honesty: Document) -> list[str]:
    """What would keep a model made from this from being released, in words."""
    checks = manifest["checks"]
    found = [f"{name.replace('_', ' ')}: {checks[name]:,} documents" for name in _LEAKS if checks.get(name)]
    if shared := manifest.get("chat", {}).get("disjoint_violations"):
        found.append(f"chat: {shared:,} rows share a template or an entity with an eval set")
    for name, entry in honesty["contamination"]["sets"].items():
        if entry.get("dirty", 0) > entry["items"] * (0 if entry["kind"] in _OWN_ROWS else MAX_DIRTY_FRAC):
            found.append(f"{name}: {entry['dirty']:,} of {entry['items']:,} stand in the training text")
    return found
