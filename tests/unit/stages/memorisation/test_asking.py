"""A model that learned its documents by heart, and one that learned nothing, are told apart by what they answer."""

from __future__ import annotations

import random
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from tests.support.chat_run import build_model
from tests.support.made_corpus import make_corpus

from picochat.checkpoint.format import CheckpointManifest
from picochat.data.corpus import CorpusReader
from picochat.data.memorisation.canaries import make_canaries
from picochat.data.memorisation.config import Canaries
from picochat.data.memorisation.copied import find_copies, index_samples
from picochat.data.memorisation.passages import Passage, choose_passages
from picochat.distributed.world import SoloWorld
from picochat.evals.memorisation import SAMPLE, summarise_memorisation
from picochat.inference.loader import LoadedModel
from picochat.model.transformer import Transformer
from picochat.stages.memorisation.asking import Asker
from picochat.stages.memorisation.config import MemorisationConfig
from picochat.stages.memorisation.material import Material, Spans, build_fact, fit_spans
from picochat.stages.subject import Subject
from picochat.tokenizer.bpe import train_bpe
from picochat.tokenizer.config import TokenizerConfig
from picochat.tokenizer.tokenizer import Tokenizer

CONFIG = MemorisationConfig(documents=8, references=255, samples=8, sample_tokens=24, loss_tokens=24)
SPANS = Spans(10, 10, False)
SALT = "heart"
STEPS = 120


