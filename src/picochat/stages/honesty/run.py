"""The honesty stage: corpus, chat rows and benchmarks in; which items stand in the training texts, with proofs, out.

The report has one section a question: `contamination` now. Nothing is taken out of any score here: whoever shows scores
shows them on all items, on the clean and on the dirty ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from picochat.artifacts import layout
from picochat.core.jsonio import jsonl_bytes
from picochat.data.contamination.documents import DocumentIndex, build_document_index
from picochat.data.contamination.evidence import VAL, iter_hits
from picochat.data.contamination.findings import Findings
from picochat.data.contamination.index import build_index
from picochat.data.contamination.items import text_of_row
from picochat.data.contamination.jobs import CORPUS, Needles, Scanned
from picochat.data.contamination.report import Body, build_section
from picochat.data.contamination.search import TrainTexts, compare_rows, search_texts
from picochat.data.corpus import CorpusReader
from picochat.judgement.judged_sets import Collected, collect_sets
from picochat.stages.contract import StageContext
from picochat.stages.honesty.config import HonestyConfig

STAGE = "honesty"


def run(ctx: StageContext, config: HonestyConfig) -> None:
    """Compares every set with every training text, and writes the report and the list of hits.

    Raises `artifact.*` for changed inputs, `chat.*`, `eval.row` and `benchmark.*` for rows that cannot be read,
    `run.stopped` between two pieces of the text.
    """
    store, record = ctx.store, ctx.record(STAGE, config)
    manifest = store.require_outputs(layout.CORPUS_MANIFEST, "corpus_manifest")
    for kind, path in (
        ("corpus_manifest", layout.CORPUS_MANIFEST),
        ("corpus", layout.CORPUS),
        ("corpus_documents", layout.CORPUS_DOCUMENTS),
    ):
        record.add_input(kind, path)
    collected = collect_sets(store, manifest.get("benchmarks", []), record.add_input)
    corpus = store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS)
    texts = TrainTexts(corpus, store.path(layout.CHAT_TRAIN), collected.train)
    reader = texts.reader()
    needles = Needles(build_index(collected.sets, config.contamination), _held_documents(reader, config))
    findings = Findings(collected.sets, needles, compare_rows(collected.train, collected.heldout))
    search_texts(
        findings,
        texts,
        ctx.workers,
        stop_reason=lambda: ctx.stop.reason,
        watch=lambda pieces, size: _watched(ctx, pieces, size),
    )
    lines = list(iter_hits(findings, lambda against, number: _text_of(reader, collected, against, number)))
    store.write_evidence(layout.HONESTY_HITS, jsonl_bytes(lines))
    record.add_output("hits", layout.HONESTY_HITS)
    section = build_section(findings, collected.not_scanned, len(lines))
    body = {"contamination": section}
    store.write_report(layout.HONESTY, "honesty", body, record.manifest(ctx.clock.monotonic()))
    _tell(ctx, section)


def _held_documents(reader: CorpusReader, config: HonestyConfig) -> DocumentIndex:
    """The held-out documents in the order of their digests: a sample of them is one of all sources."""
    val = reader.indices("val")
    digests = np.ascontiguousarray(reader.documents["sha256"][val]).view(">u8").reshape(-1, 4)[:, 0]
    ordered = val[np.argsort(digests, kind="stable")].tolist()
    numbered = ((number, reader.text(number)) for number in ordered)
    return build_document_index(numbered, len(val), config.contamination)


def _text_of(reader: CorpusReader, collected: Collected, against: str, number: int) -> str:
    return reader.text(number) if against == CORPUS else text_of_row(collected.train[number])


def _watched(ctx: StageContext, pieces: Iterable[Scanned], size: int) -> Iterator[Scanned]:
    done = 0
    for piece in pieces:
        done += piece.bytes
        ctx.progress.update(min(done, size), size, f"comparing {piece.against}")
        yield piece


def _tell(ctx: StageContext, section: Body) -> None:
    """Warnings for the events: what was found, and what was not looked for."""
    for name, entry in section["sets"].items():
        if entry["dirty"]:
            what = "documents" if name == VAL else "items"
            text = f"{name}: {entry['dirty']:,} of {entry['items']:,} {what} stand in the training text"
            ctx.events.emit("warning", STAGE, code="contamination", text=text)
    for entry in section["not_scanned"]:
        ctx.events.emit("warning", STAGE, code="contamination", text=f"{entry['set']}: {entry['reason']}")
