"""Our own scores of a cross-check's items, by the functions that evals, benchmarks and validation use."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from picochat.core.errors import refuse
from picochat.evals.harness.tasks import ChoiceItem, HarnessTask, TextItem
from picochat.inference.scoring import Item, ValidationSet, score_texts, score_validation
from picochat.stages.subject import Subject
from picochat.tokenizer.tokenizer import Tokenizer

VALIDATION_ROWS = 8
Told = Callable[[int], None]
"""Is told how many items are done."""


def encode_option(tok: Tokenizer, item: ChoiceItem, option: str) -> Item:
    """Prompt and option are encoded together; the continuation begins where the ids first differ from the prompt's."""
    prompt = [tok.bos, *tok.encode(item.prompt)]
    whole = [tok.bos, *tok.encode(item.prompt + item.delimiter + option)]
    begin = next((i for i, pair in enumerate(zip(prompt, whole, strict=False)) if pair[0] != pair[1]), len(prompt))
    return whole[:begin], whole[begin:]


def leave_out_long(task: HarnessTask, tok: Tokenizer, context_tokens: int) -> tuple[HarnessTask, list[str]]:
    """The task without the choice items that do not fit into the context, and their ids.

    lm-eval's own models would cut the beginning of such a prompt, and score another question than the one asked.
    Raises `eval.too_long` when no item fits.
    """
    fits = [not isinstance(item, ChoiceItem) or _fits(tok, item, context_tokens) for item in task.items]
    left_out = [item.id for item, fit in zip(task.items, fits, strict=True) if not fit]
    if left_out and not any(fits):
        refuse("eval.too_long", f"none of {len(fits):,} items fits into the context of {context_tokens:,} tokens")
    return task.kept(fits), left_out


def _fits(tok: Tokenizer, item: ChoiceItem, context_tokens: int) -> bool:
    encoded = (encode_option(tok, item, option) for option in item.options)
    return all(len(prompt) + len(rest) - 1 <= context_tokens for prompt, rest in encoded)


def score_own(subject: Subject, task: HarnessTask, told: Told) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Our half of every row, and what we compute over all of them together."""
    choices = [item for item in task.items if isinstance(item, ChoiceItem)]
    if choices:
        return _score_choices(subject, choices), {}
    texts = [item for item in task.items if isinstance(item, TextItem)]
    return _score_documents(subject, texts, told)


def _score_choices(subject: Subject, items: Sequence[ChoiceItem]) -> list[dict[str, Any]]:
    encoded = [[encode_option(subject.tokenizer, item, option) for option in item.options] for item in items]
    flat = [pair for group in encoded for pair in group]
    scores = iter(score_texts(subject.loaded.model, flat, autocast=subject.loaded.autocast, world=subject.world))
    return [
        {
            "id": item.id,
            "kind": "choice",
            "prompt": item.prompt,
            "options": list(item.options),
            "answer": item.answer,
            "ours": [next(scores) for _ in group],
            "our_tokens": [len(rest) for _, rest in group],
        }
        for item, group in zip(items, encoded, strict=True)
    ]


def _score_documents(
    subject: Subject, items: Sequence[TextItem], told: Told
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Each document as a validation of its own, and the validation of them all."""
    tok = subject.tokenizer
    documents = [[tok.bos, *tok.encode(item.text), tok.eos] for item in items]
    rows = []
    for number, (item, ids) in enumerate(zip(items, documents, strict=True), 1):
        found = _validate(subject, [ids])
        rows.append(
            {
                "id": item.id,
                "kind": "text",
                "bytes": found.bytes,
                "words": len(re.split(r"\s+", item.text)),
                "ours": [-found.bpb * found.bytes * math.log(2)],
                "our_tokens": [len(ids) - 2],
            }
        )
        told(number)
    return rows, {"bits_per_byte": _validate(subject, documents).bpb}


def _validate(subject: Subject, documents: list[list[int]]) -> Any:
    model, tok = subject.loaded.model, subject.tokenizer
    val = ValidationSet(documents, row_tokens=model.config.max_seq_len, pad=tok.pad, token_bytes=tok.token_bytes)
    return score_validation(model, val, VALIDATION_ROWS, subject.loaded.autocast, subject.world)
