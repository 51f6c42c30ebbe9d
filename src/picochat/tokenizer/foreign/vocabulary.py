"""A tokenizer.json of others: byte-level BPE, as GPT-2, Qwen, Llama 3 and SmolLM have it; anything else is refused.

special   stands for no text: flagged so in the file, or named as begin, end or padding of a text
marker    is text to the tokenizer, and the chat template speaks of it: <think>
control   both: no text of a user ever becomes one
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import tokenizers

from picochat.core.errors import refuse
from picochat.core.jsonio import parse_json
from picochat.tokenizer.bpe import byte_of_character
from picochat.tokenizer.tokenizer import require_encodable

MAX_TOKENIZER_BYTES = 128 << 20
MAX_UNUSED_IDS = 1024
"""More rows than tokens by this many are another tokenizer's; fewer are an embedding rounded up to an even size."""
_STEPS = {
    "normalizer": {"NFC", "NFD", "NFKC", "NFKD"},
    "pre_tokenizer": {"ByteLevel", "Split", "Digits", "Punctuation"},
    "decoder": {"ByteLevel"},
}
_FLAGS = ("lstrip", "rstrip", "single_word")


@dataclass
class Vocabulary:
    """Ids and their bytes. `pieces[id]` is None where no token has the id."""

    runtime: tokenizers.Tokenizer
    pieces: list[bytes | None]
    special: dict[str, int]
    markers: dict[str, int]
    first: int | None
    """The id that the file itself puts before a text."""

    def __post_init__(self) -> None:
        self.control = self.special | self.markers
        self._control_ids = frozenset(self.control.values())

    def encode(self, text: str) -> list[int]:
        """Ids of a text as data. Raises `text.surrogate`, `foreign.tokenizer` where text becomes a control token."""
        require_encodable(text)
        ids = self.runtime.encode(text, add_special_tokens=False).ids
        if forged := self._control_ids.intersection(ids):
            name = next(name for name, token in self.control.items() if token in forged)
            refuse("foreign.tokenizer", f"plain text becomes the control token {name[:40]!r} in this tokenizer")
        return ids


def read_vocabulary(data: bytes, what: str, n_rows: int, named: Collection[str | int], template: str) -> Vocabulary:
    """Reads a tokenizer for a model of `n_rows` rows. `named` are tokens, and ids of added tokens, that its
    configuration names.

    Raises `json.invalid`, `foreign.tokenizer` for another kind, `foreign.vocab` when ids and rows do not fit.
    """
    document = parse_json(data, what, MAX_TOKENIZER_BYTES)
    _require_kind(document, what)
    vocab, added = document["model"]["vocab"], _added_tokens(document, what)
    ids = _require_ids(vocab, added, n_rows, what)
    named, flagged = frozenset(named), {token for token, facts in added.items() if facts.get("special")}
    flagged |= {token for token in added if ids[token] in named}
    special = {token: place for token, place in ids.items() if token in flagged or token in named}
    markers = {token: ids[token] for token in added if token not in special and token.strip() and token in template}
    _require_plain(added, special | markers, what)
    runtime = _build_runtime(document, added, special | markers, what)
    pieces = _pieces(vocab, ids, added, n_rows, what)
    return Vocabulary(runtime, pieces, special, markers, _first(document, ids))


def _no(what: str, reason: str) -> NoReturn:
    refuse("foreign.tokenizer", f"{what}: {reason}")


def _require_kind(document: Any, what: str) -> None:
    model = document.get("model") if isinstance(document, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict):
        _no(what, "is no tokenizers file with a vocabulary")
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        kind = "BPE with byte fallback, as SentencePiece trains it" if model.get("type") == "BPE" else model.get("type")
        _no(what, f"is a tokenizer of kind {str(kind)[:60]}, read is byte-level BPE")
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            _no(what, f"model.{key} is {model[key]!r}, and text would not come back as it was")
    steps = {name: _kinds(document.get(name), name, what) for name in _STEPS}
    for name, known in _STEPS.items():
        if unknown := [kind for kind in steps[name] if kind not in known]:
            _no(what, f"{name} {unknown[0][:40]} is none of {', '.join(sorted(known))}")
    if steps["pre_tokenizer"].count("ByteLevel") != 1 or steps["decoder"] != ["ByteLevel"]:
        _no(what, "pre-tokenizer and decoder are not those of bytes")


