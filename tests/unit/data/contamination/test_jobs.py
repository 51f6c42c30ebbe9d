"""A corpus in pieces: the findings do not depend on where it is cut nor on who scans it."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.core.workers import map_in_order
from picochat.data.contamination.config import ContaminationConfig
from picochat.data.contamination.documents import build_document_index
from picochat.data.contamination.evidence import iter_hits
from picochat.data.contamination.findings import Findings
from picochat.data.contamination.index import build_index
from picochat.data.contamination.items import Item, ItemSet
from picochat.data.contamination.jobs import Needles, corpus_jobs, row_jobs, scanner_builder
from picochat.data.contamination.report import build_section
from picochat.data.corpus import CorpusReader, Document, corpus_writer

FILLER = "some text that has nothing to do with it goes on and on for a while"
HELD = " ".join(f"held{i}" for i in range(60))


def sentence(n: int, name: str = "word", first: int = 0) -> str:
    return " ".join(f"{name}{i}" for i in range(first, first + n))


ITEMS = (
    Item("verbatim", sentence(20), (sentence(2, "answer"),)),
    Item("split", sentence(20, "split")),
    Item("split in three", sentence(36, "three")),
    Item("split and alone", sentence(20, "twice")),
    Item("edited", sentence(30, "edited")),
    Item("pair", "who made it all", ("Nota Maker",)),
    Item("pair over a joint", "who broke it all", ("Nota Breaker",)),
    Item("over two sources", sentence(20, "sources")),
    Item("in val", sentence(20, "held")),
    Item("spread", sentence(40, "spread"), ("spread at last",)),
    Item("tail", sentence(20, "tail")),
    Item("absent", sentence(20, "absent")),
    Item("one"[:1], "one"),
)
TEXTS = [
    (f"{FILLER} {sentence(20)} {sentence(2, 'answer')}", 0, 0),
    (f"{FILLER} {sentence(9, 'split')}", 0, 0),
    (HELD, 0, 1),
    (f"{sentence(11, 'split', 9)} {FILLER}", 0, 0),
    (f"{FILLER} {sentence(12, 'three')}", 0, 0),
    (sentence(12, "three", 12), 0, 0),
    (f"{sentence(12, 'three', 24)} {FILLER}", 0, 0),
    (f"{FILLER} {sentence(4, 'twice')}", 0, 0),
    (f"{sentence(16, 'twice', 4)} {FILLER} {sentence(20, 'twice')}", 0, 0),
    (f"{FILLER} {sentence(30, 'edited').replace('edited12', 'other')}", 0, 0),
    (f"{FILLER} nota maker is who made it all, {sentence(30, 'held')}", 0, 0),
    (f"{FILLER} who broke it all", 0, 0),
    (f"Nota breaker. {FILLER} {sentence(10, 'sources')}", 0, 0),
    (f"{sentence(10, 'sources', 10)} {FILLER}", 1, 0),
    (f"{FILLER} {sentence(12, 'spread')}", 1, 0),
    (sentence(19, "gap"), 1, 0),
    (f"{sentence(12, 'spread', 13)} {sentence(19, 'gap')}", 1, 0),
    (f"{sentence(12, 'spread', 26)}", 1, 0),
    (f"{FILLER} {FILLER} spread at last, {sentence(15, 'tail', 5)}", 1, 0),
    (f"{FILLER} {sentence(20)}", 1, 0),
    (f"{FILLER} {sentence(30, 'held', 20)}", 1, 0),
]


@dataclass
class Corpus:
    paths: tuple[Path, Path]
    needles: Needles
    items: tuple[Item, ...] = ITEMS

    @property
    def reader(self) -> CorpusReader:
        return CorpusReader(*self.paths)

    def findings(self, job_bytes: int = 1 << 20, processes: int = 1) -> Findings:
        found = Findings([ItemSet("eval", "eval", self.items)], self.needles)
        rows = [text for text, *_ in TEXTS]
        jobs = [*corpus_jobs(self.reader, job_bytes), *row_jobs("sft", rows, job_bytes)]
        found.take(
            ("corpus", "sft"), map_in_order(scanner_builder(self.needles, self.paths), jobs, processes=processes)
        )
        return found

    def text_of(self, against: str, number: int) -> str:
        return self.reader.text(number) if against == "corpus" else TEXTS[number][0]

    def told(self, found: Findings):
        lines = list(iter_hits(found, self.text_of))
        return lines, build_section(found, [], len(lines))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    paths = folder / "text", folder / "records"
    with corpus_writer(*paths) as writer:
        for text, source, split in TEXTS:
            writer.add(Document(text, source, split, 0))
    config = ContaminationConfig(hits_per_item=2)
    documents = build_document_index([(2, HELD)], 1, config)
    return Corpus(paths, Needles(build_index([ItemSet("eval", "eval", ITEMS)], config), documents))


def test_jobs_tile_the_train_side_and_no_job_spans_two_sources(corpus: Corpus):
    for size in (1, 300, 1 << 20):
        jobs = list(corpus_jobs(corpus.reader, size))
        assert [place for job in jobs for place in range(job.first, job.last)] == list(range(20))
        assert {(job.low, job.high) for job in jobs} == {(0, 12), (12, 20)}
    rows = list(row_jobs("sft", ["aa", "b", "cccc"], 3))
    assert [(job.first, job.texts) for job in rows] == [(0, ("aa", "b")), (2, ("cccc",))]


def test_what_is_found_in_the_corpus(corpus: Corpus):
    lines, section = corpus.told(corpus.findings())
    found = {
        (line["item"], line["column"], line["rule"], tuple(place["number"] for place in line["places"]))
        for line in lines
        if line["against"] == "corpus"
    }
    assert found == {
        ("verbatim", "question", "gram", (0,)),
        ("verbatim", "both", "gram", (0,)),
        ("split", "question", "gram", (1, 3)),
        ("split in three", "question", "gram", (4, 5, 6)),
        ("split and alone", "question", "gram", (8,)),
        ("edited", "question", "gram", (9,)),
        ("pair", "both", "pair", (10,)),
        ("pair over a joint", "both", "pair", (11, 12)),
        ("in val", "question", "gram", (10,)),
        ("spread", "question", "small_grams", (14, 15, 16, 17)),
        ("spread", "both", "small_grams", (14, 15, 16, 17, 18)),
        ("tail", "question", "gram", (18,)),
        ("2", "document", "gram_share", (10,)),
    }
    assert section["sets"]["eval"]["dirty_ids"] == [item.id for item in ITEMS[:7]] + ["in val", "spread", "tail"]
    assert section["sets"]["eval"]["uncheckable_ids"] == ["o"]
    assert section["sets"]["eval"]["clean"] == 2


def test_rows_are_not_joined(corpus: Corpus):
    lines, _ = corpus.told(corpus.findings())
    against_rows = {line["item"] for line in lines if line["against"] == "sft" and line["set"] == "eval"}
    assert against_rows == {"verbatim", "split and alone", "edited", "pair", "in val", "tail"}


def test_passages_and_offsets_are_those_of_the_texts(corpus: Corpus):
    lines, _ = corpus.told(corpus.findings())
    items = {item.id: item for item in ITEMS}
    for line in lines:
        for place in line["places"]:
            text = corpus.text_of(line["against"], place["number"])
            assert text[place["start"] : place["end"]].startswith(place["text"]) and place["text"]
        if line["set"] == "eval":
            passage = line["item_passage"]
            question = items[line["item"]].question
            assert question[passage["start"] : passage["end"]] == passage["text"]
    assert next(line for line in lines if line["item"] == "tail")["item_passage"]["text"] == sentence(15, "tail", 5)
    split = next(line for line in lines if line["item"] == "split")
    assert [place["text"] for place in split["places"]] == [sentence(9, "split"), sentence(11, "split", 9)]


def test_hits_of_an_item_are_counted_beyond_those_that_are_stored(corpus: Corpus):
    found = corpus.findings()
    lines, section = corpus.told(found)
    assert len([line for line in lines if line["item"] == "verbatim" and line["against"] == "corpus"]) == 2
    assert found.items.sides["corpus"].hits[0] == 3
    cell = next(row for row in section["matrix"] if row["against"] == "corpus" and row["set"] == "eval")
    assert (cell["question"], cell["both"], cell["answer"], cell["dirty"]) == (8, 4, 0, 10)


def test_no_more_hits_are_stored_than_asked_for(corpus: Corpus):
    config = ContaminationConfig(hits_stored=3)
    needles = Needles(build_index([ItemSet("eval", "eval", ITEMS)], config), corpus.needles.documents)
    few, _ = Corpus(corpus.paths, needles).told(Corpus(corpus.paths, needles).findings())
    assert [line["item"] for line in few if line["against"] == "corpus" and line["set"] == "eval"] == ["verbatim"] * 3


@pytest.mark.parametrize("size", [1, 60, 200, 600])
def test_the_findings_do_not_depend_on_the_cuts(corpus: Corpus, size: int):
    assert corpus.told(corpus.findings(size)) == corpus.told(corpus.findings())


def test_the_findings_do_not_depend_on_the_workers(corpus: Corpus):
    assert corpus.told(corpus.findings(200, processes=2)) == corpus.told(corpus.findings())


def test_a_broken_document_is_refused(corpus: Corpus, tmp_path: Path):
    paths = tmp_path / "text", tmp_path / "records"
    data = corpus.paths[0].read_bytes()
    paths[0].write_bytes(b"\xff" + data[1:])
    paths[1].write_bytes(corpus.paths[1].read_bytes())
    with pytest.raises(PicochatError) as err:
        Corpus(paths, corpus.needles).findings()
    assert err.value.code == "corpus.layout"


def made_corpus(folder: Path, random: Random) -> Corpus:
    """Items, edited or not, in a stream of words that is cut into documents anywhere."""
    vocabulary = [f"w{i}x" for i in range(random.choice([6, 30, 200]))]

    def words(n: int) -> list[str]:
        return random.choices(vocabulary, k=n)

    def text(*lengths: int) -> str:
        return " ".join(words(random.choice(lengths)))

    items = tuple(
        Item(str(i), text(3, 5, 9, 12, 14, 20, 40), tuple(text(1, 2, 9, 15) for _ in range(random.randint(0, 2))))
        for i in range(random.randint(1, 12))
    )
    stream: list[str] = []
    for _ in range(random.randint(5, 30)):
        item = random.choice(items)
        planted = " ".join([item.question, *random.sample(item.answers, len(item.answers))]).split()
        if random.random() < 0.4:
            planted[random.randrange(len(planted))] = "edited"
        stream += words(random.choice([0, 1, 3, 20, 60])) + planted
    paths, source = (folder / "text", folder / "records"), 0
    with corpus_writer(*paths) as writer:
        while stream:
            n = random.choice([1, 2, 4, 8, 20, 60])
            source += random.random() < 0.05
            writer.add(Document(" ".join(stream[:n]), source, int(random.random() < 0.1), 0))
            del stream[:n]
    config = ContaminationConfig(
        hits_per_item=random.choice([1, 2, 5]),
        hits_stored=random.choice([3, 10, 1000]),
        boilerplate_items=random.choice([3, 50]),
    )
    reader = CorpusReader(*paths)
    held = [(number, reader.text(number)) for number in reader.indices("val").tolist()]
    sets = [ItemSet("eval", "eval", items)]
    return Corpus(paths, Needles(build_index(sets, config), build_document_index(held, len(held), config)), items)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False), st.integers(1, 2000))
def test_any_cut_of_any_corpus_gives_the_same(tmp_path: Path, random: Random, size: int):
    corpus = made_corpus(tmp_path, random)
    assert corpus.told(corpus.findings(size)) == corpus.told(corpus.findings())
