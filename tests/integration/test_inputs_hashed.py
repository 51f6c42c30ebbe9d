"""D0: each stage hashes what it reads, so one flipped byte anywhere stops the next stage and is named.

The edges of the artifact graph: pack and imports to dataset, and every file that any later stage names as its input.
"""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.tiny_run import build_run, flip_byte, write_pack

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.cli.app import cli
from picochat.core.errors import PicochatError
from picochat.data.imports.manifest import MANIFEST
from picochat.pipeline.config import RunConfig, resolve, settings_layer
from picochat.pipeline.profiles import load_profile
from picochat.pipeline.runner import STAGE_BY_NAME, Factory, load_run_record, open_run, run_stages

pytestmark = pytest.mark.bar("D0")
STAGES = ("honesty", "tokenizer", "shards", "base", "sft", "evaluate", "memorisation")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    """A whole run that trains from shards."""
    folder = tmp_path_factory.mktemp("d0")
    settings = {"base.data_mode": "sharded", "shards.shard_bytes": 9000}
    return build_run(folder / "run", write_pack(folder / "texts"), **settings)


@pytest.mark.parametrize("stage", STAGES)
def test_a_flipped_byte_in_any_input_stops_the_stage_by_name(
    finished: RunStore, tmp_path: Path, stage: str, measured: Callable
):
    shutil.copytree(finished.root, tmp_path / "run")
    store = RunStore(tmp_path / "run")
    config = RunConfig.from_dict(load_run_record(store).config)
    report = store.read(STAGE_BY_NAME[stage].report)
    inputs = [ref["path"] for ref in report["manifest"]["inputs"] if not ref["external"]]
    assert inputs and (stage != "base" or any(name.endswith(".bin") and "train-" in name for name in inputs))
    for name in inputs:
        path = store.path(name)
        whole = path.read_bytes()
        if not whole:
            continue
        flip_byte(path)
        with pytest.raises(PicochatError) as caught:
            run_stages(store, config, Factory(), (stage,))
        said = caught.value.detail
        assert path.name in said or path.parent.name in said, (name, said)
        assert caught.value.exit_code == 4, (name, said)
        path.write_bytes(whole)
    measured(f"{stage}: {len(inputs)} inputs, each flipped byte stops it by name")


def test_every_stage_of_a_run_is_looked_at():
    """The dataset reads from outside, the summary reads everything through verify, and what the comparison with a
    prediction reads is looked at with one (test_prediction)."""
    assert set(STAGES) == set(STAGE_BY_NAME) - {"dataset", "prediction", "summary"}


def build_dataset(pack: Path, root: Path) -> RunStore:
    settings = {"data.pack": str(pack), "data.generate_skills": False, "data.val_fraction": 0.2}
    resolved = resolve("tiny", load_profile("tiny").build(), [("--set", settings_layer(list(settings.items())))])
    store = open_run(root, "tiny", resolved, resume=False)
    run_stages(store, resolved.config, Factory(), ("dataset",))
    return store


def test_a_flipped_byte_in_an_import_stops_the_dataset_by_name(tmp_path: Path, measured: Callable):
    rng = random.Random(4)
    lines = [json.dumps({"t": " ".join(f"w{rng.randrange(900)}" for _ in range(40))}) for _ in range(80)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    argv = ["data", "import", str(tmp_path / "rows.jsonl"), "--out-dir", str(tmp_path / "in"), "--text", "t", "--quiet"]
    assert CliRunner().invoke(cli, argv, catch_exceptions=False).exit_code == 0
    store = build_dataset(tmp_path / "in", tmp_path / "whole")
    manifest = store.read(layout.CORPUS_MANIFEST)
    assert manifest["counts"]["documents"] == 80 and manifest["sources"][0]["import"]["rows_read"] == 80
    assert [ref["kind"] for ref in manifest["manifest"]["inputs"]] == ["import_manifest"]
    files = [tmp_path / "in" / MANIFEST, *sorted((tmp_path / "in").glob("part-*"))]
    assert len(files) == 2
    for number, path in enumerate(files):
        whole = path.read_bytes()
        flip_byte(path)
        with pytest.raises(PicochatError) as caught:
            build_dataset(tmp_path / "in", tmp_path / f"run-{number}")
        assert caught.value.exit_code == 4 and path.name in caught.value.detail
        path.write_bytes(whole)
    measured(f"dataset: {len(files)} files of an import, each flipped byte stops it by name")
