"""The dataset stage is configured by `data.config.DatasetConfig`."""

from picochat.data.config import DatasetConfig

__all__ = ["DatasetConfig"]
