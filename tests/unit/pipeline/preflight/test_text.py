"""Tokens are counted where they can be, else estimated with an interval that holds the truth; rows are counted."""

import json
from pathlib import Path

import pytest
from tests.support.made_corpus import made_texts, make_corpus

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.config import merge
from picochat.pipeline.config import RunConfig
from picochat.pipeline.preflight.text import chat_facts, token_facts
from picochat.pipeline.profiles import load_profile


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path)


def config(**sft: object) -> RunConfig:
    values = merge(load_profile("tiny").build().as_dict(), {"sft": {"loop": sft}})
    return RunConfig.from_dict(values, "test")


def write(store: RunStore, path: str, obj: object) -> None:
    store.path(path).parent.mkdir(parents=True, exist_ok=True)
    store.path(path).write_text(json.dumps(obj))


def write_rows(store: RunStore, path: str, rows: list[dict[str, object]]) -> None:
    store.path(path).parent.mkdir(parents=True, exist_ok=True)
    store.path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_shards_say_how_many_tokens_there_are(store: RunStore):
    write(store, layout.SHARDS_MANIFEST, {"exposure": [{"unique_tokens": 70}, {"unique_tokens": 30}]})
    assert token_facts(store, 1).unique == 100 and token_facts(store, 1).source == layout.SHARDS_MANIFEST


def test_the_tokenizer_report_counts_when_it_read_everything(store: RunStore):
    write(store, layout.TOKENIZER_REPORT, {"measured": {"limited": False}, "train_tokens": 50})
    assert token_facts(store, 1).unique == 50


def test_a_partial_count_is_not_believed(store: RunStore):
    write(store, layout.TOKENIZER_REPORT, {"measured": {"limited": True}, "train_tokens": 50})
    assert token_facts(store, 1).unique is None


def test_a_sample_gives_an_interval_around_the_truth(store: RunStore):
    made = make_corpus(store.root, made_texts(1500))
    truth = sum(len(made.tok.encode(text)) for text in made.reader.iter_texts("train"))
    held = 0
    for seed in range(20):
        found = token_facts(store, seed)
        assert found.interval is not None and found.documents == 400 and found.source == layout.CORPUS
        held += found.interval[0] <= truth <= found.interval[1]
    assert held >= 16
    assert found.interval[1] - found.interval[0] < 0.1 * truth


def test_a_corpus_that_is_sampled_whole_is_exact(store: RunStore):
    made = make_corpus(store.root, made_texts(60))
    truth = sum(len(made.tok.encode(text)) for text in made.reader.iter_texts("train"))
    found = token_facts(store, 1)
    assert found.unique == pytest.approx(truth) and found.interval == pytest.approx((truth, truth))


def test_without_text_nothing_is_known(store: RunStore):
    assert token_facts(store, 1).unique is None
    assert chat_facts(store, config()) is None


def test_rows_are_counted_by_category_and_words(store: RunStore):
    own = [{"category": "room", "user": f"When {n}?", "assistant": "At nine in the morning."} for n in range(4)]
    made = [{"category": "spelling", "user": "Spell it.", "assistant": "a b", "source": "skills.train"}] * 2
    write_rows(store, layout.CHAT_TRAIN, own + made)
    asked = {"id": "1", "category": "room", "user": "When?", "rule": "word", "expected": ["nine"]}
    bad = {"id": "3", "category": "room", "user": "When?"}
    write_rows(store, layout.CHAT_EVAL, [asked, asked | {"id": "2", "answerable": False}, bad])
    found = chat_facts(store, config())
    assert found is not None and found.rows == 6 and found.categories == {"room": 4, "spelling": 2}
    assert found.mean_answer_words == {"room": 5.0}
    assert found.duplicate_prompts_frac == pytest.approx(1 / 6)
    assert (found.eval_rows, found.eval_without_rule, found.eval_unanswerable) == (3, 1, 1)
    assert found.eval_by_category == {"room": 2}
    assert found.tokenised_rows is None and found.too_long_frac is None


def test_rows_that_do_not_fit_are_seen_and_epochs_reckoned(store: RunStore):
    make_corpus(store.root, made_texts(20))
    short = {"category": "room", "user": "a", "assistant": "b"}
    write_rows(store, layout.CHAT_TRAIN, [short] * 3 + [short | {"assistant": "word " * 200}])
    found = chat_facts(store, config(seq_len=32, tokens=7000))
    assert found is not None and found.tokenised_rows == 4 and found.too_long_frac == pytest.approx(0.25)
    places = 6  # <bos> <user> a <end> <assistant> b <end>, of which the last is no input
    assert found.epochs == pytest.approx(7000 / (3 * places))
