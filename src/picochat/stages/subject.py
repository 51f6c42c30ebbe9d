"""What is measured: a checkpoint of a run (the chat one is judged) and its tokenizer, hashed and proved before use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.errors import refuse
from picochat.distributed.probe import choose_device, choose_precision, set_threads
from picochat.distributed.process_group import open_world
from picochat.distributed.ranks import Ranks
from picochat.distributed.world import World
from picochat.inference.loader import LoadedModel, Precision, load_model
from picochat.tokenizer.tokenizer import Tokenizer
from picochat.training.config import MachineConfig

CHECKPOINT = layout.checkpoint_dir(layout.SFT)
_READ = (layout.CKPT_MANIFEST, layout.CKPT_MODEL_CONFIG, layout.CKPT_WEIGHTS)


@dataclass(frozen=True)
class Subject:
    """A loaded model, its tokenizer, and how it computes."""

    loaded: LoadedModel
    tokenizer: Tokenizer
    world: World
    precision: Precision
    precision_reason: str

    @property
    def settings(self) -> dict[str, str]:
        """How it computes, for a report."""
        return {
            "device": str(self.world.device),
            "precision": self.precision,
            "precision_reason": self.precision_reason,
        }

    @property
    def environment(self) -> dict[str, str | int]:
        """What the manifest adds about torch."""
        world = self.world
        facts = {"torch": str(torch.__version__), "device": str(world.device), "threads": torch.get_num_threads()}
        return facts | {"ranks": world.size}


def open_subject(
    store: RunStore, record: StageRecord, machine: MachineConfig, ranks: Ranks, stage: str = layout.SFT
) -> Subject:
    """Re-hashes what a training and the tokenizer stage wrote, adds it to the inputs of `record`, and loads it.

    Raises `artifact.*` for a changed file, `checkpoint.*` for a folder that does not hold what its manifest says.
    """
    report, checkpoint = layout.report_path(stage), layout.checkpoint_dir(stage)
    trained = store.require_outputs(report, f"{stage}_report")
    tokenizer_report = store.require_outputs(layout.TOKENIZER_REPORT, "tokenizer_report")
    for kind, path in (
        (f"{stage}_report", report),
        *(("checkpoint", f"{checkpoint}/{name}") for name in _READ),
        ("tokenizer_report", layout.TOKENIZER_REPORT),
        ("tokenizer", layout.TOKENIZER),
    ):
        if path not in {ref.path for ref in record.inputs}:
            record.add_input(kind, path)
    launch = ranks.launch
    set_threads(machine.threads, launch.local_size)
    device = choose_device(machine.device, launch.local_rank if launch.launched else None)
    precision, reason = _choose_precision(machine.precision, device)
    loaded = load_model(store.path(checkpoint), device, precision, store.run_digest())
    tokenizer = Tokenizer.load(store.path(layout.TOKENIZER), fast=tokenizer_report["fast_path"]["equal"])
    held, reported = loaded.weights_digest, trained["weights_digest"]
    if held != reported:
        refuse("artifact.changed", f"{checkpoint} holds weights {held[:12]}..., {report} says {reported[:12]}...")
    if loaded.model.config.vocab_size != tokenizer.vocab_size:
        refuse(
            "tokenizer.file",
            f"{layout.TOKENIZER} has {tokenizer.vocab_size:,} ids, the model {loaded.model.config.vocab_size:,}",
        )
    return Subject(loaded, tokenizer, open_world(ranks, device), precision, reason)


def _choose_precision(wanted: str, device: torch.device) -> tuple[Precision, str]:
    """`auto` is float32 here: in less, two likelihoods can tie or swap with the size of the batch."""
    if wanted == "auto":
        return "fp32", "verdicts do not depend on the batch"
    precision, reason = choose_precision(wanted, device)
    return cast(Precision, precision), reason
