"""Settings of NCCL, made before the group is joined and shown by `doctor`. Nothing here was tested on gloo."""

from __future__ import annotations

from typing import NamedTuple

from picochat.distributed.env import default_environment, read_environment


class Setting(NamedTuple):
    """An environment variable of NCCL or of torch's NCCL backend."""

    name: str
    value: str
    why: str


SETTINGS = (
    Setting("TORCH_NCCL_ASYNC_ERROR_HANDLING", "1", "a failed or late collective ends the process"),
    Setting("TORCH_NCCL_ENABLE_MONITORING", "1", "a watchdog that hangs itself is ended as well"),
    Setting("TORCH_NCCL_TRACE_BUFFER_SIZE", "2000", "the flight recorder keeps the last collectives of each rank"),
    Setting("TORCH_NCCL_DUMP_ON_TIMEOUT", "1", "the flight recorder is written out when a collective is late"),
    Setting("NCCL_DEBUG", "WARN", "NCCL says what it cannot do"),
)


def set_nccl_defaults() -> None:
    """Fills in what the user has not set, before a group on CUDA is joined."""
    default_environment({setting.name: setting.value for setting in SETTINGS})


def effective_settings() -> dict[str, str]:
    """What a group on CUDA would use: the user's values, and the defaults where there are none."""
    found = {setting.name: read_environment(setting.name) for setting in SETTINGS}
    return {setting.name: setting.value if (own := found[setting.name]) is None else own for setting in SETTINGS}
