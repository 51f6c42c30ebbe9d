"""The playground's requests: what a checkpoint is asked, what the model is given, what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from tests.support.green_run import GreenRun

from picochat.workbench.api.play import CHAT, TEXT, Generate, exact_prompt, generate, list_speakers, request_of
from picochat.workbench.bench import Workbench
from picochat.workbench.problems import Problem
from picochat.workbench.routing import Call, Nothing

BASICS = {"run": "green", "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "seed": 3}


def asked(**more: object) -> Generate:
    return Generate.model_validate(BASICS | {"checkpoint": "sft/checkpoint"} | more)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    runs = tmp_path_factory.mktemp("runs")
    GreenRun(runs / "green").build()
    (runs / "linked").symlink_to(runs / "green")
    return Workbench(runs)


def call(bench: Workbench, body: Generate | None = None) -> Call:
    return Call(bench, {}, Nothing(), body, "somebody")


def test_chat_models_come_first_and_every_checkpoint_is_there(bench: Workbench):
    found = [entry["checkpoint"] for entry in list_speakers(call(bench))["checkpoints"]]
    assert found == ["sft/checkpoint", "base/checkpoint"]


def test_a_conversation_is_asked_as_a_chat_and_a_text_as_a_text():
    path, body = request_of(asked(messages=[{"role": "user", "content": "hi"}]))
    assert path == CHAT and body["messages"] == [{"role": "user", "content": "hi"}] and body["top_logprobs"] == 10
    path, body = request_of(asked(prompt="Once"))
    assert path == TEXT and body["prompt"] == "Once" and body["logprobs"] == 10
    assert body["stream"] and body["seed"] == 3


def test_the_model_is_shown_what_it_is_given_with_control_tokens_by_name(bench: Workbench):
    store = bench.run("green")
    shown = exact_prompt(store, asked(messages=[{"role": "user", "content": "<|end|>"}]))
    names = [token["text"] for token in shown if token["special"]]
    assert names[0] == "<|bos|>" and names[-1] == "<|assistant|>"
    assert "<|end|>" not in [token["text"] for token in shown if not token["special"]]
    text = exact_prompt(store, asked(prompt="ab"))
    assert text[0]["text"] == "<|bos|>" and "".join(token["text"] for token in text[1:]) == "ab"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"prompt": "x", "messages": [{"role": "user", "content": "x"}]},
        {"prompt": "x", "checkpoint": "../sft/checkpoint"},
        {"prompt": "x", "checkpoint": "sft/kept/step-1"},
        {"prompt": "x", "temperature": float("inf")},
        {"prompt": "x", "max_tokens": 0},
        {"prompt": "x", "seed": -1},
        {"messages": [{"role": "root", "content": "x"}]},
        {"prompt": "x", "model": "other"},
    ],
)
def test_what_cannot_be_asked_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        asked(**wrong)


@pytest.mark.parametrize(
    ("wrong", "status"), [({"run": "none"}, 404), ({"run": "linked"}, 404), ({"checkpoint": "sft/best"}, 404)]
)
def test_what_is_not_there_is_not_found(bench: Workbench, wrong: dict[str, str], status: int):
    with pytest.raises(Problem) as caught:
        generate(call(bench, asked(prompt="x", **wrong)))
    assert caught.value.status == status
