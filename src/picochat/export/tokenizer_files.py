"""A run's tokenizer for other runtimes: the same ids, and BOS added once, by whoever it is that encodes a text."""

from __future__ import annotations

from typing import Any

import tokenizers
from tokenizers import processors

from picochat.tokenizer.chat import CHAT_TEMPLATE_JINJA
from picochat.tokenizer.special import BOS, EOS, PAD
from picochat.tokenizer.tokenizer import Tokenizer

_BOS_IN_TEMPLATE = "{{ '" + BOS + "' }}"


def tokenizer_json(data: bytes, tok: Tokenizer) -> bytes:
    """The run's `tokenizer.json` with a post-processor that puts BOS before a text, and nothing else changed."""
    runtime = tokenizers.Tokenizer.from_str(data.decode())
    runtime.post_processor = processors.TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        single=f"{BOS} $A", pair=f"{BOS} $A $B:1", special_tokens=[(BOS, tok.bos)]
    )
    return (runtime.to_str(pretty=True) + "\n").encode()


def tokenizer_config(max_seq_len: int) -> dict[str, Any]:
    """tokenizer_config.json. The class is the one that transformers 4 and 5 both know."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "clean_up_tokenization_spaces": False,
        "model_max_length": max_seq_len,
        "chat_template": CHAT_TEMPLATE_JINJA,
    }


def template_without_bos() -> str:
    """The chat template for a runtime that adds BOS to every text by itself."""
    assert CHAT_TEMPLATE_JINJA.startswith(_BOS_IN_TEMPLATE)
    return CHAT_TEMPLATE_JINJA.removeprefix(_BOS_IN_TEMPLATE)
