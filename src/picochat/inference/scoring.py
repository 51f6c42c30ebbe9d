"""How likely a model finds tokens it is given: validation documents, and continuations of prompts.

    documents -> ValidationSet -> score_validation -> loss and bits a byte, each with its standard error
    (prompt, continuation) ids -> score_texts -> log-likelihood of each continuation

Suffixes: B rows, T tokens, N targets, C targets of a chunk, D dim, V vocab.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from picochat.core.errors import refuse
from picochat.data.rows import IGNORE, PackedRows
from picochat.distributed.world import SoloWorld, World, share_out
from picochat.model.transformer import Transformer

CHUNK_TARGETS = 4096
BATCH_TOKENS = 4096
Autocast = Callable[[], AbstractContextManager]
Item = tuple[Sequence[int], Sequence[int]]
"""Ids of a prompt, at least one, and of its continuation."""


class ValidationSet:
    """Whole documents in non-overlapping windows, packed best-fit into rows; a window sees only itself.

    Every token after a document's BOS is a target exactly once, so the set gives the same number for any batch size.
    """

    def __init__(
        self,
        documents: Sequence[Sequence[int] | NDArray[np.integer]],
        *,
        row_tokens: int,
        pad: int,
        token_bytes: NDArray[np.integer],
    ) -> None:
        """`documents` are ids `<bos> text <eos>`; `token_bytes` [V] gives the text bytes of an id, 0 for specials.

        Raises `data.no_val` when no document has a target.
        """
        self.token_bytes = np.asarray(token_bytes, np.int64)
        windows = [(number, part) for number, ids in enumerate(documents) for part in _iter_windows(ids, row_tokens)]
        if not windows:
            refuse("data.no_val", f"{len(documents):,} validation documents hold 0 tokens to predict")
        items = [(part, [True] * len(part)) for _, part in windows]
        self.rows = PackedRows(items, [number for number, _ in windows], row_tokens, pad)
        self.num_documents = len(documents)


@dataclass(frozen=True)
class ValidationResult:
    """`loss` is nats a target over all targets, `bpb` bits a byte over the targets that have bytes.

    `loss_se` and `bpb_se` are standard errors of these ratios over documents.
    """

    loss: float
    loss_se: float
    bpb: float
    bpb_se: float
    tokens: int
    bytes: int
    documents: int


def score_validation(
    model: nn.Module,
    val: ValidationSet,
    batch_size: int,
    autocast: Autocast = nullcontext,
    world: World | None = None,
    in_step: bool = False,
) -> ValidationResult:
    """Scores the whole set with `model` in eval mode, `batch_size` rows at a time; the model's mode is put back.

    Every batch has the same shape, so a compiled model is compiled once. Ranks share the batches; each is the same
    whoever computes it, and the sums are made in one order, so the result does not depend on the number of ranks.
    `in_step` when a forward is collective (see `share_out`).
    """
    assert isinstance(model, Transformer)
    sums = _DocumentSums(val.num_documents)
    size = min(batch_size, len(val.rows))

    def score(begin: int) -> bytes:
        rows = np.arange(begin, min(begin + size, len(val.rows)))
        filled = np.concatenate([rows, np.full(size - len(rows), rows[-1])])
        return _row_nats(model, val, filled, autocast)[: len(rows)].tobytes()

    begins = range(0, len(val.rows), size)
    with evaluating(model):
        for begin, nats in zip(begins, share_out(world or SoloWorld(), begins, score, in_step=in_step), strict=True):
            rows = np.arange(begin, min(begin + size, len(val.rows)))
            sums.add(val, rows, np.frombuffer(nats).reshape(len(rows), -1))
    return sums.result()


def score_texts(
    model: Transformer,
    items: Sequence[Item],
    *,
    batch_tokens: int = BATCH_TOKENS,
    autocast: Autocast = nullcontext,
    world: World | None = None,
) -> list[float]:
    """Log-likelihood in nats of each continuation after its prompt: the sum over its tokens, in the order given.

    Items of like length share a batch of at most `batch_tokens` tokens with the padding on the right, where a causal
    model cannot see it. Ranks share the batches. Raises `eval.too_long` for an item that does not fit into the model's
    context.
    """
    lengths = [require_fitting(model, item) for item in items]
    order = sorted(range(len(items)), key=lambda index: (lengths[index], index))
    batches = list(iter_batches(order, lengths, batch_tokens))

    def score(batch: list[int]) -> bytes:
        return np.array(_score_batch(model, [items[i] for i in batch], autocast)).tobytes()

    scores = [0.0] * len(items)
    with evaluating(model):
        for batch, found in zip(batches, share_out(world or SoloWorld(), batches, score), strict=True):
            for index, value in zip(batch, np.frombuffer(found).tolist(), strict=True):
                scores[index] = value
    return scores


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """No gradients and eval mode inside; the mode that was there before comes back."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def token_nats(model: Transformer, hidden_ND: Tensor, targets_N: Tensor, chunk: int = CHUNK_TARGETS) -> Tensor:
    """Cross-entropy of each target in nats, float32 (N,); at most `chunk` x V scores stand in memory."""
    parts = []
    for hidden_CD, targets_C in zip(hidden_ND.split(chunk), targets_N.split(chunk), strict=True):
        logits_CV = model.logits(hidden_CD).float()
        parts.append(logits_CV.logsumexp(1) - logits_CV.gather(1, targets_C.unsqueeze(1)).squeeze(1))
    return torch.cat(parts) if parts else hidden_ND.new_zeros(0, dtype=torch.float32)


