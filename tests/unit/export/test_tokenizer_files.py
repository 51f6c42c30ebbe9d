"""BOS once, whoever adds it; and the Jinja template is the renderer, on generated conversations."""

import json
import random

import jinja2
import pytest
import tokenizers
from tests.support.exported import DATA, TOK

from picochat.export.parity.texts import TEXTS, Turn, expected_chat, expected_text
from picochat.export.tokenizer_files import template_without_bos, tokenizer_config, tokenizer_json
from picochat.tokenizer.chat import CHAT_TEMPLATE_JINJA, render
from picochat.tokenizer.special import BOS

CONVERSATIONS = 250
WORDS = [
    "cat",
    "don't",
    " two  spaces ",
    "\n",
    "\t",
    "3.14",
    "\u00fcber",
    "\U0001f600",
    "<",
    "|>",
    "{{ x }}",
    "{% if %}",
    "",
]


def exported() -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(tokenizer_json(DATA, TOK).decode())


def conversations() -> list[list[Turn]]:
    chosen = random.Random(5)
    found = []
    for _ in range(CONVERSATIONS):
        turns = [Turn("system", " ".join(chosen.choices(WORDS, k=2)))] if chosen.random() < 0.3 else []
        for number in range(chosen.randint(1, 6)):
            role = chosen.choice(["tool", "user"]) if number % 2 == 0 else "assistant"
            turns.append(Turn(role, "".join(chosen.choices(WORDS, k=chosen.randint(1, 5)))))
        found.append(turns)
    return found


def render_jinja(template: str, turns: list[Turn], answer: bool) -> str:
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)  # as transformers sets it
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    return environment.from_string(template).render(messages=messages, add_generation_prompt=answer)


def test_a_text_gets_bos_once_and_nothing_else_changes():
    runtime = exported()
    for text in TEXTS:
        assert runtime.encode(text).ids == expected_text(TOK, text), text
        assert runtime.encode(text, add_special_tokens=False).ids == TOK.encode(text)
    before, after = json.loads(DATA), json.loads(tokenizer_json(DATA, TOK))
    assert {key for key in after if after[key] != before.get(key)} == {"post_processor"}


def test_the_template_and_the_renderer_agree_on_generated_conversations():
    runtime, checked = exported(), 0
    for turns in conversations():
        for answer in (True, False):
            text = render_jinja(CHAT_TEMPLATE_JINJA, turns, answer)
            ids = runtime.encode(text, add_special_tokens=False).ids
            assert ids == render(turns, TOK, add_generation_prompt=answer).ids
            checked += 1
            bare = render_jinja(template_without_bos(), turns, answer)
            assert BOS + bare == text and runtime.encode(bare).ids == ids
    assert checked >= 400


def test_an_unknown_role_is_refused_by_the_template_too():
    def refuse(message: str) -> None:
        raise ValueError(message)

    environment = jinja2.Environment()
    environment.globals["raise_exception"] = refuse
    with pytest.raises(ValueError, match="unknown role wizard"):
        environment.from_string(CHAT_TEMPLATE_JINJA).render(messages=[{"role": "wizard", "content": "x"}])


def test_the_configuration_is_one_that_both_generations_load():
    found = tokenizer_config(96)
    assert found["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert found["clean_up_tokenization_spaces"] is False and found["model_max_length"] == 96
    assert found["chat_template"] == CHAT_TEMPLATE_JINJA and found["bos_token"] == BOS
    assert expected_chat(TOK, (Turn("user", "x"),))[0] == TOK.bos
