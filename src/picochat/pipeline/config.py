"""The configuration of a run: the stages' own configurations side by side, and nothing of theirs repeated."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from pydantic import Field, model_validator

from picochat.core.config import Config, flatten, merge, nest
from picochat.core.errors import refuse
from picochat.data.config import DatasetConfig
from picochat.data.shards.config import ShardSettings
from picochat.distributed.config import DistributedConfig
from picochat.model.config import ModelConfig
from picochat.pipeline.spending.config import LaunchConfig
from picochat.stages.base.config import BaseConfig
from picochat.stages.evaluate.config import EvaluateConfig
from picochat.stages.honesty.config import HonestyConfig
from picochat.stages.memorisation.config import MemorisationConfig
from picochat.stages.sft.config import SftConfig
from picochat.stages.shards.config import ShardsConfig
from picochat.stages.summary.config import SummaryConfig
from picochat.tokenizer.config import TokenizerConfig
from picochat.training.config import MachineConfig

GateProfile = Literal["research", "first_release", "skill_release"]


class RunConfig(Config):
    """Everything that decides a run."""

    seed: int = Field(default=1, ge=0)
    data: DatasetConfig
    honesty: HonestyConfig = HonestyConfig()
    tokenizer: TokenizerConfig
    model: ModelConfig
    shards: ShardSettings = ShardSettings()
    base: BaseConfig
    sft: SftConfig
    eval: EvaluateConfig
    memorisation: MemorisationConfig = MemorisationConfig()
    summary: SummaryConfig
    machine: MachineConfig
    distributed: DistributedConfig = DistributedConfig()
    launch: LaunchConfig = LaunchConfig()

    @model_validator(mode="after")
    def _sizes_agree(self) -> RunConfig:
        if self.model.vocab_size != self.tokenizer.vocab_size:
            refuse(
                "config.conflict",
                f"model.vocab_size is {self.model.vocab_size:,}, tokenizer.vocab_size is {self.tokenizer.vocab_size:,}",
                fix=f"set model.vocab_size = {self.tokenizer.vocab_size}",
            )
        for name, loop in (("base", self.base.loop), ("sft", self.sft.loop)):
            if loop.seq_len > self.model.max_seq_len:
                refuse(
                    "config.conflict",
                    f"{name}.loop.seq_len is {loop.seq_len:,}, model.max_seq_len is {self.model.max_seq_len:,}",
                    fix=f"set {name}.loop.seq_len = {self.model.max_seq_len}, or raise model.max_seq_len",
                )
        return self

    @model_validator(mode="after")
    def _shards_fit(self) -> RunConfig:
        self.shards_stage()
        base, sft = self.base.loop.seq_len, self.sft.loop.seq_len
        own_text = self.sft.text.corpus is None
        if self.base.data_mode == "packed" and own_text and self.sft.replay_frac and base != sft:
            refuse(
                "config.conflict",
                f"packed rows have base.loop.seq_len = {base:,} tokens, and sft.replay_frac mixes some into rows "
                f"of sft.loop.seq_len = {sft:,}",
                fix=f"set sft.loop.seq_len = {base}, or sft.replay_frac = 0",
            )
        return self

    def shards_stage(self) -> ShardsConfig:
        """The configuration of the shards stage: parts of base and shards. Raises `config.conflict`."""
        return ShardsConfig(
            settings=self.shards, data_mode=self.base.data_mode, row_tokens=self.base.loop.seq_len, text=self.base.text
        )

    @model_validator(mode="after")
    def _optimizer_goes_on(self) -> RunConfig:
        base, sft = self.base.loop.optimizer, self.sft.loop.optimizer
        if self.sft.carry_optimizer and self.sft.base is None and base != sft:
            refuse(
                "config.conflict",
                f"sft.carry_optimizer goes on with the state of {base} (base.loop.optimizer) in {sft} "
                "(sft.loop.optimizer)",
                fix=f'set sft.loop.optimizer = "{base}", or sft.carry_optimizer = false',
            )
        return self


class Resolved(NamedTuple):
    """A configuration and, for each flattened key, where its value came from."""

    config: RunConfig
    origins: dict[str, str]


def resolve(profile: str, base: RunConfig, layers: list[tuple[str, dict[str, Any]]]) -> Resolved:
    """Lays the layers (origin, nested values) over a profile, the later over the earlier. Raises `config.*`."""
    values: dict[str, Any] = base.as_dict()
    origins = dict.fromkeys(flatten(values), f"profile {profile}")
    for origin, layer in layers:
        values = merge(values, layer)
        origins |= dict.fromkeys(flatten(layer), origin)
    config = RunConfig.from_dict(values, f"profile {profile}")
    return Resolved(config, {key: origins.get(key, "derived") for key in flatten(config.as_dict())})


def settings_layer(settings: list[tuple[str, Any]]) -> dict[str, Any]:
    """`--set` pairs as one nested layer."""
    layer: dict[str, Any] = {}
    for key, value in settings:
        layer = merge(layer, nest(key, value))
    return layer


def needed(config: RunConfig, stages: tuple[str, ...] = ("base", "sft", "evaluate")) -> frozenset[str]:
    """The features that these stages of a run need of a distributed strategy (see `distributed.guardrails`)."""
    loops = {"base": config.base.loop, "sft": config.sft.loop}
    uses = set(stages)
    kind = config.machine.device.partition(":")[0]
    if kind != "auto":  # what `auto` becomes is known once the machine has been looked at
        uses.add(kind)
    if config.machine.compile == "on":
        uses.add("compile")
    for name in stages:
        if loop := loops.get(name):
            uses |= {"muon"} if loop.optimizer == "muon" else set()
            uses |= {"ema"} if loop.ema_decay else set()
            uses |= {"samples"} if loop.sample_every else set()
            uses |= {"checkpoint_blocks"} if loop.checkpoint_blocks else set()
    return frozenset(uses)
