"""The renderer: section by section, its mask, and its twin in Jinja."""

from __future__ import annotations

from dataclasses import dataclass

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.tokenizer.bpe import train_bpe
from picochat.tokenizer.chat import CHAT_TEMPLATE_JINJA, ROLES, render
from picochat.tokenizer.config import TokenizerConfig
from picochat.tokenizer.hostile import HOSTILE_TEXTS
from picochat.tokenizer.tokenizer import Tokenizer

TOK = Tokenizer(train_bpe(["hello there, what can you do? I can spell words. "] * 3, TokenizerConfig(vocab_size=290)))
ENVIRONMENT = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
TEMPLATE = ENVIRONMENT.from_string(CHAT_TEMPLATE_JINJA)


@dataclass(frozen=True)
class Turn:
    role: str
    content: str
    weight: int = 1


contents = st.sampled_from(HOSTILE_TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
conversations = st.lists(st.builds(Turn, st.sampled_from(ROLES), contents, st.sampled_from([0, 1])), max_size=6)
DIALOGUE = [Turn("system", "S"), Turn("user", "U"), Turn("assistant", "A"), Turn("user", "U2"), Turn("assistant", "A2")]


def test_the_template_is_exactly_this():
    text = "<|bos|><|system|>S<|end|><|user|>U<|end|><|assistant|>A<|end|><|user|>U2<|end|><|assistant|>A2<|end|>"
    assert TOK.decode(render(DIALOGUE, TOK).ids) == text
    assert (
        TOK.decode(render(DIALOGUE[:2], TOK, add_generation_prompt=True).ids)
        == "<|bos|><|system|>S<|end|><|user|>U<|end|><|assistant|>"
    )


def test_supervised_ids_are_exactly_the_answers():
    rendered = render([*DIALOGUE, Turn("tool", "42"), Turn("assistant", "It is 42.")], TOK)
    supervised = [token for token, on in zip(rendered.ids, rendered.mask, strict=True) if on]
    assert TOK.decode(supervised) == "A<|end|>A2<|end|>It is 42.<|end|>"
    assert rendered.supervised_tokens == len(supervised)


def test_weight_zero_takes_an_answer_out_of_the_loss_and_changes_no_id():
    quiet = [Turn(turn.role, turn.content, 0 if turn.content == "A" else 1) for turn in DIALOGUE]
    rendered = render(quiet, TOK)
    supervised = [token for token, on in zip(rendered.ids, rendered.mask, strict=True) if on]
    assert TOK.decode(supervised) == "A2<|end|>" and rendered.ids == render(DIALOGUE, TOK).ids


@given(conversations, st.booleans())
@settings(deadline=None)
def test_mask_law_and_control_tokens_only_by_the_renderer(turns: list[Turn], prompt: bool):
    rendered = render(turns, TOK, add_generation_prompt=prompt)
    supervised = [token for token, on in zip(rendered.ids, rendered.mask, strict=True) if on]
    answers = [turn.content for turn in turns if turn.role == "assistant" and turn.weight]
    assert TOK.decode(supervised) == "".join(f"{answer}<|end|>" for answer in answers)
    specials = [token for token in rendered.ids if TOK.token_bytes[token] == 0]
    expected = [
        TOK.bos,
        *[token for turn in turns for token in (TOK.specials[f"<|{turn.role}|>"], TOK.end)],
        *[TOK.assistant] * prompt,
    ]
    assert specials == expected


@given(conversations, st.booleans())
@settings(deadline=None)
def test_jinja_renders_the_same_text(turns: list[Turn], prompt: bool):
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    text = TEMPLATE.render(messages=messages, add_generation_prompt=prompt)
    assert text == TOK.decode(render(turns, TOK, add_generation_prompt=prompt).ids)


def test_prompt_and_answer_are_the_ids_of_the_whole_conversation():
    prompt = render(DIALOGUE[:4], TOK, add_generation_prompt=True).ids
    assert prompt + TOK.encode("A2") + [TOK.end] == render(DIALOGUE, TOK).ids


def test_unknown_role_is_refused_by_both():
    with pytest.raises(PicochatError, match="'root'") as caught:
        render([Turn("root", "x")], TOK)
    assert caught.value.code == "chat.role"

    def raise_exception(message: str) -> None:
        raise ValueError(message)

    template = jinja2.Environment().from_string(CHAT_TEMPLATE_JINJA)
    with pytest.raises(ValueError, match="root"):
        template.render(messages=[{"role": "root", "content": "x"}], raise_exception=raise_exception)
