"""Proofs on the rows that training draws: documents do not see each other, and targets are what they should be.

Where a document begins is found again from its BOS, not taken from the segments that are being judged.
Suffixes: B rows, T tokens, V vocab.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from picochat.artifacts.checks import CheckResult
from picochat.data.batches import Batch
from picochat.data.order import SampleOrder
from picochat.data.rows import CONVERSATION_BASE, IGNORE, RowSource
from picochat.inference.scoring import evaluating
from picochat.model.transformer import Transformer
from picochat.stages.sanity.building import Workplace, build_stream
from picochat.stages.sanity.material import Material
from picochat.stages.sanity.verdicts import fail, judge, not_run
from picochat.tokenizer.special import N_SPECIAL
from picochat.tokenizer.tokenizer import Tokenizer


def prove_boundaries(place: Workplace) -> list[CheckResult]:
    """Documents are changed, and the logits of all others compared; targets are compared with the next token."""
    batches = list(draw_batches(place))
    tok = place.material.tokenizer
    wrong = sum(count_foreign_targets(batch, tok) for batch in batches)
    targets = judge("sanity.document_targets", wrong, 0, sum(batch.num_targets for batch in batches))
    return [prove_mask(place, batches), targets]


def draw_batches(place: Workplace) -> Iterator[Batch]:
    """One step of document rows, and one of packed conversations where there are some."""
    config, material = place.material.config, place.material
    sources: list[RowSource] = [material.windows()]
    if material.conversations:
        sources.append(material.packed())
    for rows in sources:
        order = SampleOrder(max(1, len(rows)), config.seed).samples_at
        yield from build_stream(place, rows, order, micro_batches=2, micro_batch_size=config.rows // 2).draw_step()


def prove_mask(place: Workplace, batches: list[Batch]) -> CheckResult:
    """The largest change of a logit outside of the documents that were changed; 0 is asked for."""
    if not place.material.config.loop.document_mask:
        return not_run("sanity.document_mask", "loop.document_mask is off: documents in a row see each other")
    model, tok = place.material.build_model(place.machine.world.device), place.material.tokenizer
    outside, inside, compared = 0.0, float("inf"), 0
    with evaluating(model):
        for batch in batches:
            documents_BT = find_documents(batch.tokens_BT, tok)
            logits_BTV = read_logits(model, batch, batch.tokens_BT)
            for chosen_BT in choose_documents(documents_BT):
                replaced_BT, seen_BT = choose_tokens(batch.tokens_BT, documents_BT, chosen_BT, tok)
                tokens_BT = torch.where(
                    replaced_BT, (batch.tokens_BT + 1) % (tok.vocab_size - N_SPECIAL), batch.tokens_BT
                )
                moved_BT = (read_logits(model, batch, tokens_BT) - logits_BTV).abs().amax(2)
                outside = max(outside, float(moved_BT[~chosen_BT].max()))
                inside = min(inside, float(moved_BT[seen_BT].max())) if seen_BT.any() else inside
                compared += int((~chosen_BT).sum())
    if not compared:
        return not_run("sanity.document_mask", "no row that was drawn holds two documents")
    if inside == 0:
        return fail("sanity.document_mask", "a change of a document moves no logit of its own")
    return judge("sanity.document_mask", outside, 0, compared)


def find_documents(tokens_BT: Tensor, tok: Tokenizer) -> Tensor:
    """A number for each token's document, counted from 1 by the BOS before it; 0 for padding and a torn beginning."""
    return (tokens_BT == tok.bos).cumsum(1) * (tokens_BT != tok.pad)


def choose_documents(documents_BT: Tensor) -> Iterator[Tensor]:
    """Which documents to change: every second one, the others, and the first alone."""
    for chosen_BT in (documents_BT % 2 == 1, (documents_BT % 2 == 0) & (documents_BT > 0), documents_BT == 1):
        if chosen_BT.any() and not chosen_BT.all():
            yield chosen_BT


def choose_tokens(tokens_BT: Tensor, documents_BT: Tensor, chosen_BT: Tensor, tok: Tokenizer) -> tuple[Tensor, Tensor]:
    """Which tokens to replace, and at which a change must be seen: the last one of a chosen document stays.

    At a token that stays, a logit moves through attention alone: this shows that there is something to see.
    """
    last_BT = torch.ones_like(chosen_BT)
    last_BT[:, :-1] = documents_BT[:, 1:] != documents_BT[:, :-1]
    replaced_BT = chosen_BT & ~last_BT & (tokens_BT != tok.bos)
    return replaced_BT, last_BT & chosen_BT & replaced_BT.roll(1, 1)


def read_logits(model: Transformer, batch: Batch, tokens_BT: Tensor) -> Tensor:
    """Logits (B, T, V) of other tokens in the place of the batch's own, as training would see them."""
    return model.logits(model(tokens_BT, segments_BT=batch.segments_BT, positions_BT=batch.positions_BT))


def count_foreign_targets(batch: Batch, tok: Tokenizer) -> int:
    """Targets that are not what follows in their own document or conversation.

    After EOS stands the BOS of whatever document comes next, the same for all; a conversation ends with its END.
    """
    tokens, targets = batch.tokens_BT.cpu().numpy(), batch.targets_BT.cpu().numpy()
    # What follows the last token of a row does not stand in the row, so that token has only the rules of ends.
    following = np.concatenate([tokens[:, 1:], targets[:, -1:]], axis=1)
    expected = np.where(np.isin(following, (tok.bos, tok.pad)), tok.end, following)
    expected[:, -1] = following[:, -1]
    expected[tokens == tok.eos] = tok.bos
    expected[tokens == tok.pad] = IGNORE
    return int(((targets != expected) & (targets != IGNORE)).sum())


def prove_chat_mask(place: Workplace) -> CheckResult:
    """Targets are decoded and compared with what the assistant says; counts conversations that differ."""
    material = place.material
    if not material.conversations:
        return not_run("sanity.chat_mask", "the run has no chat rows that fit into a row")
    packed = material.packed()
    wrong = messages = 0
    for row in range(len(packed)):
        block = packed.take(np.array([row]))
        for place_T, conversation in conversations_of(block.tokens[0], block.spans, material):
            expected = [turn.content for turn in conversation if turn.role == "assistant" and turn.weight]
            wrong += decode_targets(block.targets[0][place_T], material.tokenizer) != expected
            messages += len(expected)
        wrong += bool((block.targets[0][block.tokens[0] == material.tokenizer.pad] != IGNORE).any())
    return judge("sanity.chat_mask", wrong, 0, messages)


def conversations_of(
    tokens_T: NDArray[np.int64], spans: NDArray[np.int64], material: Material
) -> Iterator[tuple[slice, list]]:
    """Where each conversation of a row stands, by its BOS, with its messages."""
    starts = np.flatnonzero(tokens_T == material.tokenizer.bos)
    ends = [*starts[1:], len(tokens_T)]
    for start, end, number in zip(starts, ends, spans[:, 0], strict=True):
        yield slice(start, end), material.conversations[int(number) - CONVERSATION_BASE].messages


def decode_targets(targets_T: NDArray[np.int64], tok: Tokenizer) -> list[str]:
    """The texts that a piece of a row trains on, each up to its end token; what has none shows that."""
    texts, ids = [], []
    for target in targets_T[targets_T != IGNORE].tolist():
        if target == tok.end:
            texts.append(tok.decode(ids))
            ids = []
        else:
            ids.append(target)
    return [*texts, f"{tok.decode(ids)} without an end"] if ids else texts
