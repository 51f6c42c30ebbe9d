"""The hold-out, proved from the files that were trained on: corpus and shards are read again, the sides compared.

The search for near copies uses the package's own parameters, whatever the run was built with.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

from picochat.artifacts import layout
from picochat.core.workers import available_processes, map_in_order
from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.holdout import examine_holdout
from picochat.data.shards.checking import CheckJob, build_shard_checker
from picochat.data.shards.manifest import ShardsBody
from picochat.judgement.evidence import RunEvidence

BYTES_A_PROCESS = 16_000_000


class SplitFindings(NamedTuple):
    """Faults in all, the documents that were looked at, and (artifact, pointer) of each place that has some."""

    faults: int
    documents: int
    places: list[tuple[str, str]]


def find_leaks(evidence: RunEvidence) -> SplitFindings:
    """Texts on both sides, near copies included, documents that are not the recorded ones, and shards that hold them.

    Raises `artifact.*`, `corpus.layout`, `shards.layout` or `workers.lost`.
    """
    store = evidence.store
    text, records = store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS)
    with tempfile.TemporaryDirectory() as scratch:
        facts = examine_holdout(
            text, records, Path(scratch), duplicates=DuplicatesConfig(), audited=0, processes=_processes(text)
        )
    found = {layout.CORPUS_DOCUMENTS: facts.leaks} | check_shards(evidence)
    places = [(path, "") for path, count in found.items() if count]
    return SplitFindings(sum(found.values()), facts.documents, places)


def check_shards(evidence: RunEvidence) -> dict[str, int]:
    """Faults of each shard that the run was trained on, by its path: pieces of documents that do not belong there."""
    manifest, store = evidence.documents.get(layout.SHARDS_MANIFEST), evidence.store
    if manifest is None:
        return {}
    fields = {key: manifest.body[key] for key in ShardsBody.model_fields if key in manifest.body}
    body = ShardsBody.from_json(fields, layout.SHARDS_MANIFEST)
    foreign = {f"{layout.SHARDS}/{r.name}": 1 for r in body.train if r.side != "train"}
    foreign |= {f"{layout.SHARDS}/{r.name}": 1 for r in body.val if r.side != "val"}
    jobs = [CheckJob(store.path(layout.SHARDS), body, record) for record in body.shards()]
    paths = (store.path(name) for name in (layout.CORPUS, layout.CORPUS_DOCUMENTS, layout.TOKENIZER))
    checked = map_in_order(partial(build_shard_checker, *paths), jobs, processes=_processes(store.path(layout.CORPUS)))
    faults = {f"{layout.SHARDS}/{job.record.name}": found.total for job, found in zip(jobs, checked, strict=True)}
    return {path: count + foreign.get(path, 0) for path, count in faults.items()}


def _processes(text: Path) -> int:
    """As many as a corpus of this size is worth."""
    return max(1, min(available_processes(), text.stat().st_size // BYTES_A_PROCESS))
