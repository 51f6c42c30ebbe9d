"""Our model as lm-eval sees one. Contexts are split from continuations, and texts into windows, by lm-eval's own code.

Nothing here uses the scorer that it is compared with: plain forwards without padding, segments or a cache, items of the
same length together. Suffixes: B rows, T tokens, V vocab.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch

from picochat.core.errors import refuse
from picochat.evals.harness.library import Library
from picochat.inference.loader import LoadedModel
from picochat.inference.sampling import SamplingParams, stream
from picochat.inference.scoring import evaluating
from picochat.tokenizer.tokenizer import Tokenizer

BATCH_TOKENS = 1024
MAX_NEW_TOKENS = 256
Scored = tuple[list[int], list[int]]
"""Ids of a context and of what follows it."""


def build_lm(library: Library, loaded: LoadedModel, tokenizer: Tokenizer) -> Any:
    """An lm-eval `TemplateLM`. A text begins with BOS, as in training; an item that does not fit is refused, never cut.

    Its methods raise `eval.too_long`.
    """
    base: Any = library.base
    context_tokens = loaded.model.config.max_seq_len

    class PicochatLM(base):
        """The three kinds of requests that lm-eval makes, and the tokenizer behind two of them."""

        max_length = context_tokens

        @property
        def eot_token_id(self) -> int:
            return tokenizer.eos

        @property
        def prefix_token_id(self) -> int:
            return tokenizer.bos

        def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
            ids = tokenizer.encode(string)
            return ids if add_special_tokens is False else [tokenizer.bos, *ids]

        def encode_request(self, context: str, continuation: str) -> Scored:
            """As `loglikelihood` encodes it: an empty context is BOS alone."""
            if not context:
                return [self.prefix_token_id], self.tok_encode(continuation, add_special_tokens=False)
            return self._encode_pair(context, continuation)

        def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
            return super().loglikelihood(requests, disable_tqdm=disable_tqdm)

        def _loglikelihood_tokens(self, requests: Sequence[Any], **_: Any) -> list[tuple[float, bool]]:
            return score_ids(loaded, [(context, rest) for _, context, rest in requests])

        def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[float]:
            windows = [self.windows(request.args[0]) for request in requests]
            found = iter(score_ids(loaded, [window for group in windows for window in group]))
            return [sum(next(found)[0] for _ in group) for group in windows]

        def windows(self, text: str) -> list[Scored]:
            """Every token once. A later window sees one token of the one before: a validation looks back no further,
            where lm-eval's own models let the last window look back over a whole context."""
            ids = self.tok_encode(text, add_special_tokens=False)
            rolling = library.rolling_windows(
                token_list=ids, prefix_token=self.prefix_token_id, max_seq_len=context_tokens, context_len=1
            )
            return [(context[-1:], rest) for context, rest in map(library.disjoint, rolling)]

        def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[str]:
            return [continue_text(loaded, tokenizer, *request.args) for request in requests]

    return PicochatLM()


@torch.no_grad()
def score_ids(loaded: LoadedModel, items: Sequence[Scored]) -> list[tuple[float, bool]]:
    """For each item the nats of what follows (a sum, at most 0), and whether a greedy model would say it.

    Raises `eval.too_long`.
    """
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, (context, rest) in enumerate(items):
        by_length[len(context) + len(rest) - 1].append(index)
    if by_length and max(by_length) > (limit := loaded.model.config.max_seq_len):
        refuse("eval.too_long", f"a text of {max(by_length):,} tokens is longer than the context of {limit:,}")
    found: dict[int, tuple[float, bool]] = {}
    with evaluating(loaded.model):
        for length, indices in sorted(by_length.items()):
            size = max(1, BATCH_TOKENS // max(1, length))
            for begin in range(0, len(indices), size):
                chosen = indices[begin : begin + size]
                found |= dict(zip(chosen, _score_equal(loaded, [items[i] for i in chosen]), strict=True))
    return [found[index] for index in range(len(items))]


def _score_equal(loaded: LoadedModel, items: Sequence[Scored]) -> list[tuple[float, bool]]:
    """Items of one length."""
    model = loaded.model
    ids_BT = torch.tensor([[*context, *rest] for context, rest in items], device=model.head_weight.device)
    with loaded.autocast():
        logits_BTV = model.logits(model(ids_BT[:, :-1]))
    logs_BTV = logits_BTV.float().log_softmax(-1)
    scores = []
    for row, (context, _) in enumerate(items):
        logs_TV, targets_T = logs_BTV[row, len(context) - 1 :], ids_BT[row, len(context) :]
        nats = logs_TV.gather(1, targets_T.unsqueeze(1)).double().sum()
        scores.append((float(nats), bool((logs_TV.argmax(1) == targets_T).all())))
    return scores


def continue_text(loaded: LoadedModel, tokenizer: Tokenizer, prompt: str, settings: dict[str, Any]) -> str:
    """What follows a prompt, up to the first of the strings in `until`, EOS, or the limit of tokens.

    A prompt that leaves no room for the limit loses its beginning, as with lm-eval's own models.
    """
    until = settings.get("until") or []
    stops = [until] if isinstance(until, str) else [text for text in until if text]
    context = loaded.model.config.max_seq_len
    limit = min(int(settings.get("max_gen_toks", MAX_NEW_TOKENS)), context - 1)
    temperature = float(settings.get("temperature", 0.0)) if settings.get("do_sample") else 0.0
    ids = [tokenizer.bos, *tokenizer.encode(prompt)][-(context - limit) :]
    params = SamplingParams(temperature=temperature, max_new_tokens=limit)
    made: list[int] = []
    text = ""
    for token in stream(loaded.model, ids, params, {tokenizer.eos}, loaded.autocast):
        made.append(token)
        text = tokenizer.decode(made, skip_special=True)
        if any(stop in text for stop in stops):
            break
    return text[: min((text.find(stop) for stop in stops if stop in text), default=len(text))]
