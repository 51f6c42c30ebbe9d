"""Documents that hold what the model is judged on: taken out where the pack says so, and listed with what they hold."""

import json
from pathlib import Path

import pytest

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.core.fs import write_json
from picochat.core.jsonio import iter_jsonl
from picochat.data import pieces
from picochat.data.config import DatasetConfig
from picochat.data.contamination.config import ContaminationConfig
from picochat.data.corpus import CorpusReader
from picochat.stages.contract import StageContext
from picochat.stages.dataset.run import run
from picochat.stages.honesty.config import HonestyConfig
from picochat.stages.honesty.run import run as compare

QUESTION = "Which of the seven wandering ships brought the silver bells home from the northern harbour that winter?"
GOOD = "Those two old bakers have never borrowed any ladders from the quiet neighbours upstairs."
BAD = "Those two old bakers has never borrowed any ladders from the quiet neighbours upstairs."


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """60 documents, of which one holds the question of an eval and one a sentence of a benchmark, each written anew."""
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(60):
        text = f"This is text number {number}, which says what no other one says: {number * number} is a square.\n"
        if number == 23:
            text += QUESTION.upper().replace(" ", "  ")
        if number == 31:
            text += f"<p>{GOOD}</p>"
        (texts / f"text-{number:03d}.txt").write_text(text)
    row = {"id": "q1", "user": QUESTION, "rule": "exact", "expected": ["the third"], "category": "c"}
    (tmp_path / "eval.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "blimp").mkdir()
    pair = {"sentence_good": GOOD, "sentence_bad": BAD, "UID": "passive_1", "field": "syntax", "pairID": "0"}
    (tmp_path / "blimp" / "passive_1.jsonl").write_text(json.dumps(pair) + "\n")
    return write_pack(tmp_path, "drop")


def write_pack(folder: Path, contamination: str, name: str = "blimp") -> Path:
    values = {
        "schema": "pack/1",
        "name": "p",
        "split": {"val_fraction": 0.1, "salt": "2"},
        "sources": [{"id": "t", "path": "texts"}],
        "eval": [{"path": "eval.jsonl"}],
        "benchmarks": [{"name": name, "path": "blimp"}],
        "contamination": contamination,
    }
    write_json(folder / "pack.json", values)
    return folder / "pack.json"


def build(ctx: StageContext, pack: Path, comparison: ContaminationConfig | None = None, **values: object) -> dict:
    settings = DatasetConfig.from_dict({"pack": str(pack), "generate_skills": False, **values})
    run(ctx, settings, comparison)
    return ctx.store.require_outputs(layout.CORPUS_MANIFEST, "corpus_manifest")


def texts_of(ctx: StageContext) -> list[str]:
    return list(CorpusReader(ctx.store.path(layout.CORPUS), ctx.store.path(layout.CORPUS_DOCUMENTS)).iter_texts())


def dirty(ctx: StageContext) -> dict[str, int]:
    compare(ctx, HonestyConfig())
    sets = ctx.store.read(layout.HONESTY)["contamination"]["sets"]
    return {name: entry["dirty"] for name, entry in sets.items()}


def test_dropped_documents_are_listed_with_what_they_hold(ctx, pack):
    body = build(ctx, pack)
    assert body["dropped"]["by_reason"] == {"contaminated": 2}
    assert list(iter_jsonl(ctx.store.path(layout.CORPUS_DROPPED))) == [
        {"source": "t", "name": "text-023.txt", "reason": "contaminated", "items": [["eval", "q1"]], "n_items": 1},
        {
            "source": "t",
            "name": "text-031.txt",
            "reason": "contaminated",
            "items": [["benchmarks/blimp", "passive_1/1"]],
            "n_items": 1,
        },
    ]
    assert body["counts"]["documents"] == 58 and body["checks"]["documents_read"] == 60
    assert not any(QUESTION.upper()[:20] in text or "bakers" in text for text in texts_of(ctx))
    kinds = {ref["kind"] for ref in body["manifest"]["inputs"]}
    assert {"eval", "benchmark"} <= kinds, "what decided over documents is an input"


def test_the_comparison_of_the_run_finds_nothing_in_what_is_left(ctx, pack):
    build(ctx, pack)
    assert dirty(ctx) == {"eval": 0, "heldout": 0, "benchmarks/blimp": 0, "val": 0}


def test_a_pack_that_reports_keeps_them_and_the_report_names_them(ctx, pack):
    body = build(ctx, write_pack(pack.parent, "report"))
    assert body["dropped"]["by_reason"] == {} and body["counts"]["documents"] == 60
    assert dirty(ctx) == {"eval": 1, "heldout": 0, "benchmarks/blimp": 1, "val": 0}


def test_held_out_documents_are_no_training_text(ctx, pack):
    body = build(ctx, pack, val_fraction=0.5)
    held = {"q1", "passive_1/1"} - {row["items"][0][1] for row in iter_jsonl(ctx.store.path(layout.CORPUS_DROPPED))}
    assert held, "one of the two lies on the held-out side at this fraction"
    assert body["counts"]["documents"] == 60 - (2 - len(held))


def test_the_rules_of_the_comparison_are_those_of_the_run(ctx, pack):
    body = build(ctx, pack, ContaminationConfig(gram_words=30, whole_words=30, small_grams=99))
    assert body["dropped"]["by_reason"] == {}


def test_many_pieces_and_processes_change_nothing(ctx, pack, monkeypatch):
    build(ctx, pack)
    before = {name: ctx.store.path(name).read_bytes() for name in (layout.CORPUS, layout.CORPUS_DROPPED)}
    monkeypatch.setattr(pieces, "PIECE_BYTES", 600)
    monkeypatch.setattr("picochat.stages.contract.BYTES_A_PROCESS", 1000)
    build(StageContext(ctx.store, ctx.events, seed=1, workers=2), pack)
    assert {name: ctx.store.path(name).read_bytes() for name in before} == before


def test_a_source_of_nothing_but_questions_is_refused(ctx, pack):
    for number in range(60):
        words = " ".join(
            f"{word}{number}"
            for word in ["many", "other", "words", "stand", "around", "it", "that", "no", "one", "else", "has"]
        )
        (pack.parent / "texts" / f"text-{number:03d}.txt").write_text(f"{words}. {QUESTION} {words[::-1]}")
    with pytest.raises(PicochatError, match="contaminated") as caught:
        build(ctx, pack)
    assert caught.value.code in ("source.dropped", "source.empty")
    assert not ctx.store.has(layout.CORPUS) and not ctx.store.has(layout.CORPUS_DROPPED)


def test_a_benchmark_that_cannot_be_read_is_refused_where_it_should_be_dropped(ctx, pack):
    with pytest.raises(PicochatError, match="'arc'") as caught:
        build(ctx, write_pack(pack.parent, "drop", "arc"))
    assert (caught.value.code, caught.value.exit_code) == ("usage.unavailable", 2)
    assert build(ctx, write_pack(pack.parent, "report", "arc"))["counts"]["documents"] == 60
