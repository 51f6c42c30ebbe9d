"""Which token begins a text, which end an answer, and which template a conversation has: read once, at the import.

begins   add_bos_token of tokenizer_config.json where it says so, else what the tokenizer's own post-processor adds
ends     eos of generation_config.json, config.json and tokenizer_config.json, and the token that the chat template
         sets behind an answer
template chat_template.jinja, else chat_template of tokenizer_config.json
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.import_record import ForeignTokenizer
from picochat.core.errors import refuse
from picochat.tokenizer.foreign.codec import ForeignCodec
from picochat.tokenizer.foreign.template import MAX_TEMPLATE_BYTES
from picochat.tokenizer.foreign.vocabulary import Vocabulary
from picochat.tokenizer.tokenizer import require_encodable

VARIABLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
Document = Mapping[str, Any]


class Documents(NamedTuple):
    """The JSON files beside a tokenizer, {} where there is none, and the template's own file."""

    config: Document
    tokenizer_config: Document
    generation_config: Document
    template: str | None


class Said(NamedTuple):
    """A turn of the conversation that shows what stands behind an answer."""

    role: str
    content: str
    weight: float = 1.0


PROBE = (Said("user", "Hello"), Said("assistant", "Hello there"))


def named_tokens(tokenizer_config: Document) -> dict[str, str]:
    """bos_token and the others, by variable; a token is written as text, or as an object with `content`."""
    found = {}
    for name in VARIABLES:
        token = tokenizer_config.get(name)
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str) and token:
            found[name] = token
    return found


def choose_template(documents: Documents) -> str | None:
    """The template's text.

    Raises `chat.template` for one of several of which none is named default, or a huge one, and `text.surrogate`.
    """
    found: Any = documents.template
    if found is None:
        found = documents.tokenizer_config.get("chat_template")
    if isinstance(found, list):
        named = [entry.get("template") for entry in found if isinstance(entry, dict) and entry.get("name") == "default"]
        if len(named) != 1:
            refuse("chat.template", f"chat_template has {len(found)} templates, {len(named)} of them named default")
        found = named[0]
    if found is None:
        return None
    if not isinstance(found, str) or len(found.encode(errors="replace")) > MAX_TEMPLATE_BYTES:
        refuse("chat.template", f"chat_template is no text of at most {MAX_TEMPLATE_BYTES:,} bytes")
    require_encodable(found)
    return found


def named_ends(documents: Documents, n_rows: int) -> tuple[int, ...]:
    """The ids that the two configurations name as ends. Raises `foreign.tokenizer` for one that the model lacks."""
    found: set[int] = set()
    for name, document in (
        (layout.HF_GENERATION_CONFIG, documents.generation_config),
        (layout.HF_CONFIG, documents.config),
    ):
        ids = document.get("eos_token_id")
        for token in ids if isinstance(ids, list) else [] if ids is None else [ids]:
            if type(token) is not int or not 0 <= token < n_rows:
                refuse("foreign.tokenizer", f"{name}: eos_token_id {str(token)[:40]} is no id of {n_rows:,}")
            found.add(token)
    return tuple(sorted(found))


def resolve(vocabulary: Vocabulary, documents: Documents, template: str | None) -> ForeignTokenizer:
    """Everything a codec needs. The template is tried on a conversation.

    Raises `foreign.tokenizer` for a token that is not in the vocabulary, `chat.template` for a template that fails.
    """
    variables, n_rows = named_tokens(documents.tokenizer_config), len(vocabulary.pieces)
    ends = {*named_ends(documents, n_rows), *_named(vocabulary, variables, "eos_token")}
    settings = ForeignTokenizer(
        kind="byte_level_bpe",
        vocab_size=n_rows,
        unused_ids=sum(piece is None for piece in vocabulary.pieces),
        bos=_bos(vocabulary, documents.tokenizer_config, variables),
        end_ids=tuple(sorted(ends)),
        special=tuple(sorted(vocabulary.special.values())),
        variables=variables,
        chat_template=None if template is None else layout.CHAT_TEMPLATE,
    )
    if template is None:
        return settings
    codec = ForeignCodec(vocabulary, settings, template)
    codec.render_chat(PROBE[:1])
    behind = codec.token_behind_answer(PROBE)
    added = () if behind is None else (behind,)
    ends, special = {*settings.end_ids, *added}, {*settings.special, *added}
    return settings.model_copy(update={"end_ids": tuple(sorted(ends)), "special": tuple(sorted(special))})


def _named(vocabulary: Vocabulary, variables: Mapping[str, str], variable: str) -> tuple[int, ...]:
    """The id of a token that tokenizer_config.json names, if it names one."""
    if (token := variables.get(variable)) is None:
        return ()
    if token not in vocabulary.special:
        what = f"{layout.HF_TOKENIZER_CONFIG}: {variable} {token[:40]!r}"
        refuse("foreign.tokenizer", f"{what} is not in the vocabulary")
    return (vocabulary.special[token],)


def _bos(vocabulary: Vocabulary, tokenizer_config: Document, variables: Mapping[str, str]) -> int | None:
    wanted = tokenizer_config.get("add_bos_token")
    if wanted is None:
        return vocabulary.first
    return next(iter(_named(vocabulary, variables, "bos_token")), None) if wanted is True else None
