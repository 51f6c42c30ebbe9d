import math

import pytest
import torch
from tests.support.chat_run import EVAL_ROWS, build_model, build_tokenizer, choice_row

from picochat.data.conversations import EvalRow
from picochat.inference.loader import LoadedModel, build_autocast
from picochat.stages.evaluate.answers import Answerer
from picochat.tokenizer.chat import render


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()[1]


def build_answerer(tokenizer, model, **options):
    loaded = LoadedModel(model, None, "", build_autocast("cpu", "fp32"))
    return Answerer(loaded, tokenizer, **({"batch_size": 8, "max_new_tokens": 5} | options))


class Parrot(torch.nn.Module):
    """Says a fixed text and ends: the logits of position t name token t of `script` after the assistant's marker."""

    def __init__(self, tokenizer, text):
        super().__init__()
        self.inner = build_model()
        self.config = self.inner.config
        self.script = [*tokenizer.encode(text), tokenizer.end]
        self.step = 0

    @property
    def head_weight(self):
        return self.inner.head_weight

    def forward(self, tokens, cache=None, **_):
        self.step = 0 if cache.length == 0 else self.step + 1
        cache.advance(tokens.shape[1])
        return tokens.unsqueeze(-1).float()

    def logits(self, hidden):
        return torch.nn.functional.one_hot(torch.full(hidden.shape[:1], self.script[self.step]), 288).float()


def test_the_reply_is_the_text_before_the_end_marker(tokenizer):
    row = EVAL_ROWS[1]
    answerer = build_answerer(tokenizer, Parrot(tokenizer, "I am Pico."), max_new_tokens=20)
    [record] = answerer.records([row])
    assert (record["reply"], record["unfinished"], record["verdict"]) == ("I am Pico.", False, "pass")
    assert record["expected"] == ["Pico"] and record["user"] == row.user
    [record] = build_answerer(tokenizer, Parrot(tokenizer, "I am Pico."), max_new_tokens=3).records([row])
    assert record["unfinished"] is True


@torch.no_grad()
def test_an_option_is_scored_as_the_whole_reply(tokenizer):
    model, row = build_model(), choice_row(0, "cat=A")
    [reply] = build_answerer(tokenizer, model).score_options([row])
    prompt = render(row.to_messages(), tokenizer, add_generation_prompt=True).ids
    for option, score in zip(row.options, reply.option_scores, strict=True):
        rest = [*tokenizer.encode(option), tokenizer.end]
        logs = model.logits(model(torch.tensor([prompt + rest])))[0].log_softmax(-1)
        wanted = sum(float(logs[len(prompt) - 1 + i, token]) for i, token in enumerate(rest))
        assert score.raw == pytest.approx(wanted, rel=1e-5)
        assert score.per_byte == pytest.approx(wanted / len(option), rel=1e-5)
    assert all(math.isfinite(score.raw) for score in reply.option_scores)


def test_records_keep_the_order_of_mixed_rules(tokenizer):
    records = build_answerer(tokenizer, build_model()).records(EVAL_ROWS)
    assert [record["id"] for record in records] == [row.id for row in EVAL_ROWS]
    assert [record["option_scores"] is not None for record in records] == [True, False, True, False, False]


def test_what_does_not_fit_into_the_context_fails(tokenizer):
    long = "which " * 200
    rows = [
        choice_row(0, "cat=A").model_copy(update={"user": long}),
        EvalRow(id="x", rule="exact", category="c", user=long, expected=["a"]),
        choice_row(1, "cat=A"),
    ]
    records = build_answerer(tokenizer, build_model()).records(rows)
    assert records[0]["option_scores"] is None and records[0]["verdict"] == "fail"
    assert records[1]["unfinished"] and records[1]["verdict"] == "fail"
    assert len(records[2]["option_scores"]) == 3
