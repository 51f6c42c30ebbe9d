"""Shards that are whole: a restart does not write them again if they were made under the same conditions."""

from __future__ import annotations

from pathlib import Path

from picochat.core.errors import PicochatError
from picochat.core.fs import make_dir, write_json
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import read_json
from picochat.data.shards.layout import ShardRecord
from picochat.data.shards.writing import ShardJob


class FinishedShards:
    """One small file a shard, written after the shard itself; `key` stands for everything that decides its bytes."""

    def __init__(self, folder: Path, key: str) -> None:
        self._folder, self._key = folder, key
        make_dir(folder)

    def find(self, job: ShardJob) -> ShardRecord | None:
        """The record of a shard that need not be written; None when it is not there, damaged, or of another plan."""
        path = self._folder / f"{job.path.name}.json"
        try:
            found = read_json(path)
            record = ShardRecord.from_json(found["record"], str(path))
            wanted = {"key": self._key, "part": list(job.part), "side": job.side}
            whole = sha256_file(job.path) == record.sha256
        except (PicochatError, KeyError, TypeError):
            return None
        return record if whole and all(found.get(name) == value for name, value in wanted.items()) else None

    def add(self, job: ShardJob, record: ShardRecord) -> None:
        """Notes that a shard is whole."""
        entry = {"key": self._key, "part": list(job.part), "side": job.side, "record": record.to_json()}
        write_json(self._folder / f"{job.path.name}.json", entry)
