"""The special tokens: the last 16 ids of every vocabulary, always in this order. No text ever encodes to one."""

from __future__ import annotations

N_BYTES = 256

BOS = "<|bos|>"
EOS = "<|eos|>"
PAD = "<|pad|>"
SYSTEM = "<|system|>"
USER = "<|user|>"
ASSISTANT = "<|assistant|>"
TOOL = "<|tool|>"
END = "<|end|>"
RESERVED = tuple(f"<|reserved_{number}|>" for number in range(8))

SPECIAL_TOKENS = (BOS, EOS, PAD, SYSTEM, USER, ASSISTANT, TOOL, END, *RESERVED)
N_SPECIAL = len(SPECIAL_TOKENS)


def special_ids(vocab_size: int) -> dict[str, int]:
    """Name to id in a vocabulary of `vocab_size` ids, special tokens included."""
    first = vocab_size - N_SPECIAL
    return {name: first + place for place, name in enumerate(SPECIAL_TOKENS)}
