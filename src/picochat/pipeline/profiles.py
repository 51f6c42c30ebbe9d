"""Profiles: functions that return a run's configuration. A new scale is a new function."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from picochat.core.errors import refuse
from picochat.data.config import DatasetConfig
from picochat.data.shards.config import ShardSettings
from picochat.model.config import ModelConfig
from picochat.pipeline.config import RunConfig
from picochat.stages.base.config import BaseConfig
from picochat.stages.evaluate.config import EvaluateConfig
from picochat.stages.memorisation.config import MemorisationConfig
from picochat.stages.sft.config import SftConfig
from picochat.stages.summary.config import SummaryConfig
from picochat.tokenizer.config import TokenizerConfig
from picochat.training.config import LoopConfig, MachineConfig


class Profile(NamedTuple):
    """A named scale."""

    name: str
    title: str
    build: Callable[[], RunConfig]
    ranks: int = 1
    card: str = "cpu"
    """What a plan is made for where nobody says: one card of the table a rank."""


def tiny() -> RunConfig:
    """The demo: 0.76 M parameters that learn five skills in minutes on two cores.

    A vocabulary of 512 lets the model see letters; both stages share one shape, so one compiled graph serves both.
    """
    shape = {
        "seq_len": 128,
        "micro_batch_size": 32,
        "tokens_per_step": 4096,
        "optimizer": "muon",
        "lr": 3e-3,
        "beta2": 0.99,
    }
    return RunConfig(
        data=DatasetConfig(),
        tokenizer=TokenizerConfig(vocab_size=512),
        model=ModelConfig(
            vocab_size=512, dim=128, n_layers=4, n_heads=2, n_kv_heads=1, head_dim=64, hidden_dim=320, max_seq_len=256
        ),
        base=BaseConfig(loop=LoopConfig(tokens=1_200_000, final_frac=0.1, save_every=100, **shape)),
        sft=SftConfig(
            loop=LoopConfig(tokens=6_000_000, save_every=400, **shape), category_exponent=1.0, replay_frac=0.02
        ),
        eval=EvaluateConfig(),
        memorisation=MemorisationConfig(documents=200, samples=100, sample_tokens=64, loss_tokens=128),
        summary=SummaryConfig(),
        machine=MachineConfig(),
    )


def small() -> RunConfig:
    """An evening on a laptop: about 11 M parameters, 22 tokens a parameter.

    Its text is scarce and read many times, so no token of it is cropped.
    """
    model = ModelConfig(vocab_size=8192, dim=320, n_layers=8, n_heads=5, n_kv_heads=1, head_dim=64, max_seq_len=512)
    return RunConfig(
        data=DatasetConfig(),
        tokenizer=TokenizerConfig(vocab_size=8192),
        model=model,
        base=BaseConfig(
            loop=LoopConfig(tokens=240_000_000, seq_len=512, micro_batch_size=16, eval_every=500, save_every=500),
            data_mode="packed",
        ),
        shards=ShardSettings(packing="no_crop"),
        sft=SftConfig(
            loop=LoopConfig(
                tokens=20_000_000, seq_len=512, micro_batch_size=16, lr=5e-4, eval_every=500, save_every=500
            )
        ),
        eval=EvaluateConfig(),
        summary=SummaryConfig(),
        machine=MachineConfig(),
    )


def h100_100m() -> RunConfig:
    """107 M parameters, 2.15 B tokens, one GPU.

    Documents of a base row see each other: a mask keeps the fused kernels away and gained 0.0002 bits per byte in a
    published run at rows of 2,048.
    """
    model = ModelConfig(
        vocab_size=8192, dim=768, n_layers=16, n_heads=12, n_kv_heads=4, hidden_dim=2048, max_seq_len=512
    )
    return RunConfig(
        data=DatasetConfig(),
        tokenizer=TokenizerConfig(vocab_size=8192),
        model=model,
        base=BaseConfig(
            loop=LoopConfig(
                tokens=2_150_000_000,
                seq_len=512,
                micro_batch_size=64,
                warmup_frac=0.05,
                eval_every=500,
                save_every=500,
                loss_chunk_tokens=8192,
                document_mask=False,
            ),
            data_mode="packed",
        ),
        sft=SftConfig(loop=LoopConfig(tokens=20_000_000, seq_len=512, micro_batch_size=64, lr=2e-5, save_every=200)),
        eval=EvaluateConfig(),
        summary=SummaryConfig(gate_profile="first_release"),
        machine=MachineConfig(device="cuda", precision="bf16", compile="on"),
    )


def h200_1b_ddp8() -> RunConfig:
    """1.12 B parameters, 22.4 B tokens in 21,400 steps of 1,048,576, eight GPUs. No mask in base, as above."""
    model = ModelConfig(
        vocab_size=32_768, dim=2048, n_layers=24, n_heads=16, n_kv_heads=4, hidden_dim=5440, max_seq_len=2048
    )
    return RunConfig(
        data=DatasetConfig(),
        tokenizer=TokenizerConfig(vocab_size=32_768),
        model=model,
        base=BaseConfig(
            loop=LoopConfig(
                tokens=21_400 * 1_048_576,
                seq_len=2048,
                micro_batch_size=16,
                warmup_frac=0.05,
                eval_every=500,
                save_every=500,
                checkpoint_blocks=True,
                loss_chunk_tokens=8192,
                state_digest_every=500,
                document_mask=False,
            ),
            data_mode="sharded",
        ),
        sft=SftConfig(
            loop=LoopConfig(
                tokens=200_000_000, seq_len=2048, micro_batch_size=16, lr=1e-5, checkpoint_blocks=True, save_every=200
            )
        ),
        eval=EvaluateConfig(),
        summary=SummaryConfig(gate_profile="skill_release"),
        machine=MachineConfig(device="cuda", precision="bf16", compile="on"),
    )


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("tiny", "0.76 M parameters, minutes on two CPU cores", tiny),
        Profile("small", "about 11 M parameters, an evening on a laptop", small),
        Profile("h100-100m", "107 M parameters on one H100", h100_100m, card="h100-sxm"),
        Profile("h100-100m-ddp8", "107 M parameters on eight H100", h100_100m, ranks=8, card="h100-sxm"),
        Profile("h200-1b-ddp8", "1.12 B parameters on eight H200", h200_1b_ddp8, ranks=8, card="h200"),
    )
}


def load_profile(name: str) -> Profile:
    """The profile of that name. Raises `config.value` with the known ones."""
    if name not in PROFILES:
        refuse("config.value", f"there is no profile {name!r}; known: {', '.join(PROFILES)}")
    return PROFILES[name]
