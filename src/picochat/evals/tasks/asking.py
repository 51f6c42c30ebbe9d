"""Items put to a model, one row each: everything that the numbers need, so that no model is needed again.

The model is whatever follows `Scorer`; nothing here knows how it computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from picochat.core.errors import refuse
from picochat.evals.tasks.base import BenchmarkFacts
from picochat.evals.tasks.encoding import Encoded, Encoder, Pair, encode_item
from picochat.evals.tasks.items import TaskItem
from picochat.evals.tasks.verdicts import is_passed

CHUNK_ITEMS = 256
Rows = list[dict[str, Any]]


class Forced(NamedTuple):
    """A continuation that was given: its log-likelihood in nats, and the likeliest id at each of its places."""

    logprob: float
    predicted: list[int]


class Written(NamedTuple):
    """A continuation that was made, greedily; `finished` is False when a limit of tokens ended it."""

    text: str
    finished: bool


class Scorer(Encoder, Protocol):
    """A model that can be asked."""

    @property
    def reply_tokens(self) -> int: ...

    def logprobs(self, pairs: Sequence[Pair]) -> Sequence[float]: ...

    def force(self, pairs: Sequence[Pair]) -> Sequence[Forced]: ...

    def write(self, prompts: Sequence[list[int]]) -> Sequence[Written]: ...


def ask_items(
    items: Sequence[TaskItem], facts: BenchmarkFacts, scorer: Scorer, on_done: Callable[[int], None] = lambda done: None
) -> Rows:
    """One row an item, in order. Raises `eval.not_finite` for a log-likelihood that is no number."""
    rows: Rows = []
    sizes: dict[str, int] = {}
    for begin in range(0, len(items), CHUNK_ITEMS):
        rows += _ask_chunk(items[begin : begin + CHUNK_ITEMS], facts, scorer, sizes)
        on_done(len(rows))
    return rows


def _ask_chunk(items: Sequence[TaskItem], facts: BenchmarkFacts, scorer: Scorer, sizes: dict[str, int]) -> Rows:
    reserve = min(scorer.reply_tokens, scorer.context_tokens // 2)
    encoded = [encode_item(item, scorer, reserve if item.kind == "generate" else 0, sizes) for item in items]
    found: dict[str, dict[str, Any]] = {}
    for kinds, ask in ((("choice", "schema"), _ask_options), (("cloze",), _ask_cloze), (("generate",), _ask_reply)):
        chosen = [(item, ids) for item, ids in zip(items, encoded, strict=True) if item.kind in kinds]
        found |= {item.id: row for (item, _), row in zip(chosen, ask(chosen, scorer), strict=True)}
    rows = [_common(item, ids) | found[item.id] for item, ids in zip(items, encoded, strict=True)]
    return [row | {"passed": is_passed(row, facts.score)} for row in rows]


def _common(item: TaskItem, encoded: Encoded) -> dict[str, Any]:
    return {
        "id": item.id,
        "group": item.group,
        "kind": item.kind,
        "question": item.question,
        "answers": list(item.answers),
        "shots": len(item.examples),
        "shots_dropped": encoded.dropped,
        "cut_tokens": encoded.cut,
        "fits": bool(encoded.pairs),
    }


Asked = Sequence[tuple[TaskItem, Encoded]]


def _ask_options(asked: Asked, scorer: Scorer) -> list[dict[str, Any]]:
    """An item with an option that does not fit has no scores, and fails."""
    pairs = [pair for _, encoded in asked for pair in encoded.pairs]
    found = scorer.logprobs(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"{len(found)} log-likelihoods for {len(pairs)} continuations")
    values = iter(found)
    rows = []
    for item, encoded in asked:
        texts = [option.text for option in item.options]
        first = item.options[0]
        chosen = item.kind == "choice"
        prompt = {"prompt": first.context} if chosen else {"continuation": first.continuation}
        counted = texts if chosen else [first.continuation.strip()] * len(texts)
        scores = [
            _option_score(item, text, len(continuation), float(next(values)))
            for text, (_, continuation) in zip(counted, encoded.pairs, strict=False)
        ]
        rows.append({**prompt, "options": texts, "answer": item.answer, "scores": scores or None})
    return rows


def _option_score(item: TaskItem, text: str, tokens: int, logprob: float) -> dict[str, Any]:
    if not math.isfinite(logprob):
        refuse("eval.not_finite", f"{item.id}: log-likelihood of {text!r} is {logprob}")
    return {"raw": logprob, "per_byte": logprob / len(text.encode()), "tokens": tokens}


def _ask_cloze(asked: Asked, scorer: Scorer) -> list[dict[str, Any]]:
    forced = iter(scorer.force([pair for _, encoded in asked for pair in encoded.pairs]))
    rows = []
    for item, encoded in asked:
        option = item.options[0]
        found = next(forced) if encoded.pairs else Forced(0.0, [])
        if not math.isfinite(found.logprob):
            refuse("eval.not_finite", f"{item.id}: log-likelihood of {option.text!r} is {found.logprob}")
        wanted = list(encoded.pairs[0][1]) if encoded.pairs else []
        row = {"prompt": option.context, "continuation": option.continuation, "wanted": wanted}
        rows.append(row | {"predicted": list(found.predicted), "logprob": found.logprob if encoded.pairs else None})
    return rows


def _ask_reply(asked: Asked, scorer: Scorer) -> list[dict[str, Any]]:
    written = iter(scorer.write([encoded.pairs[0][0] for _, encoded in asked if encoded.pairs]))
    rows = []
    for item, encoded in asked:
        reply = next(written) if encoded.pairs else Written("", False)
        row = {"prompt": item.options[0].context, "expected": item.expected}
        rows.append(row | {"reply": reply.text, "finished": reply.finished})
    return rows
