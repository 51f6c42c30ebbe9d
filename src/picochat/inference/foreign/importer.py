"""A published folder of weights to an imported model: read strictly, saved in our form, complete or not there.

OUT/import.json              what was read, with digests; written last
OUT/imported/checkpoint/     float32 weights in our checkpoint format
OUT/tokenizer.json           as it was published
OUT/chat_template.jinja      the template that is used, if the model has one
OUT/source/                  config.json and the other small files, as they were published
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from picochat.artifacts import layout
from picochat.artifacts.code_record import code_record, environment_record
from picochat.artifacts.import_record import ForeignTokenizer, ImportRecord, seal_import
from picochat.artifacts.reports import file_ref
from picochat.checkpoint.foreign_reader import ForeignWeights, read_foreign_weights
from picochat.checkpoint.writer import CheckpointFacts, save_checkpoint
from picochat.core.clock import utc_now
from picochat.core.fs import make_dir, write_atomic, write_json
from picochat.core.hashing import digest_of
from picochat.core.progress import Progress, SilentProgress
from picochat.core.staging import new_folder, require_free
from picochat.core.untrusted import UntrustedFolder
from picochat.inference.foreign.config import ForeignConfig
from picochat.model.hf_config import HfModel, config_from_hf, is_rotary_table
from picochat.model.hf_names import names_to_hf
from picochat.model.sizing import count_parameters
from picochat.model.transformer import Transformer
from picochat.tokenizer.foreign.settings import Documents, choose_template, named_ends, named_tokens, resolve
from picochat.tokenizer.foreign.template import MAX_TEMPLATE_BYTES
from picochat.tokenizer.foreign.vocabulary import MAX_TOKENIZER_BYTES, read_vocabulary

MAX_SMALL_BYTES = 16 << 20
HEAD = "lm_head.weight"
EMBEDDING = "model.embed_tokens.weight"
_LICENCE_FILE = re.compile(r"(LICEN[CS]E|NOTICE)[A-Za-z0-9._-]{0,40}", re.IGNORECASE)
_CARD_LICENCE = re.compile(r"^license:[ \t]*[\"']?([A-Za-z0-9][\w.+ -]{0,60})", re.MULTILINE)


@dataclass(frozen=True)
class _Small:
    """The small files: parsed, and as their bytes were."""

    documents: Documents
    tokenizer: bytes
    kept: dict[str, bytes]


def import_model(source: Path, out: Path, config: ForeignConfig, progress: Progress | None = None) -> ImportRecord:
    """Imports `source` as the new folder `out`; on any error nothing of it is there.

    Raises `usage.path`, `foreign.*`, `chat.template`, `json.invalid`, `config.*`, `disk.*`.
    """
    progress = progress or SilentProgress()
    progress.stage("import", source.name)
    require_free(out, "foreign.out_dir")
    with UntrustedFolder(source) as folder:
        small = _read_small(folder)
        model = config_from_hf(dict(small.documents.config), str(source / layout.HF_CONFIG), config.max_seq_len)
        template = choose_template(small.documents) if config.chat_template else None
        tokenizer = _read_tokenizer(source, small, model, template)
        weights = read_foreign_weights(
            folder,
            _shapes(model),
            tied={HEAD: EMBEDDING} if model.config.tie_embeddings else {},
            derived=is_rotary_table,
            tell=lambda done, total: progress.update(done, total, "reading weights"),
        )
        facts = _facts(folder, small, config, model)
    progress.update(1, 1, "writing the checkpoint")
    with new_folder(out, "foreign.out_dir") as staged:
        _write_files(staged, small, template)
        facts |= _save(staged, model, weights, facts["source_digest"])
        facts |= {"tokenizer": tokenizer, "notes": _notes(model, weights, tokenizer, config)}
        names = sorted(path for path in staged.rglob("*") if path.is_file() and path.name != layout.LOCK)
        facts["outputs"] = [file_ref(_kind(path, staged), path, staged) for path in names]
        record = seal_import(facts)
        write_json(staged / layout.IMPORT, record.to_json())
    return record


def _read_small(folder: UntrustedFolder) -> _Small:
    names, kept = folder.names(), {}

    def read(name: str, required: bool = False) -> dict[str, Any]:
        if not required and name not in names:
            return {}
        found = folder.read_object(name, MAX_SMALL_BYTES)
        kept[name] = folder.read(name, MAX_SMALL_BYTES)
        return found

    config = read(layout.HF_CONFIG, required=True)
    template = None
    if layout.CHAT_TEMPLATE in names:
        template = folder.read(layout.CHAT_TEMPLATE, MAX_TEMPLATE_BYTES).decode(errors="replace")
    documents = Documents(config, read(layout.HF_TOKENIZER_CONFIG), read(layout.HF_GENERATION_CONFIG), template)
    for name in names:
        if name == layout.HF_CARD or _LICENCE_FILE.fullmatch(name):
            kept[name] = folder.read(name, MAX_SMALL_BYTES)
    return _Small(documents, folder.read(layout.TOKENIZER, MAX_TOKENIZER_BYTES), kept)


def _read_tokenizer(source: Path, small: _Small, model: HfModel, template: str | None) -> ForeignTokenizer:
    n_rows = model.config.vocab_size
    named = (*named_tokens(small.documents.tokenizer_config).values(), *named_ends(small.documents, n_rows))
    what = str(source / layout.TOKENIZER)
    vocabulary = read_vocabulary(small.tokenizer, what, n_rows, named, template or "")
    return resolve(vocabulary, small.documents, template)


def _shapes(model: HfModel) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor by its foreign name, from the network itself."""
    with torch.device("meta"):
        network = Transformer(model.config)
    names = names_to_hf(model.config)
    return {names[name]: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _facts(folder: UntrustedFolder, small: _Small, config: ForeignConfig, model: HfModel) -> dict[str, Any]:
    """What was read, and from where."""
    files = [{"name": name, **seen._asdict()} for name, seen in sorted(folder.seen.items())]
    licence, licence_from = _licence(small, config)
    return {
        "name": folder.path.resolve().name,
        "source": str(folder.path.resolve()),
        "source_digest": digest_of(files),
        "files": files,
        "licence": licence,
        "licence_from": licence_from,
        "architecture": model.architecture,
        "model": model.config.as_dict(),
        "parameters": count_parameters(model.config).total,
        "trained_context": model.trained_context,
        "config": config.as_dict(),
        "code": code_record(),
        "environment": environment_record(torch=str(torch.__version__)),
        "created_at": utc_now(),
    }


def _licence(small: _Small, config: ForeignConfig) -> tuple[str, str]:
    """The licence that was given, or that the card's front matter states."""
    if config.licence is not None:
        return config.licence, "given"
    card = small.kept.get(layout.HF_CARD, b"").decode(errors="replace")
    front = card.split("\n---", 1)[0] if card.startswith("---") else ""
    found = _CARD_LICENCE.search(front)
    return (found.group(1).strip(), "card") if found else ("unknown", "unknown")


def _write_files(staged: Path, small: _Small, template: str | None) -> None:
    write_atomic(staged / layout.TOKENIZER, small.tokenizer)
    if template is not None:
        write_atomic(staged / layout.CHAT_TEMPLATE, template.encode())
    make_dir(staged / layout.IMPORT_SOURCE)
    for name, data in small.kept.items():
        write_atomic(staged / layout.IMPORT_SOURCE / name, data)


def _save(staged: Path, model: HfModel, weights: ForeignWeights, source_digest: str) -> dict[str, Any]:
    """The checkpoint, under our own names. It belongs to the files that were read, as another belongs to a run."""
    manifest = save_checkpoint(
        staged / layout.IMPORTED,
        facts=CheckpointFacts(layout.IMPORTED, step=0, tokens_seen=0, fingerprint={}, run_digest=source_digest),
        weights={ours: weights.tensors[theirs] for ours, theirs in names_to_hf(model.config).items()},
        model_config=model.config.as_dict(),
        train_state={},
    )
    return {
        "weights_digest": manifest.weights_digest,
        "tensors": len(weights.tensors),
        "saved_dtypes": weights.saved_dtypes,
    }


def _notes(model: HfModel, weights: ForeignWeights, tokenizer: ForeignTokenizer, config: ForeignConfig) -> list[str]:
    """What a person should know: nothing of this is an error."""
    notes = []
    if model.config.max_seq_len < model.trained_context:
        notes.append(
            f"context cut to {model.config.max_seq_len:,} of the {model.trained_context:,} tokens that the model was"
            f" trained for: --set max_seq_len={model.trained_context} keeps it whole"
        )
    if model.ignored:
        notes.append(f"keys of {layout.HF_CONFIG} that say nothing of the network: {', '.join(model.ignored)}")
    if weights.left_out:
        notes.append(f"tensors left out, the model has them already: {', '.join(weights.left_out[:8])}")
    if tokenizer.unused_ids:
        notes.append(f"{tokenizer.unused_ids:,} rows of the embedding belong to no token")
    if not tokenizer.end_ids:
        notes.append("no end token is named: answers end at their limit")
    if tokenizer.chat_template is None:
        reason = "was left out" if not config.chat_template else "did not come with the model"
        notes.append(f"a chat template {reason}: it continues texts and cannot be talked to")
    return notes


def _kind(path: Path, staged: Path) -> str:
    first = path.relative_to(staged).parts[0]
    kinds = {layout.IMPORTED: "checkpoint", layout.IMPORT_SOURCE: "source"}
    return kinds.get(first, "chat_template" if path.name == layout.CHAT_TEMPLATE else "tokenizer")
