"""What a written corpus says of itself: planted faults of each kind are counted, and nothing else is."""

import random
from dataclasses import asdict
from pathlib import Path

import pytest

from picochat.data import holdout
from picochat.data.corpus import CorpusReader, Document, corpus_writer
from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.forms import cluster_of, comparison_form
from picochat.data.holdout import choose_sample, examine_holdout
from picochat.data.pack import Split
from picochat.data.split import TRAIN, VAL, document_key, split_of

SPLIT = Split(val_fraction=0.3, salt="s")
FAULTS = ("unknown_side", "digest_mismatch", "misplaced", "exact_left", "exact_leak", "near_leak", "audit_near")
WORDS = [f"word{number}" for number in range(500)]


def document(text: str, side: int | None = None) -> Document:
    form = comparison_form(text)
    right = split_of(document_key(SPLIT.salt, form), SPLIT.val_fraction)
    return Document(text, 0, right if side is None else side, cluster_of(form))


def long_text(seed: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=60))


@pytest.fixture
def documents() -> list[Document]:
    return [document(f"text number {i}") for i in range(40)] + [document(long_text(i)) for i in range(40)]


def faults(folder: Path, documents: list[Document], **options) -> dict[str, int]:
    """The faults that are not 0."""
    folder.mkdir(parents=True, exist_ok=True)
    with corpus_writer(folder / "t", folder / "r") as writer:
        for item in documents:
            writer.add(item)
    return found(folder, **options)


def found(folder: Path, **options) -> dict[str, int]:
    facts = asdict(
        examine_holdout(folder / "t", folder / "r", folder / "x", duplicates=DuplicatesConfig(), split=SPLIT, **options)
    )
    return {name: facts[name] for name in FAULTS if facts[name]}


def test_a_clean_corpus_has_no_fault(tmp_path: Path, documents):
    assert faults(tmp_path, documents) == {}
    facts = examine_holdout(tmp_path / "t", tmp_path / "r", tmp_path / "x", duplicates=DuplicatesConfig())
    held = [item for item in documents if item.split == VAL]
    assert facts.documents == 80 and facts.near_checked + facts.near_unchecked == len(held)
    assert facts.near_checked == sum("word" in item.text for item in held) > 5
    assert facts.audited == 40 and facts.leaks == 0


def test_a_val_document_planted_in_train_is_a_leak(tmp_path: Path, documents):
    held = next(item for item in documents if item.split == VAL)
    planted = document(held.text.upper() + " ", side=TRAIN)
    expected = {"misplaced": 1, "exact_left": 1, "exact_leak": 1}
    assert faults(tmp_path, [*documents, planted]) == expected
    assert faults(tmp_path, [planted, *documents]) == expected


def test_a_near_copy_of_a_val_document_in_train_is_a_leak(tmp_path: Path, documents):
    held = next(item for item in documents if item.split == VAL and "word" in item.text)
    words = held.text.split()
    planted = document(" ".join([*words[:30], "changed", *words[31:]]), side=TRAIN)
    found = faults(tmp_path, [*documents, planted])
    assert (found["near_leak"], found["audit_near"]) == (1, 2)
    same_side = faults(tmp_path / "val", [*documents, planted._replace(split=VAL)])
    assert same_side == {"audit_near": 2}


def test_what_does_not_fit_into_the_index_is_counted_as_unchecked(tmp_path: Path, documents, monkeypatch):
    monkeypatch.setattr(holdout, "MAX_SHINGLES", 300)
    faults(tmp_path, documents)
    facts = examine_holdout(tmp_path / "t", tmp_path / "r", tmp_path / "x", duplicates=DuplicatesConfig())
    held = sum(item.split == VAL for item in documents)
    assert 0 < facts.near_checked < held and facts.near_checked + facts.near_unchecked == held


def test_a_flipped_side_and_an_unknown_one_are_seen(tmp_path: Path, documents):
    place = next(i for i, item in enumerate(documents) if item.split == VAL)
    documents[place] = documents[place]._replace(split=TRAIN)
    assert faults(tmp_path, documents) == {"misplaced": 1}
    documents[place] = documents[place]._replace(split=2)
    assert faults(tmp_path / "unknown", documents) == {"unknown_side": 1}


def test_a_changed_text_is_seen(tmp_path: Path, documents):
    faults(tmp_path, documents)
    data = (tmp_path / "t").read_bytes().replace(b"number 7\n", b"nUmber 7\n")
    (tmp_path / "t").write_bytes(data)
    assert found(tmp_path) == {"digest_mismatch": 1}


def test_neither_stretches_nor_processes_change_anything(tmp_path: Path, documents, monkeypatch):
    held = next(item for item in documents if item.split == VAL and "word" in item.text)
    planted = document(held.text + " and two more words", side=TRAIN)
    whole = faults(tmp_path, [*documents, planted])
    assert whole["near_leak"] == 1
    monkeypatch.setattr(holdout, "RANGE_BYTES", 700)
    monkeypatch.setattr(holdout, "BATCH_BYTES", 300)
    assert found(tmp_path) == whole
    assert found(tmp_path, processes=2) == whole


def test_the_sample_is_about_as_large_as_asked_and_always_the_same(tmp_path: Path):
    faults(tmp_path, [document(f"text number {i}") for i in range(3000)])
    reader = CorpusReader(tmp_path / "t", tmp_path / "r")
    sample = choose_sample(reader, 500)
    assert 420 < len(sample) < 580 and choose_sample(reader, 500).tolist() == sample.tolist()
    assert len(choose_sample(reader, 10_000)) == 3000


def test_an_empty_corpus_has_nothing_to_say(tmp_path: Path):
    assert faults(tmp_path, []) == {}
