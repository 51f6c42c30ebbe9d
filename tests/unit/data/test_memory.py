import numpy as np
import pytest

from picochat.data.corpus import CorpusReader, Document, corpus_writer
from picochat.data.memory import encode_documents
from picochat.data.split import TRAIN, VAL

BOS, EOS = 300, 301


@pytest.fixture
def reader(tmp_path):
    sides = [TRAIN, VAL, TRAIN, TRAIN, VAL]
    with corpus_writer(tmp_path / "t", tmp_path / "r") as writer:
        for number, side in enumerate(sides):
            writer.add(Document("abc"[: number % 3 + 1] * (number + 1), 0, side, number))
    return CorpusReader(tmp_path / "t", tmp_path / "r")


def encode(texts):
    return [list(text.encode()) for text in texts]


@pytest.mark.parametrize(("split", "numbers"), [("train", [0, 2, 3]), ("val", [1, 4])])
def test_each_document_is_bos_text_eos(reader, split, numbers):
    stream = encode_documents(reader, reader.indices(split).tolist(), encode, BOS, EOS)
    assert stream.documents.tolist() == numbers
    assert stream.tokens.dtype == np.uint16
    assert np.flatnonzero(stream.tokens == BOS).tolist() == stream.starts.tolist()
    assert np.count_nonzero(stream.tokens == EOS) == len(stream) == len(numbers)
    for place, number in enumerate(numbers):
        expected = [BOS, *reader.text(number).encode(), EOS]
        assert stream.document(place).tolist() == expected


def test_large_ids_are_kept_whole(reader):
    stream = encode_documents(reader, [0, 2, 3], lambda texts: [[70_000] for _ in texts], BOS, EOS)
    assert stream.tokens.dtype == np.int32
    assert stream.tokens.tolist() == [BOS, 70_000, EOS] * 3


def test_one_large_id_among_small_ones(reader):
    stream = encode_documents(reader, [0, 2, 3], lambda texts: [[65_536 if t == "a" else 5] for t in texts], BOS, EOS)
    assert stream.document(0).tolist() == [BOS, 65_536, EOS]
    assert stream.document(1).tolist() == [BOS, 5, EOS]


def test_a_side_without_documents_is_empty(tmp_path):
    with corpus_writer(tmp_path / "t", tmp_path / "r") as writer:
        writer.add(Document("a", 0, TRAIN, 1))
    stream = encode_documents(CorpusReader(tmp_path / "t", tmp_path / "r"), [], encode, BOS, EOS)
    assert len(stream) == 0 and len(stream.tokens) == 0 and len(stream.starts) == 0
