"""The base stage: corpus and tokenizer in; a pretrained checkpoint, its ledger and its report out."""

from __future__ import annotations

import torch

from picochat.artifacts import layout
from picochat.core.errors import refuse
from picochat.model.config import ModelConfig
from picochat.model.init import init_weights
from picochat.model.transformer import Transformer
from picochat.stages.assignment import Assignment
from picochat.stages.base.config import BaseConfig
from picochat.stages.contract import StageContext
from picochat.stages.session import Session
from picochat.stages.text_inputs import TextInputs, open_text_inputs
from picochat.stages.training_report import write_training_report
from picochat.training.config import MachineConfig
from picochat.training.language_modeling import LanguageModeling
from picochat.training.machine import build_machine

STAGE = layout.BASE


def run(ctx: StageContext, config: BaseConfig, model_config: ModelConfig, machine_config: MachineConfig) -> None:
    """Pretrains from a seeded start, or goes on from the checkpoint of an interrupted attempt."""
    require_data_mode(config.data_mode)
    record = ctx.record(STAGE, config)
    machine = build_machine(machine_config, ctx.ranks)
    text = open_text_inputs(ctx.store, record, config.text)
    require_vocabulary(model_config, text)
    model = Transformer(model_config)
    init_weights(model, torch.Generator().manual_seed(ctx.seed))
    loop = config.loop
    work = Assignment(
        stage=STAGE,
        loop=loop,
        model=model.to(machine.world.device),
        objective=lambda recipe: LanguageModeling(loop.z_loss, loop.loss_chunk_tokens),
        rows=text.windows(loop.seq_len),
        unique_tokens=len(text.train.tokens),
        validation=text.validation(loop),
        tokenizer=text.tokenizer,
        compile=machine_config.compile,
        prompts=text.prompts(),
        inputs=text.digests,
    )
    outcome = Session(ctx, machine, work).run()
    body = outcome.report | {"baselines": text.baselines, "documents": text.documents}
    ctx.ranks.on_main("the report", lambda: write_training_report(ctx, record, STAGE, body, machine))


def require_data_mode(mode: str) -> None:
    """Refuses the data modes that this version does not train from."""
    if mode != "memory":
        refuse(
            "usage.unavailable",
            f"base.data_mode = {mode!r} is not available in this version: it trains from memory",
            fix='set base.data_mode = "memory", or use the profile tiny',
        )


def require_vocabulary(config: ModelConfig, text: TextInputs) -> None:
    """The embedding has exactly the tokenizer's ids."""
    if config.vocab_size != text.tokenizer.vocab_size:
        refuse(
            "config.conflict",
            f"model.vocab_size is {config.vocab_size:,}, the tokenizer has {text.tokenizer.vocab_size:,} ids",
            fix=f"set model.vocab_size = {text.tokenizer.vocab_size}",
        )
