"""Text to ids and back, from one `tokenizer.json`.

    encode         tiktoken with the same merges, once it is proven equal; else the tokenizers library
    decode         a table of bytes by id

Text never becomes a special token: only `tokenizer/chat.py` and the packers place those, by id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import tiktoken
import tokenizers
from numpy.typing import NDArray

from picochat.core.errors import refuse
from picochat.core.hashing import sha256_bytes
from picochat.core.jsonio import parse_json
from picochat.tokenizer.bpe import PATTERN, build_pre_tokenizer, byte_of_character
from picochat.tokenizer.hostile import HOSTILE_TEXTS
from picochat.tokenizer.special import (
    ASSISTANT,
    BOS,
    END,
    EOS,
    N_BYTES,
    PAD,
    SPECIAL_TOKENS,
    SYSTEM,
    TOOL,
    USER,
    special_ids,
)

# tiktoken backtracks through a run of white space and overflows its stack near a million characters.
LONG_SPACE_CHARS = 10_000
_LONG_SPACE = re.compile(rf"\s{{{LONG_SPACE_CHARS}}}")


class FastPathProof(NamedTuple):
    """Whether both encoders gave equal ids, on how many bytes of text, and the first text that differed."""

    equal: bool
    checked_bytes: int
    difference: str | None = None


class Tokenizer:
    """A vocabulary of `vocab_size` ids: 256 bytes, merges, 16 special tokens. `sha256` is the digest of its file."""

    def __init__(self, data: bytes, what: str = "tokenizer.json", fast: bool = True) -> None:
        self._slow = _build_runtime(data, what)
        self.sha256 = sha256_bytes(data)
        self._pieces = _read_pieces(self._slow, what)
        self._fast: tiktoken.Encoding | None = _build_fast(self._pieces) if fast else None
        self.vocab_size = len(self._pieces) + len(SPECIAL_TOKENS)
        self.specials = special_ids(self.vocab_size)
        self.token_bytes = np.array([*map(len, self._pieces), *[0] * len(SPECIAL_TOKENS)], dtype=np.int32)
        """int32 [vocab_size]: bytes of text an id stands for; 0 for special tokens."""
        self.bos, self.eos, self.pad = self.specials[BOS], self.specials[EOS], self.specials[PAD]
        self.system, self.user = self.specials[SYSTEM], self.specials[USER]
        self.assistant, self.tool, self.end = self.specials[ASSISTANT], self.specials[TOOL], self.specials[END]
        self.fast_path = FastPathProof(fast, 0)
        """What all proofs so far say; the first one, over hostile strings, is made here."""
        self.prove_fast_path(HOSTILE_TEXTS)

    @classmethod
    def load(cls, path: Path, fast: bool = True) -> Self:
        """Reads a `tokenizer.json` of this package; `fast=False` where the run's proof of the fast encoder failed.

        Raises `artifact.missing`, `json.invalid` or `tokenizer.file`.
        """
        try:
            return cls(path.read_bytes(), str(path), fast)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            refuse("artifact.missing", f"{path} does not exist")

    def prove_fast_path(self, texts: Iterable[str]) -> FastPathProof:
        """Encodes `texts` in both ways. After the first difference only the tokenizers library is used."""
        for text in texts:
            if self._fast is None:
                break
            checked = self.fast_path.checked_bytes + len(text.encode())
            equal = self.encode(text) == self._encode_slow([text])[0]
            self.fast_path = FastPathProof(equal, checked, None if equal else text[:200])
            self._fast = self._fast if equal else None
        return self.fast_path

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without any special token. Raises `text.surrogate`."""
        require_encodable(text)
        if self._fast is None or (len(text) >= LONG_SPACE_CHARS and _LONG_SPACE.search(text)):
            return self._encode_slow([text])[0]
        return self._fast.encode_ordinary(text)

    def encode_array(self, text: str) -> NDArray[np.uint32]:
        """`encode` as an array; the library's own way to one is slower than through a list."""
        return np.array(self.encode(text), np.uint32)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of each text, in order."""
        if self._fast is None:
            for text in texts:
                require_encodable(text)
            return self._encode_slow(texts)
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int], skip_special: bool = False) -> str:
        """The text of `ids`; what is not UTF-8 becomes U+FFFD. Raises `tokenizer.id`."""
        return self.decode_bytes(ids, skip_special).decode("utf-8", "replace")

    def decode_bytes(self, ids: Iterable[int], skip_special: bool = False) -> bytes:
        """The bytes of `ids`, special tokens by name unless skipped: for incremental UTF-8. Raises `tokenizer.id`."""
        return b"".join(self._bytes_of(int(token), skip_special) for token in ids)

    def text_bytes(self, ids: NDArray[np.integer]) -> bytes:
        """The bytes of the text among `ids`, special tokens left out; for whole documents. Raises `tokenizer.id`."""
        if len(ids) and int(ids.max()) >= self.vocab_size:
            refuse("tokenizer.id", f"id {int(ids.max())} is outside of the vocabulary of {self.vocab_size:,} ids")
        return b"".join(map(self._pieces.__getitem__, ids[ids < len(self._pieces)].tolist()))

    def _bytes_of(self, token: int, skip_special: bool) -> bytes:
        if 0 <= token < len(self._pieces):
            return self._pieces[token]
        if not len(self._pieces) <= token < self.vocab_size:
            refuse("tokenizer.id", f"id {token} is outside of the vocabulary of {self.vocab_size:,} ids")
        return b"" if skip_special else SPECIAL_TOKENS[token - len(self._pieces)].encode()

    def _encode_slow(self, texts: Sequence[str]) -> list[list[int]]:
        return [row.ids for row in self._slow.encode_batch(list(texts), add_special_tokens=False)]


def require_encodable(text: str) -> None:
    """Raises `text.surrogate` when the text holds half of a surrogate pair, which no UTF-8 can spell."""
    try:
        text.encode()
    except UnicodeEncodeError as err:
        refuse(
            "text.surrogate", f"character {err.start:,} of the text is the lone surrogate U+{ord(text[err.start]):04X}"
        )


def _build_runtime(data: bytes, what: str) -> tokenizers.Tokenizer:
    """The library's tokenizer with control tokens in text switched off. Raises `json.invalid` or `tokenizer.file`."""
    parse_json(data, what)
    try:
        runtime = tokenizers.Tokenizer.from_str(data.decode())
    except Exception as err:  # the library raises plain Exception
        refuse("tokenizer.file", f"{what} is not a tokenizers file: {err}")
    pre_tokenizer = runtime.pre_tokenizer
    if pre_tokenizer is None or pre_tokenizer.__getstate__() != build_pre_tokenizer().__getstate__():
        refuse("tokenizer.file", f"{what} has another pre-tokenizer than the qwen2 pattern over bytes")
    if runtime.normalizer is not None or runtime.truncation is not None or runtime.padding is not None:
        refuse("tokenizer.file", f"{what} has a normalizer, truncation or padding: text would not come back as it was")
    runtime.encode_special_tokens = True
    return runtime


