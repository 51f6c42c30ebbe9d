import hashlib

import pytest

from picochat.data.corpus import DOCUMENT, CorpusReader, Document, corpus_writer
from picochat.data.duplicates import cluster_of, comparison_form
from picochat.data.pack import Split
from picochat.data.split import TRAIN, VAL, document_key, split_of
from picochat.stages.dataset.build import recompute_checks

SPLIT = Split(val_fraction=0.3, salt="s")
CLEAN = {"split_leak": 0, "misplaced": 0, "exact_left": 0, "digest_mismatch": 0}


def document(text, side=None):
    form = comparison_form(text)
    right = split_of(document_key(SPLIT.salt, form), SPLIT.val_fraction)
    return Document(text, 0, right if side is None else side, cluster_of(form))


def checks(folder, documents):
    with corpus_writer(folder / "t", folder / "r") as writer:
        for item in documents:
            writer.add(item)
    return recompute_checks(CorpusReader(folder / "t", folder / "r"), SPLIT)


@pytest.fixture
def documents():
    return [document(f"text number {i}") for i in range(40)]


def test_a_clean_corpus_has_no_fault(tmp_path, documents):
    assert checks(tmp_path, documents) == CLEAN


def test_a_val_document_planted_in_train_is_a_leak(tmp_path, documents):
    held = next(item for item in documents if item.split == VAL)
    planted = document(held.text.upper() + " ", side=TRAIN)
    assert checks(tmp_path, [*documents, planted]) == CLEAN | {"split_leak": 1, "misplaced": 1, "exact_left": 1}


def test_a_flipped_side_is_seen(tmp_path, documents):
    documents[5] = documents[5]._replace(split=1 - documents[5].split)
    assert checks(tmp_path, documents) == CLEAN | {"misplaced": 1}


def test_a_changed_text_is_seen(tmp_path, documents):
    checks(tmp_path, documents)
    data = (tmp_path / "t").read_bytes().replace(b"number 7\n", b"nUmber 7\n")
    (tmp_path / "t").write_bytes(data)
    reader = CorpusReader(tmp_path / "t", tmp_path / "r")
    assert recompute_checks(reader, SPLIT) == CLEAN | {"digest_mismatch": 1}
    assert hashlib.sha256(b"text number 7").digest() == reader.documents[7]["sha256"].tobytes()
    assert reader.documents.dtype == DOCUMENT
