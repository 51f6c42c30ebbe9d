"""The stage: shards of a run, their manifest, a restart, and what it refuses."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.support.base_run import prepare
from tests.support.tiny_run import flip_byte

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core import failpoints
from picochat.core.errors import PicochatError
from picochat.core.events import EventWriter
from picochat.core.fs import write_json
from picochat.core.jsonio import read_json
from picochat.data.corpus import CorpusReader
from picochat.data.shards import writing
from picochat.data.shards.reading import ShardSet
from picochat.stages import contract
from picochat.stages.contract import StageContext, StopFlag
from picochat.stages.shards import run as stage
from picochat.stages.shards.config import ShardsConfig
from picochat.stages.text_inputs import read_shards_body
from picochat.tokenizer.tokenizer import Tokenizer

Make = Callable[..., StageContext]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory):
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def make(tmp_path: Path):
    opened = []

    def build(name: str = "run", **more) -> StageContext:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        if not (root / layout.RUN).exists():
            write_json(root / layout.RUN, {})
        events = EventWriter(root / layout.EVENTS)
        opened.append(events)
        return StageContext(RunStore(root), events, seed=1, **more)

    yield build
    for events in opened:
        events.close()


def config(prepared, mode: str = "sharded", row_tokens: int = 64, **settings) -> ShardsConfig:
    text = {"corpus": str(prepared.corpus), "tokenizer": str(prepared.tokenizer)}
    values = {"shard_bytes": 4000} | settings
    return ShardsConfig.from_dict({"settings": values, "data_mode": mode, "row_tokens": row_tokens, "text": text})


def files_of(ctx: StageContext) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in ctx.store.path(layout.SHARDS).glob("*.bin")}


def manifest_of(ctx: StageContext) -> dict:
    return ctx.store.require_outputs(layout.SHARDS_MANIFEST, "shards_manifest")


def test_the_stage_writes_what_its_manifest_says(make: Make, prepared):
    ctx = make()
    stage.run(ctx, config(prepared))
    document = manifest_of(ctx)
    body = read_shards_body(document)
    shards = ShardSet(ctx.store.path(layout.SHARDS), body)
    reader = CorpusReader(prepared.corpus, prepared.corpus.with_name(layout.CORPUS_DOCUMENTS))
    tok = Tokenizer.load(prepared.tokenizer)
    texts = [tok.decode(ids.tolist(), skip_special=True) for ids in shards.val_documents()]
    assert texts == list(reader.iter_texts("val")) and len(shards.train) > 3
    assert {ref["path"] for ref in document["manifest"]["outputs"]} == {f"shards/{name}" for name in files_of(ctx)}
    assert {ref["kind"] for ref in document["manifest"]["inputs"]} == {
        "corpus", "corpus_documents", "corpus_manifest", "tokenizer", "tokenizer_report",
    }  # fmt: skip
    assert document["checks"] == {"pieces": len(reader)} | dict.fromkeys(
        ("unknown", "wrong_side", "wrong_text", "misplaced_copies"), 0
    )
    (exposure,) = body.exposure
    assert exposure.unique_tokens == exposure.epoch_tokens == sum(len(s.tokens) for s in shards.train)
    assert exposure.documents == len(reader.indices("train")) and exposure.source == "texts"
    assert not ctx.store.path(layout.SHARDS_WORK).exists()


def test_packed_shards_tell_how_well_they_are_packed(make: Make, prepared):
    ctx = make()
    stage.run(ctx, config(prepared, "packed"))
    document = manifest_of(ctx)
    facts = document["packing_facts"]
    assert facts["use_frac"] > 0.99 and 0 < facts["crop_frac"] < 1 and facts["pieces_per_row"] >= 1
    assert document["layout"] == "rows" and document["row_tokens"] == 64
    whole = make("whole")
    stage.run(whole, config(prepared, "packed", packing="no_crop"))
    facts = manifest_of(whole)["packing_facts"]
    assert facts["crop_frac"] == 0 and 0.9 < facts["use_frac"] < 1


@pytest.mark.parametrize("mode", ["sharded", "packed"])
def test_the_bytes_do_not_depend_on_the_number_of_processes(
    make: Make, prepared, mode: str, monkeypatch: pytest.MonkeyPatch
):
    alone, shared = make("alone"), make("shared", workers=2)
    stage.run(alone, config(prepared, mode))
    monkeypatch.setattr(contract, "BYTES_A_PROCESS", 1)
    stage.run(shared, config(prepared, mode))
    assert files_of(shared) == files_of(alone)
    one, two = manifest_of(alone), manifest_of(shared)
    assert {k: v for k, v in one.items() if k not in ("manifest", "self_digest")} == {
        k: v for k, v in two.items() if k not in ("manifest", "self_digest")
    }


def count_writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the shards that are written from here on, in this process."""
    written: list[str] = []
    build = stage.build_shard_writer

    def counting(plan):
        write = build(plan)
        return lambda job: (written.append(job.path.name), write(job))[1]

    monkeypatch.setattr(stage, "build_shard_writer", counting)
    return written


def test_a_restart_goes_on_after_the_last_whole_shard(make: Make, prepared, monkeypatch: pytest.MonkeyPatch):
    undisturbed, ctx = make("undisturbed"), make()
    stage.run(undisturbed, config(prepared))
    failpoints.arm("data.after_shard:raise@3")
    try:
        with pytest.raises(RuntimeError):
            stage.run(ctx, config(prepared))
    finally:
        failpoints.disarm()
    done = set(files_of(ctx))
    assert len(done) == 3 and not ctx.store.has(layout.SHARDS_MANIFEST)
    written = count_writes(monkeypatch)
    stage.run(ctx, config(prepared))
    assert files_of(ctx) == files_of(undisturbed)
    assert not set(written) & done and len(written) + 3 == len(files_of(ctx))


