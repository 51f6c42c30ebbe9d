"""Fields of requests: what is taken, what is refused, and under which code and name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.serving.protocol.errors import ApiError
from picochat.serving.protocol.requests import ChatRequest, CompletionRequest, read_request

USER = {"role": "user", "content": "hi"}
TEXT = {"model": "m", "prompt": "a"}
CHAT = {"model": "m", "messages": [USER]}
TYPE, VALUE, UNSUPPORTED = "invalid_type", "invalid_value", "unsupported_parameter"


def complete(**fields: Any) -> CompletionRequest:
    return read_request(CompletionRequest, TEXT | fields)


def chat(**fields: Any) -> ChatRequest:
    return read_request(ChatRequest, CHAT | fields)


def refused(read: Any, fields: dict[str, Any]) -> tuple[str, str | None]:
    with pytest.raises(ApiError) as caught:
        read(**fields)
    assert caught.value.status == 400
    assert len(caught.value.message) < 400
    return caught.value.code, caught.value.param


def test_defaults_are_those_of_the_api():
    request = complete()
    assert (request.temperature, request.top_p, request.n, request.max_tokens) == (1.0, 1.0, 1, 16)
    assert (request.stop, request.seed, request.logprobs, request.echo, request.stream) == (
        (),
        None,
        None,
        False,
        False,
    )
    assert (request.top_k, request.min_p, request.repetition_penalty, request.ignore_eos) == (0, 0.0, 1.0, False)
    assert (chat().max_tokens, chat().max_completion_tokens, chat().logprobs) == (None, None, False)


BOTH_REFUSED = [
    ({"temperature": 2.01}, VALUE, "temperature"),
    ({"temperature": -0.1}, VALUE, "temperature"),
    ({"temperature": "1"}, TYPE, "temperature"),
    ({"temperature": True}, TYPE, "temperature"),
    ({"temperature": 10**30}, VALUE, "temperature"),
    ({"temperature": 10**400}, TYPE, "temperature"),
    ({"top_p": 1.5}, VALUE, "top_p"),
    ({"n": 0}, VALUE, "n"),
    ({"n": 17}, VALUE, "n"),
    ({"n": 1.5}, TYPE, "n"),
    ({"n": True}, TYPE, "n"),
    ({"n": 10**30}, VALUE, "n"),
    ({"stop": ["a"] * 5}, VALUE, "stop"),
    ({"stop": "a" * 65}, VALUE, "stop"),
    ({"stop": ""}, VALUE, "stop"),
    ({"stop": ["a", ""]}, VALUE, "stop"),
    ({"stop": 3}, TYPE, "stop"),
    ({"stop": [3]}, TYPE, "stop"),
    ({"seed": 2**63}, VALUE, "seed"),
    ({"seed": -(2**63) - 1}, VALUE, "seed"),
    ({"seed": 1.0}, TYPE, "seed"),
    ({"presence_penalty": 2.5}, VALUE, "presence_penalty"),
    ({"frequency_penalty": -2.5}, VALUE, "frequency_penalty"),
    ({"logit_bias": {"1": 101}}, VALUE, "logit_bias"),
    ({"logit_bias": {"one": 1}}, VALUE, "logit_bias"),
    ({"logit_bias": {"-1": 1}}, VALUE, "logit_bias"),
    ({"logit_bias": {"01": 1}}, VALUE, "logit_bias"),
    ({"logit_bias": {"1": "1"}}, TYPE, "logit_bias"),
    ({"logit_bias": {str(k): 1 for k in range(301)}}, VALUE, "logit_bias"),
    ({"logit_bias": [1]}, TYPE, "logit_bias"),
    ({"stream": "true"}, TYPE, "stream"),
    ({"stream": 1}, TYPE, "stream"),
    ({"stream_options": {"include_usage": True}}, VALUE, "stream_options"),
    ({"stream": True, "stream_options": {"usage": True}}, UNSUPPORTED, "stream_options.usage"),
    ({"stream": True, "stream_options": True}, TYPE, "stream_options"),
    ({"top_k": -1}, VALUE, "top_k"),
    ({"min_p": 1.1}, VALUE, "min_p"),
    ({"repetition_penalty": 0}, VALUE, "repetition_penalty"),
    ({"ignore_eos": "no"}, TYPE, "ignore_eos"),
    ({"service_tier": "flex"}, VALUE, "service_tier"),
    ({"store": True}, VALUE, "store"),
    ({"user": 3}, TYPE, "user"),
    ({"model": 3}, TYPE, "model"),
    ({"model": ""}, VALUE, "model"),
    ({"model": None}, VALUE, "model"),
    ({"whatever": 1}, UNSUPPORTED, "whatever"),
    ({"tools": []}, UNSUPPORTED, "tools"),
]


@pytest.mark.parametrize(("fields", "code", "param"), BOTH_REFUSED, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("read", [complete, chat])
def test_a_wrong_field_of_both_is_refused_by_name(read: Any, fields: dict[str, Any], code: str, param: str):
    assert refused(read, fields) == (code, param)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"prompt": None}, VALUE, "prompt"),
        ({"prompt": ""}, VALUE, "prompt"),
        ({"prompt": []}, VALUE, "prompt"),
        ({"prompt": ["a", ""]}, VALUE, "prompt"),
        ({"prompt": [[]]}, VALUE, "prompt"),
        ({"prompt": [[1], []]}, VALUE, "prompt"),
        ({"prompt": ["a"] * 65}, VALUE, "prompt"),
        ({"prompt": [[1]] * 65}, VALUE, "prompt"),
        ({"prompt": [1, "a"]}, TYPE, "prompt"),
        ({"prompt": ["a", 1]}, TYPE, "prompt"),
        ({"prompt": [[1], "a"]}, TYPE, "prompt"),
        ({"prompt": [True]}, TYPE, "prompt"),
        ({"prompt": [[1.0]]}, TYPE, "prompt"),
        ({"prompt": [-1]}, VALUE, "prompt"),
        ({"prompt": [2**31]}, VALUE, "prompt"),
        ({"prompt": {"text": "a"}}, TYPE, "prompt"),
        ({"max_tokens": 0}, VALUE, "max_tokens"),
        ({"max_tokens": -1}, VALUE, "max_tokens"),
        ({"max_tokens": 1e3}, TYPE, "max_tokens"),
        ({"logprobs": 21}, VALUE, "logprobs"),
        ({"logprobs": True}, TYPE, "logprobs"),
        ({"echo": 1}, TYPE, "echo"),
        ({"n": 3, "best_of": 2}, VALUE, "best_of"),
        ({"best_of": 17}, VALUE, "best_of"),
        ({"best_of": 2, "stream": True}, VALUE, "best_of"),
        ({"suffix": "x"}, UNSUPPORTED, "suffix"),
        ({"max_completion_tokens": 3}, UNSUPPORTED, "max_completion_tokens"),
        ({"messages": [USER]}, UNSUPPORTED, "messages"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_field_of_completions_is_refused_by_name(fields: dict[str, Any], code: str, param: str):
    assert refused(complete, fields) == (code, param)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"messages": None}, VALUE, "messages"),
        ({"messages": []}, VALUE, "messages"),
        ({"messages": [USER] * 257}, VALUE, "messages"),
        ({"messages": USER}, TYPE, "messages"),
        ({"messages": ["hi"]}, TYPE, "messages[0]"),
        ({"messages": [USER, {"role": "user"}]}, VALUE, "messages[1].content"),
        ({"messages": [{"role": "tool", "content": None}]}, VALUE, "messages[0].content"),
        ({"messages": [{"content": "hi"}]}, VALUE, "messages[0].role"),
        ({"messages": [{"role": "king", "content": "hi"}]}, VALUE, "messages[0].role"),
        ({"messages": [USER | {"name": "Bob"}]}, UNSUPPORTED, "messages[0].name"),
        ({"messages": [USER | {"tool_call_id": "1"}]}, UNSUPPORTED, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, UNSUPPORTED, "messages[0].tool_calls"),
        ({"messages": [{"role": "user", "content": 3}]}, TYPE, "messages[0].content"),
        ({"messages": [{"role": "user", "content": []}]}, VALUE, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, VALUE, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, TYPE, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["hi"]}]}, TYPE, "messages[0].content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 257}]},
            VALUE,
            "messages[0].content",
        ),
        ({"max_tokens": 0}, VALUE, "max_tokens"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, VALUE, "max_tokens"),
        ({"logprobs": 5}, TYPE, "logprobs"),
        ({"top_logprobs": 5}, VALUE, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, VALUE, "top_logprobs"),
        ({"response_format": {"type": "json_object"}}, UNSUPPORTED, "response_format"),
        ({"response_format": "text"}, UNSUPPORTED, "response_format"),
        ({"modalities": ["text", "audio"]}, UNSUPPORTED, "modalities"),
        *(
            ({name: {}}, UNSUPPORTED, name)
            for name in ("functions", "audio", "prediction", "web_search_options", "tool_choice", "reasoning_effort")
        ),
        ({"verbosity": "low"}, UNSUPPORTED, "verbosity"),
        ({"echo": True}, UNSUPPORTED, "echo"),
        ({"best_of": 2}, UNSUPPORTED, "best_of"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_field_of_chat_is_refused_by_name(fields: dict[str, Any], code: str, param: str):
    assert refused(chat, fields) == (code, param)


@pytest.mark.parametrize("model", [CompletionRequest, ChatRequest])
def test_null_means_absent_for_every_field_and_every_unknown_name(model: Any):
    bare = TEXT if model is CompletionRequest else CHAT
    optional = set(CompletionRequest.model_fields) | set(ChatRequest.model_fields) | {"tools", "functions", "xyz"}
    nulls = {name: None for name in optional if name not in bare}
    assert read_request(model, bare | nulls) == read_request(model, bare)
    assert chat(messages=[USER | {"name": None, "tool_calls": None}]) == chat()
    assert complete(stream=True, stream_options={"include_usage": None}).include_usage is False


def test_what_cannot_change_the_text_is_accepted():
    more = {"user": "u", "metadata": {"a": "b"}, "safety_identifier": "s", "prompt_cache_key": "k", "store": False}
    more |= {"prompt_cache_whatever": 3, "service_tier": "auto", "parallel_tool_calls": True}
    assert chat(**more).messages == chat().messages
    assert chat(response_format={"type": "text"}, modalities=["text"])
    assert complete(best_of=1, stream=True, stream_options={"include_obfuscation": False})


def test_edges_are_inside():
    request = complete(
        temperature=0, top_p=0, n=16, best_of=16, seed=-(2**63), presence_penalty=-2, logprobs=20, stop=["a" * 64] * 4
    )
    assert (request.temperature, request.n, request.seed) == (0.0, 16, -(2**63))
    assert complete(seed=2**63 - 1, temperature=2, min_p=1, top_k=0, repetition_penalty=2).seed == 2**63 - 1
    assert complete(max_tokens=0, echo=True).max_tokens == 0
    assert complete(logit_bias={"0": -100, "7": 100}).logit_bias == {0: -100.0, 7: 100.0}
    assert chat(max_tokens=5, max_completion_tokens=5).max_tokens == 5


@pytest.mark.parametrize(
    ("prompt", "read"),
    [("a", ["a"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1], [2, 3]], [[1], [2, 3]])],
)
def test_the_four_shapes_of_a_prompt(prompt: Any, read: Any):
    assert complete(prompt=prompt).prompt == read


def test_text_parts_are_joined_as_they_are():
    parts = [{"type": "text", "text": "a "}, {"type": "text", "text": "b"}]
    assert chat(messages=[{"role": "user", "content": parts}]).messages[0].content == "a b"
    assert chat(messages=[USER, {"role": "assistant"}]).messages[1].content is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*CompletionRequest.model_fields, *ChatRequest.model_fields]), json_values))
def test_whatever_comes_is_read_or_refused_with_a_400(fields: dict[str, Any]):
    for model, bare in ((CompletionRequest, TEXT), (ChatRequest, CHAT)):
        try:
            read_request(model, bare | fields)
        except ApiError as err:
            assert err.status == 400 and err.param
