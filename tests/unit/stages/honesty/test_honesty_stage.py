"""The honesty stage on a small run: what it reads, what it writes, and how benchmarks come in."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.config import Config
from picochat.core.errors import PicochatError
from picochat.core.events import EventWriter, iter_events
from picochat.core.jsonio import iter_jsonl, jsonl_bytes, pretty_json
from picochat.data.conversations import EvalRow, PairRow, encode_rows
from picochat.data.corpus import Document, corpus_writer
from picochat.stages.contract import StageContext, StopFlag
from picochat.stages.honesty.config import HonestyConfig
from picochat.stages.honesty.run import run

FILLER = "some text that has nothing to do with it goes on and on for a while"


def sentence(n: int, name: str = "word", first: int = 0) -> str:
    return " ".join(f"{name}{i}" for i in range(first, first + n))


def ask(row_id: str, user: str, expected: str = "an answer of some words", **values) -> EvalRow:
    return EvalRow(id=row_id, rule="exact", category="c", user=user, expected=[expected], **values)


class SmallRun:
    """A run folder with the outputs of the dataset stage."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True)
        self.store = RunStore(root)
        self.store.write(layout.RUN, pretty_json({"name": "small"}))
        self.eval = [ask("e1", sentence(20)), ask("e2", sentence(20, "clean")), ask("e3", "hm", "no")]
        self.heldout = [
            ask("h1", "What is it?", "yes"),
            ask("h2", sentence(9, "kept"), template="t"),
            ask("h3", "so", "a"),
        ]
        self.train = [
            PairRow(user="Who?", assistant="Nota.", category="c"),
            PairRow(user="what IS it?", assistant="Yes", category="c"),
        ]
        self.documents = [
            (FILLER, 0),
            (f"{FILLER} {sentence(20)} {FILLER}", 0),
            (sentence(40, "held"), 1),
            (FILLER[::-1], 0),
        ]
        self.benchmarks: list[dict[str, str]] = []

    def write(self) -> "SmallRun":
        store = self.store
        record = StageRecord(store, "dataset", 1, Config(), 0.0)
        with corpus_writer(store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS)) as writer:
            for text, split in self.documents:
                writer.add(Document(text, 0, split, 0))
        files = {layout.CHAT_TRAIN: self.train, layout.CHAT_HELDOUT: self.heldout, layout.CHAT_EVAL: self.eval}
        for path, rows in files.items():
            store.write(path, encode_rows(rows))
        for path in (layout.CORPUS, layout.CORPUS_DOCUMENTS, *files):
            record.add_output("output", path)
        store.write_report(
            layout.CORPUS_MANIFEST, "corpus_manifest", {"benchmarks": self.benchmarks}, record.manifest(1.0)
        )
        return self

    def attach(self, rows: list[dict[str, str]], name: str = "blimp") -> None:
        folder = layout.benchmark_dir(name)
        record = StageRecord(self.store, "benchmark", 1, Config(), 0.0)
        path = f"{folder}/{layout.ROWS}"
        self.store.write(path, jsonl_bytes(rows))
        record.add_output("rows", path)
        self.store.write_report(layout.report_path(folder), "benchmark_report", {"rows": path}, record.manifest(1.0))

    def scan(self, stop: str = "", **values) -> dict:
        events = EventWriter(self.store.path(layout.EVENTS))
        try:
            config = HonestyConfig.from_dict({"contamination": values} if values else {})
            run(StageContext(self.store, events, seed=1, workers=2, stop=StopFlag(stop)), config)
        finally:
            events.close()
        return self.store.require_outputs(layout.HONESTY, "honesty")

    def hits(self) -> list[dict]:
        return list(iter_jsonl(self.store.path(layout.HONESTY_HITS)))

    def warnings(self) -> list[str]:
        return [event["text"] for event in iter_events(self.store.path(layout.EVENTS)) if event["kind"] == "warning"]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallRun]:
    yield SmallRun(tmp_path / "run")


