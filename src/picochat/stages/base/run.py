"""The base stage: corpus and tokenizer in; a pretrained checkpoint, its ledger and its report out."""

from __future__ import annotations

import torch

from picochat.artifacts import layout
from picochat.core.errors import refuse
from picochat.data.shards.manifest import require_boundaries
from picochat.model import sizing
from picochat.model.config import ModelConfig
from picochat.model.init import init_weights
from picochat.model.transformer import Transformer
from picochat.stages.assignment import Assignment
from picochat.stages.base.config import BaseConfig
from picochat.stages.branch import open_trunk
from picochat.stages.contract import StageContext
from picochat.stages.session import Session
from picochat.stages.text_inputs import (
    ShardedText,
    TextInputs,
    build_prompts,
    build_validation,
    open_text_inputs,
)
from picochat.stages.training_report import write_training_report
from picochat.training.config import LoopConfig, MachineConfig
from picochat.training.language_modeling import LanguageModeling
from picochat.training.machine import build_machine
from picochat.training.recipe import resolve_recipe

STAGE = layout.BASE


def run(ctx: StageContext, config: BaseConfig, model_config: ModelConfig, machine_config: MachineConfig) -> None:
    """Pretrains from a seeded start or as a branch, or goes on from the checkpoint of an interrupted attempt."""
    record = ctx.record(STAGE, config)
    machine = build_machine(machine_config, ctx.ranks)
    text = open_text_inputs(ctx.store, record, config.text, shards=config.data_mode != "memory")
    trunk = open_trunk(record, config.branch) if config.branch else None
    recorded = {"trunk": trunk.digest} if trunk else {}
    if ctx.store.has(layout.PREDICTION):
        # Among the conditions: what was said beforehand cannot become another while the training goes on.
        recorded["prediction"] = record.add_input("prediction", layout.PREDICTION).sha256
    require_vocabulary(model_config, text)
    require_marked_documents(model_config, config.loop, text)
    model = Transformer(model_config)
    init_weights(model, torch.Generator().manual_seed(ctx.seed))
    loop = config.loop
    work = Assignment(
        stage=STAGE,
        loop=loop,
        model=model.to(machine.world.device),
        objective=lambda recipe: LanguageModeling(loop.z_loss, loop.loss_chunk_tokens),
        rows=text.rows(loop.seq_len, ctx.seed),
        exposure=text.exposure,
        validation=build_validation(text, loop),
        tokenizer=text.tokenizer,
        compile=machine_config.compile,
        prompts=build_prompts(text),
        inputs=text.digests | recorded,
        trunk=trunk,
    )
    outcome = Session(ctx, machine, work).run()
    body = outcome.report | {"baselines": text.baselines, "documents": text.documents, "data_mode": config.data_mode}
    ctx.ranks.on_main("the report", lambda: write_training_report(ctx, record, STAGE, body, machine))


def require_marked_documents(config: ModelConfig, loop: LoopConfig, text: TextInputs) -> None:
    """A long training on shards needs boundary tokens around every document. Raises `data.boundaries`."""
    if isinstance(text, ShardedText):
        parameters = sizing.count_parameters(config).total
        require_boundaries(text.shards.body, resolve_recipe(loop, parameters).steps, parameters)


def require_vocabulary(config: ModelConfig, text: TextInputs) -> None:
    """The embedding has exactly the tokenizer's ids."""
    if config.vocab_size != text.tokenizer.vocab_size:
        refuse(
            "config.conflict",
            f"model.vocab_size is {config.vocab_size:,}, the tokenizer has {text.tokenizer.vocab_size:,} ids",
            fix=f"set model.vocab_size = {text.tokenizer.vocab_size}",
        )