def test_whole_shards_of_another_plan_are_written_again(make: Make, prepared, monkeypatch: pytest.MonkeyPatch):
    ctx, undisturbed = make(), make("undisturbed")
    stage.run(undisturbed, config(prepared, "packed"))
    failpoints.arm("data.after_shard:raise@3")
    try:
        with pytest.raises(RuntimeError):
            stage.run(ctx, config(prepared))
    finally:
        failpoints.disarm()
    written = count_writes(monkeypatch)
    stage.run(ctx, config(prepared, "packed"))
    assert files_of(ctx) == files_of(undisturbed) and set(written) == set(files_of(ctx))


def test_a_whole_shard_that_was_damaged_since_is_written_again(make: Make, prepared, monkeypatch: pytest.MonkeyPatch):
    ctx, undisturbed = make(), make("undisturbed")
    stage.run(undisturbed, config(prepared))
    failpoints.arm("data.after_shard:raise@3")
    try:
        with pytest.raises(RuntimeError):
            stage.run(ctx, config(prepared))
    finally:
        failpoints.disarm()
    flip_byte(ctx.store.path(layout.shard("train", 0)), 11)
    written = count_writes(monkeypatch)
    stage.run(ctx, config(prepared))
    assert "train-00000.bin" in written and files_of(ctx) == files_of(undisturbed)


def test_tokens_that_do_not_spell_the_corpus_end_the_stage(make: Make, prepared, monkeypatch: pytest.MonkeyPatch):
    """As a writer would leave them that drops the last token of each document."""
    bounded = writing.ShardWriter._bounded
    monkeypatch.setattr(writing.ShardWriter, "_bounded", lambda self, ids: bounded(self, ids[:-1]))
    ctx = make()
    with pytest.raises(PicochatError) as caught:
        stage.run(ctx, config(prepared))
    assert (caught.value.code, caught.value.exit_code) == ("shards.read_back", 4)
    assert "wrong_text" in caught.value.detail and not ctx.store.has(layout.SHARDS_MANIFEST)


def test_shards_of_earlier_settings_do_not_stay(make: Make, prepared):
    ctx = make()
    stage.run(ctx, config(prepared, shard_bytes=1500))
    many = set(files_of(ctx))
    stage.run(ctx, config(prepared, shard_bytes=8000))
    assert set(files_of(ctx)) < many
    manifest_of(ctx)


def test_a_stop_keeps_whole_shards_and_ends_with_75(make: Make, prepared):
    stop = StopFlag()
    ctx = make(stop=stop)
    stop.reason = "asked for"
    with pytest.raises(PicochatError) as caught:
        stage.run(ctx, config(prepared))
    assert caught.value.exit_code == 75 and len(files_of(ctx)) == 1
    stop.reason = ""
    stage.run(ctx, config(prepared))
    manifest_of(ctx)


def test_a_full_disk_keeps_whole_shards(make: Make, prepared):
    ctx = make()
    failpoints.arm("file.before_publish:enospc@5")
    try:
        with pytest.raises(PicochatError) as caught:
            stage.run(ctx, config(prepared))
    finally:
        failpoints.disarm()
    assert (caught.value.code, caught.value.exit_code) == ("disk.full", 5)
    assert len(files_of(ctx)) == 2
    stage.run(ctx, config(prepared))
    manifest_of(ctx)


def test_a_bare_text_has_no_shards(make: Make, prepared, tmp_path: Path):
    bare = tmp_path / "bare.txt"
    bare.write_text("One text.\n\nAnother text.\n")
    values = config(prepared).as_dict() | {"text": {"corpus": str(bare), "tokenizer": str(prepared.tokenizer)}}
    with pytest.raises(PicochatError) as caught:
        stage.run(make(), ShardsConfig.from_dict(values))
    assert (caught.value.code, caught.value.exit_code) == ("shards.guessed", 4)


def test_weights_and_budgets_of_the_corpus_decide_the_copies(make: Make, prepared, tmp_path: Path):
    """The manifest beside the corpus says that its source counts twice, then that it may have 5,000 tokens."""
    for name in (layout.CORPUS, layout.CORPUS_DOCUMENTS):
        (tmp_path / name).write_bytes(prepared.corpus.with_name(name).read_bytes())
    manifest = read_json(prepared.corpus.with_name(layout.CORPUS_MANIFEST))
    text = {"corpus": str(tmp_path / layout.CORPUS), "tokenizer": str(prepared.tokenizer)}
    chosen = ShardsConfig.from_dict(config(prepared).as_dict() | {"text": text})
    found = {}
    for name, share in (("twice", {"weight": 2.0}), ("budget", {"token_budget": 5000})):
        source = manifest["sources"][0] | share
        write_json(tmp_path / layout.CORPUS_MANIFEST, manifest | {"sources": [source]})
        ctx = make(name)
        stage.run(ctx, chosen)
        (found[name],) = read_shards_body(manifest_of(ctx)).exposure
    assert found["twice"].epoch_tokens == 2 * found["twice"].unique_tokens and found["twice"].weight == 2
    budget = found["budget"]
    assert budget.budget_tokens == 5000 and abs(budget.epoch_tokens - 5000) < 1200
    assert budget.epoch_tokens == budget.unique_tokens < found["twice"].unique_tokens
    assert np.isclose(budget.weight, 5000 / found["twice"].unique_tokens, rtol=0.01)
