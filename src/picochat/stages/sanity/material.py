"""What the proofs work on: a tokenizer, documents, conversations and a model, made or of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.checkpoint.reader import load_checkpoint
from picochat.core.errors import refuse
from picochat.data.conversations import Message, read_chat_rows
from picochat.data.guessed import GuessedCorpus
from picochat.data.memory import TokenDocuments, join_documents
from picochat.data.rows import CONVERSATION_BASE, PackedRows, WindowRows
from picochat.model.init import init_weights
from picochat.model.transformer import Transformer
from picochat.stages.sanity.config import SanityConfig
from picochat.stages.sanity.made_text import iter_conversations, iter_documents
from picochat.stages.text_files import TextFiles, open_text_files
from picochat.tokenizer.bpe import train_bpe
from picochat.tokenizer.chat import Rendered, render
from picochat.tokenizer.config import TokenizerConfig
from picochat.tokenizer.tokenizer import Tokenizer
from picochat.training.keeper import load_weights

STAGE = "sanity"
MADE_VOCABULARY = 512
"""Ids of the made tokenizer at most. A larger model keeps its embedding, and most of its rows are never read."""
TOKENIZER_DOCUMENTS = 800


@dataclass(frozen=True)
class Conversation:
    """The messages, and what the renderer made of them."""

    messages: list[Message]
    rendered: Rendered


@dataclass(frozen=True)
class Material:
    """Read-only. `weights` are those of a run's base checkpoint; None: fresh ones from the seed."""

    config: SanityConfig
    tokenizer: Tokenizer
    documents: TokenDocuments
    conversations: Sequence[Conversation]
    weights: dict[str, Tensor] | None

    def windows(self) -> WindowRows:
        """The rows of base training."""
        return WindowRows(self.documents, self.config.loop.seq_len)

    def packed(self) -> PackedRows:
        """The rows of fine-tuning; conversation i is number CONVERSATION_BASE + i."""
        items = [(item.rendered.ids, item.rendered.mask) for item in self.conversations]
        numbers = [CONVERSATION_BASE + i for i in range(len(items))]
        return PackedRows(items, numbers, self.config.loop.seq_len, self.tokenizer.pad)

    def build_model(self, device: torch.device, seed: int | None = None) -> Transformer:
        """The network on a device, with the run's weights or a seeded start; another `seed` gives another start."""
        model = Transformer(self.config.model)
        init_weights(model, torch.Generator().manual_seed(self.config.seed if seed is None else seed))
        if self.weights is not None and seed is None:
            load_weights(model, self.weights)
        model.checkpoint_blocks = self.config.loop.checkpoint_blocks
        return model.to(device)


def open_material(config: SanityConfig) -> Material:
    """The material of the configuration. Raises `artifact.*` or `checkpoint.*` for a run that is not whole."""
    return make_material(config) if config.run is None else read_material(config, RunStore(Path(config.run)))


def make_material(config: SanityConfig) -> Material:
    """Made text, enough for the steps and rows of the proofs, and a tokenizer learned from it."""
    vocabulary = TokenizerConfig(vocab_size=min(MADE_VOCABULARY, config.model.vocab_size))
    tok = Tokenizer(train_bpe(islice(iter_documents(config.seed), TOKENIZER_DOCUMENTS), vocabulary))
    encoded = take_tokens((tok.encode(text) for text in iter_documents(config.seed)), wanted_tokens(config))
    documents = join_documents(encoded, np.arange(len(encoded)), tok.bos, tok.eos)
    rendered = (Conversation(messages, render(messages, tok)) for messages in iter_conversations(config.seed))
    fitting = (item for item in rendered if fits(item, config.loop.seq_len))
    chosen = list(islice(fitting, max(64, 2 * config.rows * config.loop.seq_len // 24)))
    return Material(config, tok, documents, chosen, None)


def wanted_tokens(config: SanityConfig) -> int:
    """Tokens that the steps and rows of the proofs need."""
    return (config.steps + 2) * config.rows * config.loop.seq_len


def read_documents(files: TextFiles, wanted: int) -> tuple[Tokenizer, TokenDocuments]:
    """The tokenizer and the first train documents that hold enough tokens: a long corpus proves nothing more."""
    tok = files.open_tokenizer()
    if files.documents is None:
        guessed = GuessedCorpus(files.corpus)
        numbers, read = guessed.numbers("train"), guessed.texts.__getitem__
    else:
        reader = files.open_corpus()
        numbers, read = reader.indices("train").tolist(), reader.text
    encoded = take_tokens((tok.encode(read(number)) for number in numbers), wanted)
    return tok, join_documents(encoded, np.array(numbers[: len(encoded)], np.int64), tok.bos, tok.eos)


def take_tokens(encoded: Iterable[list[int]], wanted: int) -> list[list[int]]:
    """The first documents that hold `wanted` ids together."""
    taken, count = [], 0
    for ids in encoded:
        taken.append(ids)
        count += len(ids)
        if count > wanted:
            break
    return taken


def fits(item: Conversation, row_tokens: int) -> bool:
    """Whether a row holds the whole conversation and something in it is a target: what fine-tuning takes."""
    return len(item.rendered.ids) - 1 <= row_tokens and item.rendered.supervised_tokens > 0


def read_material(config: SanityConfig, store: RunStore) -> Material:
    """The run's tokenizer, first train documents, chat rows and base weights, hashed before use."""
    record = StageRecord(store, STAGE, 1, config, 0.0)
    tok, documents = read_documents(open_text_files(store, record, config.text), wanted_tokens(config))
    path = Path(config.chat) if config.chat else store.path(layout.CHAT_TRAIN)
    conversations = read_conversations(path, tok, config.loop.seq_len) if path.is_file() else []
    folder = store.path(layout.checkpoint_dir(layout.BASE))
    weights = None
    if folder.exists():
        weights = load_checkpoint(folder, run_digest=store.run_digest(), parts={"weights"}).weights
    if tok.vocab_size != config.model.vocab_size:
        refuse(
            "config.conflict",
            f"model.vocab_size is {config.model.vocab_size:,}, the tokenizer has {tok.vocab_size:,} ids",
            fix=f"set model.vocab_size = {tok.vocab_size}",
        )
    return Material(config, tok, documents, conversations, weights)


def read_conversations(path: Path, tok: Tokenizer, row_tokens: int, limit: int = 2000) -> list[Conversation]:
    """The first conversations of a file of chat rows that fit into a row."""
    messages = (row.to_messages() for row in read_chat_rows(path))
    found = (Conversation(turns, render(turns, tok)) for turns in messages)
    return list(islice((item for item in found if fits(item, row_tokens)), limit))
