import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.data.corpus import DOCUMENT, FLAG_SECRET, CorpusReader, Document, corpus_writer
from picochat.data.split import TRAIN, VAL


def write(folder, documents):
    text, records = folder / "t.txt", folder / "r.bin"
    with corpus_writer(text, records) as writer:
        for document in documents:
            writer.add(document)
    return text, records


def test_a_record_has_64_bytes_in_the_documented_layout():
    assert DOCUMENT.itemsize == 64
    offsets = {name: DOCUMENT.fields[name][1] for name in DOCUMENT.names}
    assert offsets == {
        "offset": 0, "length": 8, "sha256": 16, "source": 48, "split": 52, "flags": 53, "spare": 54, "cluster": 56,
    }  # fmt: skip


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.integers(0, 1)), max_size=8)
)
def test_what_is_written_is_read(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("c")
    text, records = write(folder, [Document(t, i, side, 2**64 - 1 - i, 0) for i, (t, side) in enumerate(rows)])
    reader = CorpusReader(text, records)
    assert text.read_bytes() == b"".join(t.encode() + b"\n" for t, _ in rows)
    assert [reader.text(i) for i in range(len(reader))] == [t for t, _ in rows]
    assert list(reader.iter_texts("train")) == [t for t, side in rows if side == TRAIN]
    assert list(reader.iter_texts("val")) == [t for t, side in rows if side == VAL]
    assert list(reader.iter_texts()) == [t for t, _ in rows]
    assert reader.documents["cluster"].tolist() == [2**64 - 1 - i for i in range(len(rows))]
    for record, (t, _) in zip(reader.documents, rows, strict=True):
        assert record["sha256"].tobytes() == hashlib.sha256(t.encode()).digest()


def test_facts_of_a_document_are_kept(tmp_path):
    reader = CorpusReader(
        *write(tmp_path, [Document("a\n\nb", 3, VAL, 9, FLAG_SECRET), Document("\u00e9", 4, TRAIN, 10)])
    )
    assert reader.documents["source"].tolist() == [3, 4]
    assert reader.documents["flags"].tolist() == [FLAG_SECRET, 0]
    assert reader.documents["length"].tolist() == [4, 2]
    assert reader.indices("val").tolist() == [0]


def test_nothing_appears_when_the_writer_fails(tmp_path):
    text, records = tmp_path / "t.txt", tmp_path / "r.bin"
    with pytest.raises(RuntimeError), corpus_writer(text, records) as writer:
        writer.add(Document("one", 0, TRAIN, 1))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut_text", "cut_records", "swap", "one_byte_of_records"])
def test_files_that_do_not_belong_together_are_refused(tmp_path, damage):
    text, records = write(tmp_path, [Document("one", 0, TRAIN, 1), Document("three", 0, TRAIN, 2)])
    data = records.read_bytes()
    if damage == "cut_text":
        text.write_bytes(text.read_bytes()[:-1])
    elif damage == "cut_records":
        records.write_bytes(data[:64])
    elif damage == "one_byte_of_records":
        records.write_bytes(data[:-1])
    else:
        records.write_bytes(data[64:] + data[:64])
    with pytest.raises(PicochatError) as caught:
        CorpusReader(text, records)
    assert caught.value.code == "corpus.layout" and caught.value.exit_code == 4


def test_a_missing_file_is_named(tmp_path):
    text, records = write(tmp_path, [Document("one", 0, TRAIN, 1)])
    text.unlink()
    with pytest.raises(PicochatError, match="t.txt") as caught:
        CorpusReader(text, records)
    assert caught.value.code == "artifact.missing"


def test_broken_utf8_is_refused(tmp_path):
    text, records = write(tmp_path, [Document("one", 0, TRAIN, 1)])
    text.write_bytes(b"o\xffe\n")
    with pytest.raises(PicochatError, match="UTF-8"):
        CorpusReader(text, records).text(0)


def test_the_documents_array_is_a_structured_array(tmp_path):
    reader = CorpusReader(*write(tmp_path, []))
    assert isinstance(reader.documents, np.ndarray) and len(reader) == 0