def _read_pieces(runtime: tokenizers.Tokenizer, what: str) -> list[bytes]:
    """The bytes of each ordinary id. Raises `tokenizer.file` when bytes or special tokens are not where they belong."""
    vocab = runtime.get_vocab(with_added_tokens=False)
    alphabet = byte_of_character()
    ordered = sorted(vocab, key=vocab.__getitem__)
    if [vocab[piece] for piece in ordered] != list(range(len(vocab))) or not alphabet.keys() <= vocab.keys():
        refuse("tokenizer.file", f"{what} has gaps among its {len(vocab):,} ids, or not all of the {N_BYTES} bytes")
    added = {token.content: place for place, token in runtime.get_added_tokens_decoder().items() if token.special}
    if added != special_ids(len(vocab) + len(SPECIAL_TOKENS)):
        refuse("tokenizer.file", f"{what} does not have the {len(SPECIAL_TOKENS)} special tokens as its last ids")
    try:
        return [bytes(alphabet[character] for character in piece) for piece in ordered]
    except KeyError as err:
        refuse("tokenizer.file", f"{what} has a token with {err.args[0]!r}, which stands for no byte")


def _build_fast(pieces: list[bytes]) -> tiktoken.Encoding:
    """The same merges in tiktoken: ids are learned in the order in which pairs are merged, so an id is its rank."""
    ranks = {piece: rank for rank, piece in enumerate(pieces)}
    return tiktoken.Encoding("picochat", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