def write_blimp(folder: Path, *pairs: tuple[str, str]) -> Path:
    folder.mkdir()
    rows = [{"sentence_good": good, "sentence_bad": bad, "UID": "p", "field": "f"} for good, bad in pairs]
    (folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_sets_counts_and_ids(small: SmallRun):
    found = small.write().scan()["contamination"]
    sets = found["sets"]
    assert list(sets) == ["eval", "heldout", "val"]
    counts = {name: [entry[key] for key in ("items", "dirty", "clean", "uncheckable")] for name, entry in sets.items()}
    assert counts == {"eval": [3, 1, 1, 1], "heldout": [3, 1, 1, 1], "val": [1, 0, 1, 0]}
    assert (sets["eval"]["dirty_ids"], sets["eval"]["uncheckable_ids"]) == (["e1"], ["e3"])
    assert (sets["heldout"]["dirty_ids"], sets["heldout"]["uncheckable_ids"]) == (["h1"], ["h3"])
    assert found["against"]["corpus"]["documents"] == 3 and found["against"]["sft"]["documents"] == 2
    assert found["totals"] == {"items": 7, "dirty": 2, "clean": 3, "uncheckable": 2, "hits": 2, "stored_hits": 2}
    assert found["rules"]["gram_words"] == 13 and found["engine"]["version"] == 1


def test_the_matrix_has_every_set_against_every_training_text(small: SmallRun):
    matrix = small.write().scan()["contamination"]["matrix"]
    cells = {(cell["set"], cell["against"]): cell for cell in matrix}
    assert set(cells) == {(name, side) for name in ("eval", "heldout", "val") for side in ("corpus", "sft")}
    assert (cells["eval", "corpus"]["question"], cells["eval", "sft"]["dirty"]) == (1, 0)
    heldout = cells["heldout", "sft"]
    assert (heldout["row"], heldout["prompt"], heldout["template"], heldout["dirty"], heldout["hits"]) == (
        1,
        0,
        0,
        1,
        1,
    )
    assert cells["heldout", "corpus"]["row"] is None and cells["val", "corpus"]["document"] == 0


def test_hits_show_both_passages(small: SmallRun):
    small.write().scan()
    item, row = small.hits()
    assert (item["set"], item["item"], item["column"], item["rule"], item["against"]) == (
        "eval",
        "e1",
        "question",
        "gram",
        "corpus",
    )
    assert item["places"] == [
        {"number": 1, "start": len(FILLER) + 1, "end": len(FILLER) + 1 + len(sentence(20)), "text": sentence(20)}
    ]
    assert item["item_passage"]["text"] == sentence(20)
    assert (row["item"], row["rule"], row["places"][0]["number"]) == ("h1", "row", 1)
    assert small.warnings() == [
        "eval: 1 of 3 items stand in the training text",
        "heldout: 1 of 3 items stand in the training text",
    ]


def test_a_held_out_document_in_the_corpus_is_dirty(small: SmallRun):
    small.documents.append((f"{FILLER} {sentence(39, 'held')}", 0))
    entry = small.write().scan()["contamination"]["sets"]["val"]
    assert (entry["dirty_ids"], entry["clean"], entry["left_out"]) == (["2"], 0, 0)
    assert entry["spans"]["shares"]["corpus"]["13"] == {"k": 27, "n": 28, "rate": 27 / 28}
    hit = next(line for line in small.hits() if line["set"] == "val")
    assert (hit["item"], hit["rule"], hit["n_equal"], hit["grams"]) == ("2", "gram_share", 27, 28)
    assert hit["places"][0]["number"] == 4 and hit["item_passage"]["end"] == len(sentence(39, "held"))


def test_benchmarks_of_the_pack_and_of_the_run_are_one_set(small: SmallRun, tmp_path: Path):
    good, bad = sentence(10, "good"), sentence(10, "bad")
    folder = write_blimp(tmp_path / "blimp", (good, bad), (sentence(9, "other"), sentence(9, "wrong")))
    small.benchmarks = [{"name": "blimp", "path": str(folder)}, {"name": "unheard", "path": "/nowhere"}]
    small.documents.append((f"{FILLER} {good}.", 0))
    small.write()
    small.attach([{"id": "p/1", "good": good, "bad": bad}, {"id": "q/1", "good": "Too short.", "bad": "x"}])
    report = small.scan()
    entry = report["contamination"]["sets"]["benchmarks/blimp"]
    assert (entry["items"], entry["dirty_ids"], entry["uncheckable_ids"]) == (3, ["p/1"], ["q/1"])
    (missing,) = report["contamination"]["not_scanned"]
    assert missing["set"] == "benchmarks/unheard" and "blimp" in missing["reason"]
    kinds = {ref["kind"]: ref for ref in report["manifest"]["inputs"]}
    assert kinds["benchmark"]["external"] and kinds["benchmark_rows"]["path"] == "benchmarks/blimp/rows.jsonl"
    assert any("unheard" in text for text in small.warnings())


def test_a_benchmark_that_is_not_there_is_refused(small: SmallRun):
    small.benchmarks = [{"name": "blimp", "path": "/nowhere/at/all"}]
    with pytest.raises(PicochatError) as err:
        small.write().scan()
    assert err.value.code == "benchmark.missing"


def test_rows_that_say_nothing_are_refused_with_their_number(small: SmallRun):
    small.write()
    small.attach([{"id": "p/1", "good": "a"}])
    with pytest.raises(PicochatError) as err:
        small.scan()
    assert err.value.code == "benchmark.row" and "row 1" in err.value.detail


def test_a_run_without_chat_rows_is_scanned_too(small: SmallRun):
    small.eval, small.heldout, small.train = [], [], []
    small.documents = small.documents[:1] + small.documents[2:]
    section = small.write().scan()["contamination"]
    assert section["totals"] == {"items": 1, "dirty": 0, "clean": 1, "uncheckable": 0, "hits": 0, "stored_hits": 0}
    assert small.hits() == []


def test_a_changed_corpus_is_refused(small: SmallRun):
    small.write()
    path = small.store.path(layout.CORPUS)
    path.write_bytes(b"X" + path.read_bytes()[1:])
    with pytest.raises(PicochatError) as err:
        small.scan()
    assert err.value.code == "artifact.changed"


def test_a_stop_is_heard_between_two_pieces(small: SmallRun):
    small.write()
    with pytest.raises(PicochatError) as err:
        small.scan(stop="asked to")
    assert err.value.code == "run.stopped"
    assert not small.store.has(layout.HONESTY)


def test_the_same_run_gives_the_same_findings_and_an_older_report_is_kept(small: SmallRun):
    first = small.write().scan()
    hits = small.store.path(layout.HONESTY_HITS).read_bytes()
    second = small.scan()
    assert first["contamination"] == second["contamination"]
    assert small.store.path(layout.HONESTY_HITS).read_bytes() == hits
    third = small.scan(hits_per_item=1, gram_words=12)
    assert third["contamination"]["rules"]["gram_words"] == 12
    assert small.store.has("honesty.002.json")
