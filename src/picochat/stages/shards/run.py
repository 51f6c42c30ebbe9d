"""The shards stage: corpus and tokenizer in; token shards of both sides and their manifest out.

Shards are written by several processes, each whole and on its own, so that a restart does none of them again; then all
of them are read back, and every document is looked up in the corpus.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from picochat.artifacts import layout
from picochat.artifacts.code_record import code_record
from picochat.artifacts.store import StageRecord
from picochat.core.errors import refuse
from picochat.core.failpoints import failpoint
from picochat.core.fs import make_dir
from picochat.core.hashing import digest_of
from picochat.core.progress import Pace
from picochat.data.corpus import CorpusReader
from picochat.data.mixture import Share, resolve_weights
from picochat.data.shards.checking import CheckJob, ShardFaults, build_shard_checker, count_documents
from picochat.data.shards.layout import ShardFile, ShardRecord, dtype_of
from picochat.data.shards.manifest import Exposure, ShardsBody
from picochat.data.shards.writing import ShardJob, ShardPlan, build_shard_writer
from picochat.data.split import Side
from picochat.data.stream import DocumentStream
from picochat.stages.contract import StageContext
from picochat.stages.shards.config import ShardsConfig
from picochat.stages.shards.finished import FinishedShards
from picochat.stages.text_files import TextFiles, open_text_files
from picochat.tokenizer.tokenizer import Tokenizer

STAGE = "shards"
SIDES: tuple[Side, ...] = ("val", "train")
"""The held-out side first: it is small, and a fault in it shows before hours of work."""


def run(ctx: StageContext, config: ShardsConfig) -> None:
    """Writes, reads back, records. Raises `artifact.*`, `corpus.layout`, `disk.*`, `shards.*` or `workers.lost`."""
    record = ctx.record(STAGE, config)
    files = open_text_files(ctx.store, record, config.text)
    if files.documents is None:
        refuse("shards.guessed", f"{files.corpus} has no {layout.CORPUS_DOCUMENTS} beside it: documents are guessed")
    reader, tok = files.open_corpus(), files.open_tokenizer()
    shares = files.shares_of(reader)
    weights = resolve_weights(reader, shares, lambda text: len(tok.encode_array(text)))
    plan = build_plan(config, files, tok, shares, weights)
    make_dir(ctx.store.path(layout.SHARDS))
    jobs = build_jobs(ctx, reader, plan, config)
    finished = FinishedShards(ctx.store.path(layout.SHARDS_WORK), plan_key(plan, files))
    records = write_shards(ctx, plan, jobs, finished)
    body = build_body(config, plan, tok, files, shares, records)
    _remove_others(ctx, {record.name for record in records})
    checks = read_back(ctx, body, files, reader, weights)
    for shard in records:
        add_output(record, shard)
    document = body.to_json() | {"checks": checks, "packing_facts": packing_facts(body)}
    ctx.store.write_report(layout.SHARDS_MANIFEST, "shards_manifest", document, record.manifest(ctx.clock.monotonic()))
    shutil.rmtree(ctx.store.path(layout.SHARDS_WORK), ignore_errors=True)


def build_plan(
    config: ShardsConfig, files: TextFiles, tok: Tokenizer, shares: Sequence[Share], weights: Sequence[float]
) -> ShardPlan:
    """What all shards have in common."""
    assert files.documents is not None
    return ShardPlan(
        corpus=files.corpus,
        documents=files.documents,
        tokenizer=files.tokenizer,
        fast=files.fast,
        sources=tuple(share.source for share in shares),
        weights=tuple(weights),
        dtype=dtype_of(tok.vocab_size),
        boundary_tokens=config.settings.boundary_tokens,
        row_tokens=config.row_tokens if config.data_mode == "packed" else None,
        packing=config.settings.packing,
    )


def plan_key(plan: ShardPlan, files: TextFiles) -> str:
    """What a finished shard was made under: other text, tokenizer, settings or code make it worthless."""
    settings = [plan.fast, plan.sources, plan.weights, plan.dtype, plan.boundary_tokens, plan.row_tokens, plan.packing]
    return digest_of([files.digests, settings, code_record().package_digest])


def build_jobs(ctx: StageContext, reader: CorpusReader, plan: ShardPlan, config: ShardsConfig) -> list[ShardJob]:
    """One job a shard. Raises `data.no_val` or `data.no_train` for a side without documents."""
    jobs = []
    for side in SIDES:
        parts = list(DocumentStream(reader, side, plan.weights).parts(config.settings.shard_bytes))
        if not parts:
            refuse(f"data.no_{side}", f"{plan.corpus} has {len(reader):,} documents, none of them on the {side} side")
        jobs += [ShardJob(side, part, ctx.store.path(layout.shard(side, part.number))) for part in parts]
    return jobs


def write_shards(
    ctx: StageContext, plan: ShardPlan, jobs: Sequence[ShardJob], finished: FinishedShards
) -> list[ShardRecord]:
    """The records of all shards in the order of the jobs; those that an earlier attempt finished are taken over."""
    known = {job.path.name: finished.find(job) for job in jobs}
    due = [job for job in jobs if known[job.path.name] is None]
    pace = Pace(ctx.clock, sum(job.part.bytes for job in jobs), sum(j.part.bytes for j in jobs if j not in due))
    if len(due) < len(jobs):
        ctx.progress.say(f"{STAGE}: {len(jobs) - len(due)} of {len(jobs)} shards were finished before")
    results = ctx.map(partial(build_shard_writer, plan), due, sum(job.part.bytes for job in due))
    for number, (job, record) in enumerate(zip(due, results, strict=True), len(jobs) - len(due) + 1):
        finished.add(job, record)
        known[job.path.name] = record
        failpoint("data.after_shard")
        pace.add(job.part.bytes)
        ctx.progress.update(pace.done, pace.total, pace.tell(f"shard {number} of {len(jobs)}"))
    return [record for job in jobs if (record := known[job.path.name]) is not None]


def build_body(
    config: ShardsConfig,
    plan: ShardPlan,
    tok: Tokenizer,
    files: TextFiles,
    shares: Sequence[Share],
    records: Sequence[ShardRecord],
) -> ShardsBody:
    """The manifest without its checks."""
    packed = plan.row_tokens is not None
    return ShardsBody(
        dtype=plan.dtype,
        layout="rows" if packed else "stream",
        row_tokens=plan.row_tokens,
        packing=plan.packing if packed else None,
        boundary_tokens=plan.boundary_tokens,
        bos_id=tok.bos,
        eos_id=tok.eos,
        pad_id=tok.pad,
        vocab_size=tok.vocab_size,
        tokenizer_sha256=files.digests["tokenizer"],
        corpus_sha256=files.digests["corpus"],
        documents_sha256=files.digests["corpus_documents"],
        train=tuple(record for record in records if record.side == "train"),
        val=tuple(record for record in records if record.side == "val"),
        exposure=tuple(_exposures(files.open_corpus(), plan, shares, records)),
    )


def _exposures(
    reader: CorpusReader, plan: ShardPlan, shares: Sequence[Share], records: Sequence[ShardRecord]
) -> list[Exposure]:
    """Tokens a source: of different documents, and with all copies.

    The first pass holds each document once, and of a planted one all copies, which are alike.
    """
    counts = DocumentStream(reader, "train", plan.weights).count_copies()
    found = []
    for number, share in enumerate(shares):
        epoch = sum(r.by_source.get(share.source, 0) for r in records if r.side == "train")
        first = sum(r.by_source.get(share.source, 0) for r in records if r.side == "train" and r.copy_number == 0)
        if share.planted and counts[number, 1]:
            first = round(epoch * int(counts[number, 0]) / int(counts[number, 1]))
        found.append(
            Exposure(
                source=share.source,
                weight=plan.weights[number],
                documents=int(counts[number, 0]),
                unique_tokens=first,
                epoch_tokens=epoch,
                budget_tokens=share.token_budget,
            )
        )
    return found


def read_back(
    ctx: StageContext, body: ShardsBody, files: TextFiles, reader: CorpusReader, weights: Sequence[float]
) -> dict[str, int]:
    """Faults of the written tokens, all 0. Raises `shards.read_back` when there is one."""
    assert files.documents is not None
    folder = ctx.store.path(layout.SHARDS)
    jobs = [CheckJob(folder, body, record) for record in body.shards()]
    total = sum((record.bytes for record in body.shards()), 0)
    pace, faults = Pace(ctx.clock, total), ShardFaults()
    checker = partial(build_shard_checker, files.corpus, files.documents, files.tokenizer)
    for job, found in zip(jobs, ctx.map(checker, jobs, total), strict=True):
        faults = ShardFaults(*(a + b for a, b in zip(faults, found, strict=True)))
        pace.add(job.record.bytes)
        ctx.progress.update(pace.done, pace.total, pace.tell(f"reading {job.record.name} back"))
    checks = faults._asdict() | {"misplaced_copies": _count_misplaced(body, folder, reader, weights)}
    if wrong := {name: count for name, count in checks.items() if count and name != "pieces"}:
        refuse("shards.read_back", f"the written shards do not give back the corpus: {wrong}")
    return checks


def _count_misplaced(body: ShardsBody, folder: Path, reader: CorpusReader, weights: Sequence[float]) -> int:
    """Documents that do not stand in the shards of their side as often as they should."""
    wrong = 0
    for side in SIDES:
        records = body.train if side == "train" else body.val
        shards = [ShardFile(folder / record.name, record, body.dtype, body.pad_id) for record in records]
        wanted = DocumentStream(reader, side, weights).count_by_document()
        wrong += int(np.count_nonzero(count_documents(shards, len(reader)) != wanted))
    return wrong


def packing_facts(body: ShardsBody) -> dict[str, float] | None:
    """How well the rows of the train side are used; None for a stream."""
    rows = sum(record.rows or 0 for record in body.train)
    if body.layout == "stream" or not rows:
        return None
    tokens, padding = sum(r.tokens for r in body.train), sum(r.padding_tokens for r in body.train)
    cropped = sum(record.cropped_tokens for record in body.train)
    return {
        "rows": rows,
        "use_frac": round(1 - padding / tokens, 6),
        "crop_frac": round(cropped / (tokens - padding + cropped), 6),
        "pieces_per_row": round(sum(record.pieces for record in body.train) / rows, 3),
    }


def add_output(record: StageRecord, shard: ShardRecord) -> None:
    """Hashes a shard once more. Raises `artifact.changed` when it is not what its writer wrote."""
    name = f"{layout.SHARDS}/{shard.name}"
    if (ref := record.add_output("shard", name)).sha256 != shard.sha256:
        refuse("artifact.changed", f"{name} has sha256 {ref.sha256[:12]}..., recorded was {shard.sha256[:12]}...")


def _remove_others(ctx: StageContext, names: set[str]) -> None:
    """Shards of an earlier attempt with other settings: nobody names them any more."""
    for path in ctx.store.path(layout.SHARDS).glob("*.bin"):
        if path.name not in names:
            path.unlink()
