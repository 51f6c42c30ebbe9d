"""Made sources, imports of them, and folders of imports to compare."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.memory import MEMORY

from picochat.core.errors import PicochatError
from picochat.data.imports.config import ImportConfig
from picochat.data.imports.importer import Surroundings, run_import
from picochat.data.imports.manifest import MANIFEST, ImportManifest
from picochat.data.imports.reader import iter_import

TOKEN = "hf_canaryCANARYcanaryCANARY"
AGAIN = "picochat data import SOURCE --out-dir OUT"


def rows_of(word: str, count: int, **more: object) -> bytes:
    """JSON Lines with a text in `t`."""
    return b"".join(json.dumps({"t": f"{word} {n} {'x' * 30}", **more}).encode() + b"\n" for n in range(count))


def parquet_bytes(word: str, count: int, column: str = "t", group: int = 10) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({column: [f"{word} {n} {'x' * 30}" for n in range(count)]}), sink, row_group_size=group)
    return sink.getvalue().to_pybytes()


def fill(root: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return root


def import_local(source: Path, folder: Path, around: Surroundings | None = None, **settings: object) -> ImportManifest:
    config = ImportConfig.from_dict({"source": str(source), **settings})
    return run_import(folder, config, around or Surroundings(again=AGAIN)).manifest


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A new folder in memory where there is such a place: an import syncs every file that it writes."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as name:
        yield Path(name)


class Naps(list):
    """A sleep that only writes down how long it would have been."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def import_hub(hub, folder: Path, naps: Naps | None = None, token: str | None = None, **settings: object):
    asked = {"source": "hf:org/data", "text": "t", "endpoint": hub.url, **settings}
    if "split" not in asked and "files" not in asked and asked["source"] != "climbmix":
        asked["split"] = "train"
    around = Surroundings(token=token, again=AGAIN, sleep=naps if naps is not None else refuse_to_sleep)
    return run_import(folder, ImportConfig.from_dict(asked), around).manifest


def refuse_to_sleep(seconds: float) -> None:
    raise AssertionError(f"nothing should have waited {seconds} s")


def texts_of(folder: Path) -> dict[str, str | None]:
    return {name: text for name, text, _ in iter_import(folder)}


def contents(folder: Path) -> dict[str, bytes]:
    """The parts, and the manifest without its time and own digest."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    del manifest["created_at"], manifest["self_digest"]
    found = {path.name: path.read_bytes() for path in folder.glob("part-*")}
    return found | {MANIFEST: json.dumps(manifest, sort_keys=True).encode()}


@contextmanager
def refused(code: str, exit_code: int, *words: str) -> Iterator[list[PicochatError]]:
    """Expects a refusal that says certain words."""
    found: list[PicochatError] = []
    with pytest.raises(PicochatError) as caught:
        yield found
    found.append(caught.value)
    assert (caught.value.code, caught.value.exit_code) == (code, exit_code), caught.value.lines()
    said = "\n".join(caught.value.lines())
    assert [word for word in words if word not in said] == [], said
