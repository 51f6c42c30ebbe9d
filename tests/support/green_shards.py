"""Shards of a green run: written by the stage itself, and two ways in which a forger hands over others."""

from __future__ import annotations

import shutil

from tests.support.green_run import GreenRun

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.clock import ManualClock
from picochat.core.events import EventWriter
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import pretty_json
from picochat.data.shards.config import ShardSettings
from picochat.stages.contract import StageContext
from picochat.stages.shards.config import ShardsConfig
from picochat.stages.shards.run import run as run_shards


def write_shards(run: GreenRun, *, boundary_tokens: bool = True) -> None:
    """Corpus and tokenizer of the run as token shards of both sides."""
    settings = ShardSettings(boundary_tokens=boundary_tokens)
    events = EventWriter(run.store.path(layout.EVENTS))
    try:
        context = StageContext(run.store, events, seed=1, clock=ManualClock())
        run_shards(context, ShardsConfig(settings=settings, data_mode="sharded", row_tokens=128))
    finally:
        events.close()


def train_on_shards(run: GreenRun, *, boundary_tokens: bool = True) -> None:
    """Shards, and a base training that names them."""
    write_shards(run, boundary_tokens=boundary_tokens)
    run.write_training(layout.BASE)


def put_held_out_shard_into_train(store: RunStore) -> None:
    """The range of the val shard, listed among the train shards as if it were one, digests and counts in order."""
    body = store.read(layout.SHARDS_MANIFEST)
    held = body["val"][0]
    copy = layout.shard("train", len(body["train"]))
    shutil.copyfile(store.path(f"{layout.SHARDS}/{held['name']}"), store.path(copy))
    assert sha256_file(store.path(copy)) == held["sha256"]
    body["train"].append(held | {"name": copy.rpartition("/")[2], "side": "train"})
    outputs = body["manifest"]["outputs"]
    first = next(ref for ref in outputs if ref["path"].endswith(held["name"]))
    outputs.append(first | {"path": copy})
    store.path(layout.SHARDS_MANIFEST).write_bytes(pretty_json(body))