def _kinds(step: Any, name: str, what: str) -> list[str]:
    """The types of a step's parts; a sequence is taken apart."""
    if step is None:
        return []
    if not isinstance(step, dict) or not isinstance(step.get("type"), str):
        _no(what, f"{name} is not a step of a tokenizer")
    if step["type"] != "Sequence":
        return [step["type"]]
    parts = step.get("pretokenizers", step.get(f"{name}s"))
    if not isinstance(parts, list) or any(isinstance(part, dict) and part.get("type") == "Sequence" for part in parts):
        _no(what, f"{name} is a sequence of no plain steps")
    return [kind for part in parts for kind in _kinds(part, name, what)]


def _added_tokens(document: dict[str, Any], what: str) -> dict[str, dict[str, Any]]:
    found = document.get("added_tokens") or []
    if not isinstance(found, list) or not all(isinstance(token, dict) for token in found):
        _no(what, "added_tokens is no list of tokens")
    added = {}
    for token in found:
        content = token.get("content")
        if not isinstance(content, str) or not content or type(token.get("id")) is not int or content in added:
            _no(what, f"added token {str(token)[:80]} has no text and id of its own")
        added[content] = token
    return added


def _require_ids(vocab: dict[str, Any], added: Mapping[str, dict[str, Any]], n_rows: int, what: str) -> dict[str, int]:
    """Every token's id, each below the number of rows and of one token alone. Raises `foreign.vocab`."""
    if wrong := [token for token, place in vocab.items() if type(place) is not int or place < 0]:
        _no(what, f"token {wrong[0][:40]!r} has the id {str(vocab[wrong[0]])[:20]}")
    ids = dict(vocab)
    for content, token in added.items():
        if ids.setdefault(content, token["id"]) != token["id"]:
            _no(what, f"added token {content[:40]!r} has id {token['id']}, in the vocabulary it has {vocab[content]}")
    if len(set(ids.values())) != len(ids):
        _no(what, "two tokens share an id")
    last = max(ids.values(), default=-1)
    if last >= n_rows or min(ids.values(), default=0) < 0:
        refuse("foreign.vocab", f"{what} has the id {last:,}, the model has {n_rows:,} rows")
    if (unused := n_rows - len(ids)) >= MAX_UNUSED_IDS:
        refuse(
            "foreign.vocab", f"{what} has {len(ids):,} tokens, the model {n_rows:,} rows: {unused:,} without a token"
        )
    return ids


def _require_plain(added: Mapping[str, dict[str, Any]], control: Collection[str], what: str) -> None:
    """A control token that takes the white space beside it cannot be set by itself."""
    for content in control:
        if flags := [flag for flag in _FLAGS if added.get(content, {}).get(flag)]:
            _no(what, f"control token {content[:40]!r} has {flags[0]}")


def _build_runtime(
    document: dict[str, Any], added: Mapping[str, dict[str, Any]], control: Mapping[str, int], what: str
) -> tokenizers.Tokenizer:
    """The library's tokenizer, for which every control token is special and so never found in a text."""
    plain = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False}
    tokens = [token | {"special": bool(token.get("special")) or content in control} for content, token in added.items()]
    tokens += [{"id": control[c], "content": c, "special": True, **plain} for c in control if c not in added]
    tokens.sort(key=lambda token: token["id"])
    changed = document | {"added_tokens": tokens, "truncation": None, "padding": None, "post_processor": None}
    try:
        runtime = tokenizers.Tokenizer.from_str(json.dumps(changed))
    except BaseException as err:  # the library raises plain Exception, and its panics are no Exception
        if isinstance(err, KeyboardInterrupt | SystemExit):
            raise
        _no(what, f"is no file of the tokenizers library: {str(err)[:200]}")
    runtime.encode_special_tokens = True
    return runtime


def _pieces(
    vocab: dict[str, int], ids: Mapping[str, int], added: Collection[str], n_rows: int, what: str
) -> list[bytes | None]:
    alphabet = byte_of_character()
    pieces: list[bytes | None] = [None] * n_rows
    for token, place in ids.items():
        if token in added:
            pieces[place] = token.encode(errors="replace")
            continue
        try:
            pieces[place] = bytes(map(alphabet.__getitem__, token))
        except KeyError as err:
            _no(what, f"token {token[:40]!r} has {err.args[0]!r}, which stands for no byte")
    return pieces


def _first(document: dict[str, Any], ids: Mapping[str, int]) -> int | None:
    """The token that a post-processor puts before a text, if there is one."""
    step = document.get("post_processor")
    parts = step.get("processors") if isinstance(step, dict) else None
    steps = [step, *(parts if isinstance(parts, list) else [])]
    for part in steps:
        single = part.get("single") if isinstance(part, dict) and part.get("type") == "TemplateProcessing" else None
        first = single[0] if isinstance(single, list) and single and isinstance(single[0], dict) else {}
        if isinstance(token := first.get("SpecialToken"), dict):
            return ids.get(str(token.get("id")))
    return None
