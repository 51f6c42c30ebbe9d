"""The proof that an exported file is the model: comparisons, controls that must be noticed, digests.

The weights come first. Where they do not tell (they repeat themselves, or a mistake goes unnoticed in them), a random
model of their shape is written by the same code and compared too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from picochat.checkpoint.tensors import weights_digest
from picochat.export.parity.compare import Difference
from picochat.export.parity.controls import build_controls
from picochat.export.parity.paths import REPEATED, GreedyPath, count_distinct, path_logits, walk
from picochat.export.parity.report import Comparison, Control, Subject
from picochat.export.parity.stand_in import build_stand_in
from picochat.model.transformer import Transformer
from picochat.tokenizer.special import N_SPECIAL
from picochat.tokenizer.tokenizer import Tokenizer

Write = Callable[[Path, Transformer], None]
"""Writes a model into an empty folder, as the export does."""
Read = Callable[[Path, Transformer], dict[str, Tensor]]
"""The tensors of such a folder under our names; KeyError for a name that is none of ours."""


class Peer(Protocol):
    """Another program that has read what was written."""

    bound: float
    """For controls: a difference above it is noticed."""

    def compare(self, model: Transformer, paths: Sequence[GreedyPath]) -> list[Comparison]:
        """Everything that is compared with our model."""
        ...

    def difference(self, ours: Sequence[Tensor]) -> Difference:
        """How far these logits of the paths are from what it said of them."""
        ...


OpenPeer = Callable[[Path], Peer | None]
"""The program for a folder; None where it is not installed."""


def prove(
    model: Transformer, tok: Tokenizer, folder: Path, scratch: Path, write: Write, read: Read, open_peer: OpenPeer
) -> list[Subject]:
    """What was found on the weights in `folder`, and on a stand-in, written below `scratch`, where it is needed."""
    subjects = [_prove("weights", model, tok, folder, read, open_peer)]
    if subjects[0].comparisons and not subjects[0].tells:
        stand_in = build_stand_in(model.config, tok.vocab_size - N_SPECIAL, tok.bos)
        if stand_in is not None:
            scratch.mkdir()
            write(scratch, stand_in)
            subjects.append(_prove("stand_in", stand_in, tok, scratch, read, open_peer))
    return subjects


def _prove(name: Any, model: Transformer, tok: Tokenizer, folder: Path, read: Read, open_peer: OpenPeer) -> Subject:
    paths = walk(model, tok.vocab_size - N_SPECIAL, tok.bos)
    distinct, steps = count_distinct(paths)
    subject = Subject(name, distinct, steps, steps - REPEATED)
    subject.digest_equal = _digest_equal(model, folder, read)
    if (peer := open_peer(folder)) is None:
        return subject
    subject.comparisons = peer.compare(model, paths)
    if all(comparison.state != "failed" for comparison in subject.comparisons):
        for control, wrong in build_controls(model):
            found = peer.difference([path_logits(wrong, path) for path in paths])
            subject.controls.append(Control.of(control, found, peer.bound))
    return subject


def _digest_equal(model: Transformer, folder: Path, read: Read) -> bool:
    try:
        return weights_digest(read(folder, model)) == weights_digest(model.state_dict())
    except KeyError:
        return False


def in_bfloat16(model: Transformer) -> Transformer:
    """A copy whose weights are bfloat16; the tables of RoPE stay float32 and are cast where they are used."""
    found = copy.deepcopy(model)
    for parameter in found.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)
    return found
