"""Any value in any place of the small files: read or refused, never a crash."""

import json
from typing import Any

import pytest
from tests.support.foreign_models import N_TOKENS, model_config, tokenizer_config, tokenizer_document

from picochat.core.errors import PicochatError
from picochat.model.hf_config import config_from_hf
from picochat.tokenizer.foreign.settings import Documents, choose_template, named_ends, named_tokens, resolve
from picochat.tokenizer.foreign.vocabulary import read_vocabulary

VALUES: list[Any] = [None, True, 0, -1, 1.5, 10**40, "", "x", "\ud800", [], [[]], [{}], {}, {"type": []}, {"a": [1]}]
CONFIG_KEYS = (*model_config(), "rope_scaling", "rope_parameters", "layer_types", "sliding_window", "head_dim", "x")
TOKENIZER_KEYS = (*tokenizer_document(), "x")
SETTING_KEYS = (*tokenizer_config(chat_template=None), "add_bos_token", "eos_token_id")


def spoilt(document: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    if len(path) == 1:
        return document | {path[0]: value}
    return document | {path[0]: spoilt(document[path[0]], path[1:], value)}


def read_or_refuse(read) -> None:
    try:
        read()
    except PicochatError as err:
        assert err.exit_code in (2, 4), err


@pytest.mark.parametrize("key", CONFIG_KEYS)
def test_config(key):
    for value in VALUES:
        read_or_refuse(lambda v=value: config_from_hf(model_config(**{key: v}), "config.json", 8))
    for inner in ("rope_theta", "rope_type", "type", "partial_rotary_factor", "factor"):
        for value in VALUES:
            changes = {"rope_parameters": {inner: value}}
            read_or_refuse(lambda c=changes: config_from_hf(model_config(**c), "config.json", 8))


PATHS = [(key,) for key in TOKENIZER_KEYS] + [("model", key) for key in tokenizer_document()["model"]]


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_tokenizer(path):
    for value in VALUES:
        data = json.dumps(spoilt(tokenizer_document(), path, value)).encode()
        read_or_refuse(lambda d=data: read_vocabulary(d, "tokenizer.json", N_TOKENS, (), ""))


@pytest.mark.parametrize("field", ["id", "content", "special", "lstrip", "normalized"])
def test_added_tokens(field):
    for value in VALUES:
        added = tokenizer_document()["added_tokens"]
        data = json.dumps(tokenizer_document(added_tokens=[added[0] | {field: value}, *added[1:]])).encode()
        read_or_refuse(lambda d=data: read_vocabulary(d, "tokenizer.json", N_TOKENS, ("<|im_end|>",), "<think>"))


@pytest.mark.parametrize("key", SETTING_KEYS)
def test_settings(key):
    data = json.dumps(tokenizer_document()).encode()

    def read(value: Any) -> None:
        changes = {"chat_template": None} | ({key: value} if key != "eos_token_id" else {})
        documents = Documents(
            {}, tokenizer_config(**changes), {"eos_token_id": value} if key == "eos_token_id" else {}, None
        )
        template = choose_template(documents)
        named = (*named_tokens(documents.tokenizer_config).values(), *named_ends(documents, N_TOKENS))
        resolve(read_vocabulary(data, "tokenizer.json", N_TOKENS, named, template or ""), documents, None)

    for value in VALUES:
        read_or_refuse(lambda v=value: read(v))
