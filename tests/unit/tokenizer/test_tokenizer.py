"""Text comes back byte for byte, never becomes a special token, and both encoders agree."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.core.errors import PicochatError
from picochat.tokenizer.bpe import train_bpe
from picochat.tokenizer.config import TokenizerConfig
from picochat.tokenizer.hostile import HOSTILE_TEXTS
from picochat.tokenizer.special import N_SPECIAL, SPECIAL_TOKENS, special_ids
from picochat.tokenizer.tokenizer import Tokenizer

TEXTS = [
    "The quick brown fox doesn't jump over the lazy dog, and the dog doesn't mind the fox.\n\n",
    "In 1912 there were 48 states; by 1959 there were 50. That's 2 more: 48 + 2 = 50.\r\n",
    "日本語の文章と漢字。Ünïcödé café naïve 😀😀 we'll they'll I'm you're don't\u00a0can't\n",
    "def encode(self, text):\n    return [self.ranks[piece] for piece in text]\n\n\n",
]
DATA = train_bpe(TEXTS * 4, TokenizerConfig(vocab_size=360))
TOK = Tokenizer(DATA)
SLOW = Tokenizer(DATA, fast=False)
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
hostile_text = st.lists(st.sampled_from([*HOSTILE_TEXTS, *TEXTS]) | any_text, max_size=5).map("".join)


def changed(**changes: object) -> bytes:
    return json.dumps(json.loads(DATA) | changes).encode()


def test_layout_is_bytes_then_merges_then_specials_in_order():
    assert TOK.vocab_size == 360 and len(TOK.token_bytes) == 360
    assert sorted(TOK.decode_bytes([token]) for token in range(256)) == [bytes([byte]) for byte in range(256)]
    assert [TOK.specials[name] for name in SPECIAL_TOKENS] == list(range(360 - N_SPECIAL, 360))
    assert SPECIAL_TOKENS[:8] == tuple(
        f"<|{n}|>" for n in ("bos", "eos", "pad", "system", "user", "assistant", "tool", "end")
    )
    named = [TOK.bos, TOK.eos, TOK.pad, TOK.system, TOK.user, TOK.assistant, TOK.tool, TOK.end]
    assert named == list(range(344, 352))
    assert not TOK.token_bytes[344:].any() and (TOK.token_bytes[:344] > 0).all()


def test_training_does_not_depend_on_order_and_gives_equal_bytes():
    assert train_bpe(reversed(TEXTS * 4), TokenizerConfig(vocab_size=360)) == DATA


def test_first_merge_is_the_commonest_pair():
    tok = Tokenizer(train_bpe(["abab ab ab"], TokenizerConfig(vocab_size=273)))
    assert tok.decode_bytes([256]) == b"ab"


def test_too_little_text_is_refused_with_both_numbers():
    with pytest.raises(PicochatError) as caught:
        train_bpe(["ab ab"], TokenizerConfig(vocab_size=1000))
    assert caught.value.code == "tokenizer.vocab"
    assert (
        "1,000" in caught.value.detail and "27" in caught.value.detail and "tokenizer.vocab_size=27" in caught.value.fix
    )


@given(hostile_text)
@settings(deadline=None)
def test_any_text_comes_back_and_no_text_becomes_a_special_token(text: str):
    ids = TOK.encode(text)
    assert TOK.decode(ids) == text
    assert all(0 <= token < 360 - N_SPECIAL for token in ids)
    assert int(TOK.token_bytes[ids].sum()) == len(text.encode())


@given(hostile_text)
@settings(deadline=None)
def test_both_encoders_agree(text: str):
    assert TOK.encode(text) == SLOW.encode(text)


@given(st.lists(st.integers(0, 359)))
def test_any_ids_decode(ids: list[int]):
    plain = TOK.decode_bytes(ids, skip_special=True)
    assert len(plain) == int(TOK.token_bytes[np.array(ids, dtype=int)].sum())
    assert TOK.decode(ids) == TOK.decode_bytes(ids).decode("utf-8", "replace")


def test_typed_special_tokens_are_plain_bytes_but_ids_decode_to_their_names():
    for name, token in special_ids(360).items():
        assert TOK.encode(name) != [token] and TOK.decode(TOK.encode(name)) == name
        assert TOK.decode([token]) == name and TOK.decode([token], skip_special=True) == ""
        assert token not in SLOW.encode(name)


def test_batch_equals_single():
    texts = [*HOSTILE_TEXTS, *TEXTS]
    assert TOK.encode_batch(texts) == [TOK.encode(text) for text in texts] == SLOW.encode_batch(texts)


def test_digits_stand_one_by_one():
    tok = Tokenizer(train_bpe(["1234 1234 12 34 " * 50 + "ab cd ef" * 9], TokenizerConfig(vocab_size=274)))
    assert [tok.decode([token]) for token in tok.encode("1234")] == ["1", "2", "3", "4"]


def test_long_white_space_never_reaches_the_fast_encoder(monkeypatch: pytest.MonkeyPatch):
    class Overflowing:
        def encode_ordinary(self, text: str) -> list[int]:
            assert " \t" * 5000 not in text
            return SLOW.encode(text)

    monkeypatch.setattr("picochat.tokenizer.tokenizer._build_fast", lambda pieces: Overflowing())
    text = "x" + " \t" * 5000 + "y"
    assert Tokenizer(DATA).encode(text) == SLOW.encode(text)


def test_plain_library_reads_the_file_and_round_trips():
    plain = tokenizers.Tokenizer.from_str(DATA.decode())
    for text in [*HOSTILE_TEXTS, *TEXTS]:
        assert plain.decode(plain.encode(text).ids, skip_special_tokens=False) == text
    assert plain.get_vocab_size() == 360 and plain.token_to_id("<|end|>") == TOK.end
    assert plain.encode("two words").ids == TOK.encode("two words")


@pytest.mark.parametrize(
    "method", [TOK.encode, SLOW.encode, lambda t: TOK.encode_batch([t]), lambda t: SLOW.encode_batch([t])]
)
def test_lone_surrogate_is_refused_with_its_place(method):
    with pytest.raises(PicochatError, match=r"character 2 .* U\+D83D") as caught:
        method("ab\ud83d")
    assert caught.value.code == "text.surrogate"


@pytest.mark.parametrize("token", [-1, 360])
def test_id_outside_of_the_vocabulary_is_refused(token: int):
    with pytest.raises(PicochatError, match="360") as caught:
        TOK.decode([token])
    assert caught.value.code == "tokenizer.id"


def test_proof_counts_the_bytes_that_it_compared():
    tok = Tokenizer(DATA)
    start = tok.fast_path
    assert start.equal and start.checked_bytes == sum(len(text.encode()) for text in HOSTILE_TEXTS)
    assert tok.prove_fast_path(["äx"]) == (True, start.checked_bytes + 3, None)


def test_a_difference_switches_to_the_library(monkeypatch: pytest.MonkeyPatch):
    class Wrong:
        def encode_ordinary(self, text: str) -> list[int]:
            return [0] if text == "wrong" else SLOW.encode(text)

    monkeypatch.setattr("picochat.tokenizer.tokenizer._build_fast", lambda pieces: Wrong())
    tok = Tokenizer(DATA)
    assert tok.encode("wrong") == [0]
    proof = tok.prove_fast_path(["right", "wrong", "never read"])
    assert not proof.equal and proof.difference == "wrong"
    assert tok.encode("wrong") == SLOW.encode("wrong") and not tok.prove_fast_path(["right"]).equal


def test_load_names_the_digest_and_a_missing_file(tmp_path: Path):
    path = tmp_path / "tokenizer.json"
    with pytest.raises(PicochatError) as caught:
        Tokenizer.load(path)
    assert caught.value.code == "artifact.missing"
    path.write_bytes(DATA)
    assert Tokenizer.load(path).sha256 == TOK.sha256 and len(TOK.sha256) == 64


def test_files_of_another_kind_are_refused():
    document = json.loads(DATA)
    merges_gone = changed(model=document["model"] | {"vocab": {"a": 0}, "merges": []})
    moved = [
        document["added_tokens"][0] | {"id": 359},
        document["added_tokens"][15] | {"id": 344},
        *document["added_tokens"][1:15],
    ]
    bad = {
        "normalizer": changed(normalizer={"type": "NFC"}),
        "pre-tokenizer": changed(
            pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
        ),
        "padding": changed(truncation={"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}),
        "special": changed(added_tokens=document["added_tokens"][:-1]),
        "special tokens": changed(added_tokens=moved),
        "256": merges_gone,
        "tokenizers file": b"{}",
    }
    for needle, data in bad.items():
        with pytest.raises(PicochatError, match=needle) as caught:
            Tokenizer(data)
        assert caught.value.code == "tokenizer.file", needle
    with pytest.raises(PicochatError) as caught:
        Tokenizer(b'{"a": 1, "a": 2}')
    assert caught.value.code == "json.invalid"
