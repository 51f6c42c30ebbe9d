"""What stays on disk: the last save and the one before, the best, and every N-th for good."""

import json
import signal
from pathlib import Path

import pytest
from tests.support.tiny_run import flip_byte, picochat, set_flags, tiny_settings

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.judgement.verify import verify_run
from picochat.training.config import LoopConfig

KEPT = ["base/kept/step-00000020", "base/kept/step-00000040"]


def arguments(root: Path, pack: Path) -> list[object]:
    settings = tiny_settings(pack, **{"base.loop.keep_every": 20})
    return ["run", "tiny", "--out-dir", root, "--quiet", *set_flags(settings)]


def test_every_nth_checkpoint_stays_and_is_verified_even_after_a_crash_while_it_was_saved(pack: Path, tmp_path: Path):
    """Saves come at 10, kept 20, 20: the second one dies before its manifest."""
    root = tmp_path / "run"
    died = picochat(*arguments(root, pack), failpoint="ckpt.before_manifest:sigkill@2")
    assert died.returncode == -signal.SIGKILL
    done = picochat(*arguments(root, pack), "--resume")
    assert done.returncode == 0, done.stderr
    store = RunStore(root)
    report = store.read(layout.report_path(layout.BASE))["training"]
    assert report["resumes"][0]["step"] == 10
    assert [folder for folder in store.checkpoint_folders() if "kept" in folder] == KEPT
    steps = [json.loads((root / folder / layout.CKPT_MANIFEST).read_bytes())["step"] for folder in KEPT]
    assert steps == [20, 40]
    assert report["saves"]["count"] == 5 and 0 < report["saves"]["frac"] < 1
    assert not list(root.rglob(".tmp-*"))
    assert not [result for result in verify_run(store) if result.verdict == "block"]
    listed = json.loads(picochat("checkpoint", "list", root, "--json").stdout)
    assert {row["folder"]: row["problem"] for row in listed if "kept" in row["folder"]} == dict.fromkeys(KEPT, "")
    flip_byte(root / KEPT[0] / layout.CKPT_WEIGHTS)
    blocks = [result for result in verify_run(store) if result.verdict == "block"]
    assert any(f"{KEPT[0]}/{layout.CKPT_WEIGHTS}" in str(result) for result in blocks)


@pytest.mark.parametrize("save_every", [0, 30])
def test_what_is_kept_must_be_saved(save_every: int):
    with pytest.raises(PicochatError) as caught:
        LoopConfig(tokens=1, seq_len=8, micro_batch_size=1, save_every=save_every, keep_every=20)
    assert caught.value.code == "config.conflict" and "save_every" in caught.value.lines()[-1]
