import numpy as np
import pytest
from tests.support.made_corpus import made_texts, made_tokenizer, make_corpus

from picochat.data.corpus import FLAG_CANARY, CorpusReader, Document, corpus_writer
from picochat.data.memorisation import passages
from picochat.data.memorisation.passages import choose_passages, order_documents
from picochat.data.split import TRAIN, VAL
from picochat.data.stream import document_fractions
from picochat.tokenizer.tokenizer import Tokenizer

TEXTS = made_texts(80, seed=3)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    return make_corpus(tmp_path_factory.mktemp("passages"), TEXTS, sources=[number % 2 for number in range(80)])


def test_documents_come_by_what_they_say_and_not_by_where_they_stand(made, tmp_path):
    order = np.random.default_rng(1).permutation(80).tolist()
    sides = [int(side) for side in made.reader.documents["split"]]
    other = make_corpus(tmp_path, [TEXTS[n] for n in order], [sides[n] for n in order], [n % 2 for n in order])
    for side in ("train", "val"):
        texts = [
            [reader.text(n) for n in order_documents(reader, [1.0, 1.0], side, 12)]
            for reader in (made.reader, other.reader)
        ]
        assert texts[0] == texts[1]


def test_more_documents_contain_fewer_whatever_the_blocks(made, monkeypatch):
    whole = order_documents(made.reader, [1.0, 1.0], "train", 1000)
    assert sorted(whole) == made.reader.indices("train").tolist()
    monkeypatch.setattr(passages, "BLOCK_DOCUMENTS", 7)
    for count in (1, 5, 30):
        assert order_documents(made.reader, [1.0, 1.0], "train", count) == whole[:count]


def test_what_an_epoch_leaves_out_is_not_a_train_document(made):
    fractions = document_fractions(made.reader.documents)
    found = order_documents(made.reader, [0.25, 0.0], "train", 1000)
    sources = made.reader.documents["source"]
    assert found and all(sources[n] == 0 and fractions[n] < 0.25 for n in found)
    assert sorted(order_documents(made.reader, [0.25, 0.0], "val", 1000)) == made.reader.indices("val").tolist()


def test_passages_are_long_enough_and_begin_their_documents(made):
    found = choose_passages(made.reader, made.tok, [1.0, 1.0], "train", 10, 60, 60)
    assert 0 < len(found) <= 10
    for passage in found:
        assert passage.ids == made.tok.encode(made.reader.text(passage.document))[:60] and len(passage.ids) == 60
    assert choose_passages(made.reader, made.tok, [1.0, 1.0], "train", 10, 10**6, 10**6) == []


def test_planted_documents_are_none_of_them(tmp_path):
    paths = tmp_path / "c.txt", tmp_path / "c.bin"
    with corpus_writer(*paths) as writer:
        for number in range(6):
            writer.add(Document(f"found {number} " * 30, 0, VAL if number == 2 else TRAIN, number))
        for number in range(4):
            writer.add(Document(f"planted {number} " * 30, 1, TRAIN, 10 + number, FLAG_CANARY))
    reader = CorpusReader(*paths)
    assert reader.n_found == 6 and reader.indices("train", planted=False).tolist() == [0, 1, 3, 4, 5]
    assert reader.indices("train").tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    chosen = choose_passages(reader, Tokenizer(made_tokenizer()), [1.0, 64.0], "train", 100, 1, 5)
    assert sorted(passage.document for passage in chosen) == [0, 1, 3, 4, 5]
