"""The parts of a proof without another program: paths, planted mistakes, the stand-in."""

import pytest
import torch
from tests.support.exported import LLAMA, PARALLEL, QWEN3, TOK, circling_model

from picochat.export.parity import with_llama, with_transformers
from picochat.export.parity.compare import Top, compare_logits, compare_tops
from picochat.export.parity.controls import build_controls
from picochat.export.parity.paths import (
    PROMPTS,
    TELLING_STEPS,
    TOKENS,
    GreedyPath,
    count_distinct,
    path_logits,
    walk,
)
from picochat.export.parity.report import Comparison, Control, Subject
from picochat.model.transformer import Transformer

TEXT_IDS = TOK.vocab_size - 16


@pytest.mark.parametrize("context", [8, 48, 96, 300])
def test_paths_fit_the_context_and_begin_with_bos(context: int):
    model = circling_model(max_seq_len=context, **QWEN3)
    paths = walk(model, TEXT_IDS, TOK.bos)
    assert len(paths) == PROMPTS and {len(path.tokens) for path in paths} == {min(TOKENS, context // 2)}
    assert all(path.prompt[0] == TOK.bos and max(path.prompt[1:], default=0) < TEXT_IDS for path in paths)
    assert max(len(path.prompt) + len(path.tokens) for path in paths) <= context
    if context == 300:
        assert len(paths[-1].prompt) == 192, "distant positions are read too"
    assert paths == walk(model, TEXT_IDS, TOK.bos)


@pytest.mark.parametrize("shape", [PARALLEL, QWEN3, LLAMA])
def test_the_logits_of_a_path_are_the_model_s(shape: dict):
    model = circling_model(**shape)
    path = walk(model, TEXT_IDS, TOK.bos)[3]
    whole = model.logits(model(torch.tensor([path.prompt + path.tokens])))[0, len(path.prompt) - 1 : -1]
    found = path_logits(model, path)
    assert found.shape == (len(path.tokens), TOK.vocab_size)
    assert torch.allclose(found, whole, atol=1e-4)
    assert found.argmax(1).tolist() == path.tokens


def test_a_model_that_repeats_itself_does_not_tell():
    assert count_distinct([GreedyPath([0], [5] * 64), GreedyPath([0], [5, 6] * 32)]) == (2, TELLING_STEPS)
    steps = list(range(38)) + [0, 1] + [9] * 24
    assert count_distinct([GreedyPath([0], [5] * 64), GreedyPath([0], steps)]) == (38, TELLING_STEPS)


@pytest.mark.parametrize("shape", [PARALLEL, QWEN3, LLAMA])
def test_each_planted_mistake_changes_the_model_and_leaves_ours_alone(shape: dict):
    model = circling_model(**shape)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(1.0, 0.3, generator=torch.Generator().manual_seed(1)) if "norm" in name else None
    path = walk(model, TEXT_IDS, TOK.bos)[5]
    before, state = path_logits(model, path), {name: t.clone() for name, t in model.state_dict().items()}
    names = []
    for name, wrong in build_controls(model):
        names.append(name)
        difference = compare_logits([before], [path_logits(wrong, path)], 1e-5)
        assert not difference.within(1e-5) and difference.largest > 0.01, name
    assert len(names) == len(set(names)) == (3 if shape == LLAMA else 4)
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())


def test_the_swapped_residual_is_the_other_model():
    for shape, other in ((PARALLEL, "sequential"), (QWEN3, "parallel")):
        wrong = dict(build_controls(circling_model(**shape)))["residual_swapped"]
        assert isinstance(wrong, Transformer) and wrong.config.residual == other


def test_log_probabilities_are_held_against_the_ids_that_the_other_names():
    logits = torch.randn(4, 30, generator=torch.Generator().manual_seed(3))
    values, ids = logits.double().log_softmax(1).topk(10, dim=1)
    assert compare_tops([logits], [Top(ids, values)], 1e-9).within(1e-9)
    values[2, 7] += 0.01
    found = compare_tops([logits], [Top(ids, values)], 1e-3)
    assert found.largest == pytest.approx(0.01) and not found.within(1e-3)
    swapped = compare_tops([logits], [Top(ids.flip(1), values.flip(1))], 10.0)
    assert swapped.equal_tokens == 0


def test_states_of_comparisons():
    found = compare_logits([torch.zeros(1, 5)], [torch.full((1, 5), 0.5)], 1e-5)
    assert Comparison.of("x", "logits", found, 1e-5).state == "failed"
    assert Comparison.of("x", "logits", found, 1.0).state == "passed"
    assert Comparison.of("x", "logits", found, None).state == "measured"
    lost = compare_logits([torch.zeros(1, 5)], [torch.full((1, 5), float("inf"))], 1e-5)
    assert Comparison.of("x", "logits", lost, None).state == "failed"
    assert Comparison.of("x", "logits", lost, None).largest is None, "JSON has no infinity"
    assert Comparison.of_counts("x", "texts", 2, 3, "'a'").state == "failed"


def test_a_subject_tells_only_with_every_mistake_noticed():
    seen = Control("a", True, 1.0, 0, 9)
    subject = Subject("weights", 40, 40, 38)
    assert not subject.tells, "nothing was planted"
    subject.controls = [seen, Control("b", False, 0.0, 9, 9)]
    assert not subject.tells
    subject.controls = [seen]
    assert subject.tells
    subject.distinct_tokens = 37
    assert not subject.tells


def test_a_peer_that_is_missing_is_no_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    monkeypatch.setitem(__import__("sys").modules, "xllamacpp", None)
    assert not with_transformers.is_installed() and not with_llama.is_installed()