class _DocumentSums:
    """Nats, targets and bytes a document, in float64 and in a fixed order."""

    def __init__(self, num_documents: int) -> None:
        self._nats, self._text_nats, self._targets, self._bytes = np.zeros((4, num_documents))

    def add(self, val: ValidationSet, rows: NDArray[np.int64], nats_BT: NDArray[np.float64]) -> None:
        block = val.rows.take(rows)
        counted = block.targets != IGNORE
        documents = np.repeat(block.spans[:, 0], block.spans[:, 2])
        sizes = val.token_bytes[block.targets[counted]]
        nats = nats_BT[counted]
        np.add.at(self._nats, documents, nats)
        np.add.at(self._text_nats, documents, nats * (sizes > 0))
        np.add.at(self._targets, documents, 1)
        np.add.at(self._bytes, documents, sizes)

    def result(self) -> ValidationResult:
        loss, loss_se = _ratio(self._nats, self._targets)
        nats_per_byte, nats_per_byte_se = _ratio(self._text_nats, self._bytes)
        return ValidationResult(
            loss=loss,
            loss_se=loss_se,
            bpb=nats_per_byte / math.log(2),
            bpb_se=nats_per_byte_se / math.log(2),
            tokens=int(self._targets.sum()),
            bytes=int(self._bytes.sum()),
            documents=int((self._targets > 0).sum()),
        )


def _ratio(tops: NDArray[np.float64], bottoms: NDArray[np.float64]) -> tuple[float, float]:
    """Sum over sum, and its standard error with documents as the units (Cochran 1977, Sampling Techniques, 2.11)."""
    used = bottoms > 0
    tops, bottoms, count = tops[used], bottoms[used], int(used.sum())
    if count == 0:
        return 0.0, 0.0
    ratio = float(tops.sum() / bottoms.sum())
    squares = float(np.square(tops - ratio * bottoms).sum())
    return ratio, math.sqrt(squares * count / max(1, count - 1)) / float(bottoms.sum())


def _iter_windows(
    ids: Sequence[int] | NDArray[np.integer], row_tokens: int
) -> Iterator[Sequence[int] | NDArray[np.integer]]:
    for begin in range(0, len(ids) - 1, row_tokens):
        yield ids[begin : begin + row_tokens + 1]


def _row_nats(
    model: Transformer, val: ValidationSet, rows: NDArray[np.int64], autocast: Autocast
) -> NDArray[np.float64]:
    """Nats of every target of some rows (B, T), 0 where there is none."""
    block = val.rows.take(rows)
    device = model.head_weight.device
    tokens_BT, targets_BT, segments_BT = (
        torch.from_numpy(table).to(device) for table in (block.tokens, block.targets, block.segments)
    )
    kept_BT = targets_BT != IGNORE
    with autocast():
        hidden_BTD = model(tokens_BT, segments_BT=segments_BT)
        nats_N = token_nats(model, hidden_BTD[kept_BT], targets_BT[kept_BT])
    nats_BT = torch.zeros(targets_BT.shape, device=device)
    nats_BT[kept_BT] = nats_N
    return nats_BT.double().cpu().numpy()


def require_fitting(model: Transformer, item: Item) -> int:
    """The tokens that the model is given for an item. Raises `eval.too_long` when they are too many."""
    prompt, continuation = item
    if not prompt:
        raise ValueError("a prompt needs at least one id: the first token of a text has no likelihood of its own")
    length = len(prompt) + len(continuation) - 1
    if length > model.config.max_seq_len:
        refuse(
            "eval.too_long", f"a text of {length:,} tokens is longer than the context of {model.config.max_seq_len:,}"
        )
    return length


def iter_batches(order: Sequence[int], lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Runs of `order`, which goes from short to long, each at most `batch_tokens` with its padding."""
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * lengths[index] > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def pad_batch(items: Sequence[Item], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens and targets (B, T) of some items, padded on the right, and which targets belong to a continuation."""
    width = max(len(prompt) + len(continuation) - 1 for prompt, continuation in items)
    tokens = np.zeros((len(items), width), np.int64)
    targets = np.full((len(items), width), IGNORE, np.int64)
    for row, (prompt, continuation) in enumerate(items):
        ids, begin = [*prompt, *continuation], len(prompt) - 1
        tokens[row, : len(ids) - 1] = ids[:-1]
        targets[row, begin : len(ids) - 1] = continuation
    tokens_BT, targets_BT = torch.from_numpy(tokens).to(device), torch.from_numpy(targets).to(device)
    return tokens_BT, targets_BT, targets_BT != IGNORE


def _score_batch(model: Transformer, items: Sequence[Item], autocast: Autocast) -> list[float]:
    tokens_BT, targets_BT, kept_BT = pad_batch(items, model.head_weight.device)
    with autocast():
        nats_N = token_nats(model, model(tokens_BT)[kept_BT], targets_BT[kept_BT])
    rows_N = kept_BT.nonzero()[:, 0].cpu()
    sums_B = torch.zeros(len(items), dtype=torch.float64).index_add_(0, rows_N, nats_N.double().cpu())
    return [-value for value in sums_B.tolist()]
