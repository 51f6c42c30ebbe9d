"""Training a byte-level BPE, and the parts that every tokenizer file of ours has in common.

The pre-tokenizer is the regular expression of Qwen2: digits stand one by one, and other engines know it by name.
There is no normaliser, so decoding gives back the very bytes that were encoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from picochat.core.errors import refuse
from picochat.tokenizer.config import TokenizerConfig
from picochat.tokenizer.special import N_BYTES, N_SPECIAL, SPECIAL_TOKENS

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    r"|[^\r\n\p{L}\p{N}]?\p{L}+"
    r"|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+"
    r"|\s+(?!\S)"
    r"|\s+"
)


def build_pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """Cuts text into pieces by `PATTERN` and spells each piece in byte characters."""
    split = pre_tokenizers.Split(tokenizers.Regex(PATTERN), "isolated")
    spell = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([split, spell])


def byte_of_character() -> dict[str, int]:
    """The byte alphabet of GPT-2: printable Latin-1 stands for itself, the other bytes follow from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    substitute = count(0x100)
    return {chr(byte if byte in printable else next(substitute)): byte for byte in range(N_BYTES)}


def train_bpe(texts: Iterable[str], config: TokenizerConfig) -> bytes:
    """Learns the merges of `texts` and returns the bytes of a `tokenizer.json`.

    Ids are the 256 bytes, the merges in the order in which they were learned (Sennrich et al. 2016, section 3.2), and
    the special tokens. Equal texts give equal bytes, in any order. Raises `tokenizer.vocab` on too little text.
    """
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = build_pre_tokenizer()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size - N_SPECIAL,
        min_frequency=config.min_frequency,
        initial_alphabet=list(byte_of_character()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    _require_full(tokenizer.get_vocab_size() + N_SPECIAL, config)
    tokenizer.add_special_tokens([tokenizers.AddedToken(name, normalized=False) for name in SPECIAL_TOKENS])
    return (tokenizer.to_str(pretty=True) + "\n").encode()


def _require_full(reached: int, config: TokenizerConfig) -> None:
    if reached < config.vocab_size:
        refuse(
            "tokenizer.vocab",
            f"the train text gives {reached:,} ids, tokenizer.vocab_size asks for {config.vocab_size:,}",
            fix=f"--set tokenizer.vocab_size={reached}, or give more text",
        )
