"""The SFT stage: base checkpoint and chat rows in; a chat checkpoint, its ledger and its report out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.checkpoint.reader import LoadedCheckpoint, load_checkpoint
from picochat.core.errors import refuse
from picochat.data.conversations import read_eval_rows
from picochat.data.rows import JoinedRows, RowSource
from picochat.data.shards.manifest import Exposure
from picochat.inference.scoring import ValidationResult, score_validation
from picochat.model.config import ModelConfig
from picochat.model.transformer import Transformer
from picochat.stages.assignment import Assignment
from picochat.stages.contract import StageContext
from picochat.stages.session import Session
from picochat.stages.sft.config import SftConfig
from picochat.stages.sft.conversations import ChatData, load_chat
from picochat.stages.text_inputs import build_validation, open_text_inputs
from picochat.stages.training_report import write_training_report
from picochat.tokenizer.chat import render
from picochat.tokenizer.tokenizer import Tokenizer
from picochat.training.chat import ChatTuning
from picochat.training.config import MachineConfig
from picochat.training.keeper import load_weights
from picochat.training.machine import build_machine

STAGE = layout.SFT
SAMPLE_PROMPTS = 5


def run(ctx: StageContext, config: SftConfig, machine_config: MachineConfig) -> None:
    """Fine-tunes the base checkpoint on the run's chat rows, or goes on with an interrupted attempt."""
    store, loop, record = ctx.store, config.loop, ctx.record(STAGE, config)
    machine = build_machine(machine_config, ctx.ranks)
    text = open_text_inputs(store, record, config.text, shards=uses_shards(store, config))
    base = open_base(store, record, config.base)
    chat_path = Path(config.chat) if config.chat else store.path(layout.CHAT_TRAIN)
    chat_ref = record.add_input("chat_train", chat_path)
    chat = load_chat(chat_path, text.tokenizer, loop.seq_len, config.category_exponent, ctx.seed)
    documents = text.rows(loop.seq_len, ctx.seed)
    replay_rows = min(len(documents), round(config.replay_frac * len(chat.rows)))
    validation = build_validation(text, loop)
    model = build_model(base).to(machine.world.device)
    with machine.world.watching():
        before = score_validation(model, validation, loop.micro_batch_size, machine.autocast, machine.world)
    work = Assignment(
        stage=STAGE,
        loop=loop,
        model=model,
        objective=lambda recipe: ChatTuning(loop.z_loss, loop.loss_chunk_tokens),
        rows=join_rows(chat, documents, replay_rows),
        exposure=[conversation_exposure(chat, replay_rows * loop.seq_len)],
        validation=validation,
        tokenizer=text.tokenizer,
        compile=machine_config.compile,
        prompts=chat_prompts(store, text.tokenizer),
        inputs=text.digests | {"base_weights": base.manifest.weights_digest, "chat": chat_ref.sha256},
        optimizer_state=(base.optimizer or {}) if config.carry_optimizer else {},
    )
    outcome = Session(ctx, machine, work).run()
    body = outcome.report | {
        "baselines": text.baselines,
        "documents": text.documents,
        "sft": describe(chat, replay_rows),
        "base_weights_digest": base.manifest.weights_digest,
        "forgetting": compare_with_base(before, outcome.validation, text.baselines),
    }
    ctx.ranks.on_main("the report", lambda: write_training_report(ctx, record, STAGE, body, machine))


def open_base(store: RunStore, record: StageRecord, outside: str | None) -> LoadedCheckpoint:
    """The run's base checkpoint, the one that its report speaks of, or one outside of the run.

    Raises `artifact.*` or `checkpoint.*`.
    """
    if outside:
        folder = Path(outside)
        base = load_checkpoint(folder)
        for path in sorted(folder.iterdir()):
            record.add_input("base_checkpoint", path)
        return base
    report = store.require_outputs(layout.report_path(layout.BASE), "base_report")
    record.add_input("base_report", layout.report_path(layout.BASE))
    for ref in store.refs_below("base_checkpoint", layout.checkpoint_dir(layout.BASE)):
        record.add_input("base_checkpoint", ref.path)
    base = load_checkpoint(store.path(layout.checkpoint_dir(layout.BASE)), run_digest=store.run_digest())
    held, reported = base.manifest.weights_digest, report["weights_digest"]
    if held != reported:
        refuse(
            "artifact.changed", f"the base checkpoint holds weights {held[:12]}..., its report says {reported[:12]}..."
        )
    return base


def build_model(base: LoadedCheckpoint) -> Transformer:
    """The network of the base checkpoint with its weights."""
    model = Transformer(ModelConfig.from_dict(base.model_config, "model configuration of the base checkpoint"))
    load_weights(model, base.weights or {})
    return model


def uses_shards(store: RunStore, config: SftConfig) -> bool:
    """Whether documents come from shards: where the run has some, and they are its own."""
    return config.text.corpus is None and store.has(layout.SHARDS_MANIFEST)


def join_rows(chat: ChatData, documents: RowSource, replay_rows: int) -> RowSource:
    """Conversations, and evenly spaced rows of documents among them."""
    return JoinedRows(chat.rows, documents, replay_rows) if replay_rows else chat.rows


def conversation_exposure(chat: ChatData, replay_tokens: int) -> Exposure:
    """An epoch shows each chosen conversation and each row of documents once."""
    tokens = chat.conversation_tokens + replay_tokens
    return Exposure(source="chat", weight=1.0, documents=chat.conversations, unique_tokens=tokens, epoch_tokens=tokens)


def chat_prompts(store: RunStore, tok: Tokenizer) -> list[tuple[str, list[int]]]:
    """The first held-out questions of different categories, ready to be answered."""
    if not store.has(layout.CHAT_HELDOUT) or store.path(layout.CHAT_HELDOUT).stat().st_size == 0:
        return []
    firsts = {row.category: row for row in reversed(read_eval_rows(store.path(layout.CHAT_HELDOUT)))}
    rows = [firsts[category] for category in sorted(firsts)][:SAMPLE_PROMPTS]
    return [
        (row.to_messages()[-1].content, render(row.to_messages(), tok, add_generation_prompt=True).ids) for row in rows
    ]


def describe(chat: ChatData, replay_rows: int) -> dict[str, Any]:
    """The counts of the chat data for the report."""
    return {
        "conversations": chat.conversations,
        "by_category": chat.by_category,
        "too_long": chat.too_long,
        "packed_rows": len(chat.rows),
        "padding_frac": round(chat.padding_frac, 6),
        "replay_rows": replay_rows,
        "supervised_targets_per_epoch": chat.supervised_targets,
        "duplicate_prompts_frac": round(chat.duplicate_prompts_frac, 6),
    }


def compare_with_base(before: ValidationResult, after: ValidationResult, baselines: dict[str, Any]) -> dict[str, float]:
    """Held-out bits per byte before and after, beside two baselines of the same documents."""
    return {
        "before_bpb": before.bpb,
        "after_bpb": after.bpb,
        "unigram_bpb": baselines["unigram"]["bpb"],
        "bigram_bpb": baselines["bigram"]["bpb"],
    }