def sentences(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    words = ["stone", "river", "lamp", "harbour", "quiet", "seven", "green", "walks", "under", "over", "late", "early"]
    return [" ".join(rng.choices(words, k=14)) for _ in range(count)]


class Made:
    """Eight documents a side, four facts, and what is asked about them."""

    def __init__(self, folder: Path) -> None:
        texts = sentences(16, seed=2)
        sides = [0] * 8 + [1] * 8
        data = train_bpe([*texts, "Registry entry: the number of is 0123456789."], TokenizerConfig(vocab_size=300))
        corpus = make_corpus(folder, texts, sides)
        self.reader: CorpusReader = corpus.reader
        self.tok = Tokenizer(data)
        self.canaries = make_canaries(Canaries(copies=[1, 8], each=2), SALT, 0.02)
        rows = [canary.to_row(16 + place) for place, canary in enumerate(self.canaries)]
        self.material = Material(
            SPANS,
            {side: self.passages(side, 20, 20) for side in ("train", "val")},
            {side: self.passages(side, 1, 24) for side in ("train", "val")},
            [build_fact(row, SALT, self.tok, CONFIG.references) for row in rows],
        )

    def passages(self, side: Any, least: int, most: int) -> list[Passage]:
        return choose_passages(self.reader, self.tok, [1.0], side, CONFIG.documents, least, most)

    def train(self, texts: list[str], steps: int = STEPS) -> Transformer:
        """Shows a model nothing but these texts, over and over."""
        model = build_model(vocab_size=300, dim=64, max_seq_len=64)
        documents = [torch.tensor([self.tok.bos, *self.tok.encode(text), self.tok.eos]) for text in texts]
        tokens_BT = torch.nn.utils.rnn.pad_sequence(documents, batch_first=True, padding_value=self.tok.pad)
        optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
        for _ in range(steps):
            logits_BTV = model.logits(model(tokens_BT[:, :-1]))
            loss = torch.nn.functional.cross_entropy(
                logits_BTV.flatten(0, 1), tokens_BT[:, 1:].flatten(), ignore_index=self.tok.pad
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return model

    def ask(self, model: Transformer) -> list[dict[str, Any]]:
        loaded = LoadedModel(model, cast(CheckpointManifest, None), "digest", nullcontext)
        subject = Subject(loaded, self.tok, SoloWorld(torch.device("cpu")), "fp32", "")
        rows = Asker(subject, "base", CONFIG, lambda done, total, note: None).ask(self.material)
        samples = [row for row in rows if row["kind"] == SAMPLE]
        train = self.reader.indices("train").tolist()
        index = index_samples([row["text"] for row in samples])
        copies = find_copies(index, [self.reader.data(number) for number in train], train)
        for number, row in enumerate(samples):
            row["copied_words"], row["begin"], row["document"] = copies.get(number, (0, None, None))
        return rows


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("asking"))


@pytest.fixture(scope="module")
def learned(made: Made) -> dict[str, Any]:
    """Trained on the train side and on the facts of eight copies, never on those of one."""
    texts = [made.reader.text(number) for number in made.reader.indices("train").tolist()]
    known = [canary.text for canary in made.canaries if canary.copies == 8]
    return summarise_memorisation(made.ask(made.train(texts + known)))


@pytest.fixture(scope="module")
def fresh(made: Made) -> dict[str, Any]:
    return summarise_memorisation(made.ask(build_model(vocab_size=300, dim=64, max_seq_len=64)))


def test_what_was_learned_by_heart_is_continued_and_the_control_is_not(learned):
    found = learned["extractable"]
    assert found["train"]["n"] == found["val"]["n"] == 8
    assert found["train"]["rate"] >= 0.75 and found["val"]["k"] == 0
    assert found["interval"][0] > 0.05


def test_a_fact_that_was_seen_has_all_bits_and_one_that_was_not_has_few(learned):
    by_copies = learned["canaries"]["by_copies"]
    assert learned["canaries"]["candidates"] == 256
    assert by_copies["8"]["mean"] == 8.0
    assert by_copies["1"]["mean"] < 6


def test_the_loss_of_seen_documents_is_lower_and_samples_copy_them(learned):
    assert learned["loss"]["interval"][0] > 1
    assert learned["copied"]["longest_words"] >= 6


def test_a_fresh_model_knows_nothing(fresh):
    assert fresh["extractable"]["train"]["k"] == fresh["extractable"]["val"]["k"] == 0
    bits = [numbers["mean"] for numbers in fresh["canaries"]["by_copies"].values()]
    assert all(0 <= value < 5 for value in bits)
    low, high = fresh["loss"]["interval"]
    assert low < 0 < high
    assert fresh["copied"]["longest_words"] <= 4


def test_the_ranks_of_many_facts_are_spread_when_none_was_seen(made):
    """1.44 bits on average: here over 24 facts and a model that never saw one."""
    rows = [canary.to_row(0) for canary in make_canaries(Canaries(copies=[1], each=24), "unseen", 0.02)]
    facts = [build_fact(row, "unseen", made.tok, 63) for row in rows]
    model = build_model(vocab_size=300, dim=64, max_seq_len=64, seed=3)
    material = made.material._replace(facts=facts, continued={"train": [], "val": []}, scored={"train": [], "val": []})
    loaded = LoadedModel(model, cast(CheckpointManifest, None), "digest", nullcontext)
    subject = Subject(loaded, made.tok, SoloWorld(torch.device("cpu")), "fp32", "")
    config = CONFIG.model_copy(update={"samples": 1})
    found = summarise_memorisation(Asker(subject, "base", config, lambda *_: None).ask(material)[:24])
    assert 0.7 < found["canaries"]["by_copies"]["1"]["mean"] < 2.4


@pytest.mark.parametrize(
    ("context", "spans"),
    [(101, (50, 50, False)), (100, (49, 50, True)), (41, (20, 20, True)), (3, (1, 1, True)), (4096, (50, 50, False))],
)
def test_a_short_context_scales_both_parts_and_says_so(context, spans):
    assert fit_spans(MemorisationConfig(), context) == spans


def test_the_prompt_of_a_fact_ends_before_its_digits(made):
    for fact in made.material.facts:
        assert made.tok.decode(fact.prompt, skip_special=True) == fact.row["prefix"]
        assert {len(ids) for ids in fact.candidates} == {len(fact.candidates[0])}
        assert made.tok.decode(fact.candidates[0]) == f"{fact.row['secret']}."
        assert len({tuple(ids) for ids in fact.candidates}) == 256
