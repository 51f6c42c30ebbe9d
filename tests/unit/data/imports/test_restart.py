"""Stopped, killed, moved, doubled: an import ends with the bytes of an undisturbed one, or says why it cannot."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.unit.data.imports.made import (
    AGAIN,
    Naps,
    contents,
    fill,
    import_hub,
    import_local,
    parquet_bytes,
    refused,
    rows_of,
    texts_of,
)

from picochat.core import failpoints
from picochat.core.errors import PicochatError
from picochat.core.publish import writer_lock
from picochat.data.imports import unit_work
from picochat.data.imports.config import ImportConfig
from picochat.data.imports.importer import Surroundings, run_import
from picochat.data.imports.manifest import DOWNLOADS, MANIFEST, PLAN, WORK, unit_name

ROOT = Path(__file__).parents[4]
FILES = {
    "a.jsonl": rows_of("a", 20) + b"bad\n",
    "b.parquet": parquet_bytes("b", 20, group=7),
    "c.csv": "t,u\n" + "".join(f"c {n},{'y' * 30}\n" for n in range(60)),
    "d.md": "---\nx: 1\n---\n" + "d" * 200,
    "e.txt": "e" * 200,
    "f.txt": b"\0",
    "g.txt": "g" * 200,
}
SETTINGS = {"text": "t", "part_bytes": 150}


@pytest.fixture
def source(tmp_path):
    return fill(tmp_path / "s", FILES)


@pytest.fixture
def undisturbed(source, tmp_path):
    import_local(source, tmp_path / "whole", **SETTINGS)
    return contents(tmp_path / "whole")


@pytest.fixture(autouse=True)
def nothing_armed():
    yield
    failpoints.disarm()


class Stop:
    """Asks for a stop at the n-th look."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self) -> str:
        self.left -= 1
        return "signal SIGTERM" if self.left == 0 else ""


def test_a_stop_at_any_moment_keeps_the_finished_parts_and_the_restart_gives_the_same_bytes(
    source, undisturbed, tmp_path
):
    at, stopped = 1, True
    while stopped:
        folder = tmp_path / f"stop-{at}"
        stopped = stops_in(source, folder, at)
        before = {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*")}
        import_local(source, folder, **SETTINGS)
        assert {name: (folder / name).stat().st_mtime_ns for name in before} == before, "a part was written again"
        assert contents(folder) == undisturbed
        at += 1
    assert at > len(undisturbed)


def stops_in(source, folder, at):
    """Whether an import came to the `at`-th look for a stop, and then ended as it should."""
    try:
        import_local(source, folder, Surroundings(stop_reason=Stop(at), again=AGAIN), **SETTINGS)
    except PicochatError as err:
        assert (err.code, err.exit_code, err.fix) == ("run.stopped", 75, AGAIN)
        assert "signal SIGTERM" in err.detail
        return True
    return False


@pytest.mark.parametrize("at", [1, 4, 9])
@pytest.mark.parametrize("point", ["import.after_part", "file.before_publish"])
def test_a_disk_that_fills_keeps_the_finished_parts(source, undisturbed, tmp_path, point, at):
    failpoints.arm(f"{point}:enospc@{at}")
    with refused("disk.full", 5, "no space left"):
        import_local(source, tmp_path / "out", **SETTINGS)
    kept = list((tmp_path / "out").glob("part-*"))
    assert len(kept) >= at // 3
    assert not (tmp_path / "out" / MANIFEST).exists()
    import_local(source, tmp_path / "out", **SETTINGS)
    assert contents(tmp_path / "out") == undisturbed


@pytest.mark.parametrize(
    "point", ["import.after_part:sigkill@1", "import.after_part:sigkill@6", "file.before_publish:sigkill@9"]
)
def test_killed_in_the_middle_and_started_again_it_gives_the_same_bytes(source, undisturbed, tmp_path, point):
    script = f"""
        import sys
        from pathlib import Path
        from picochat.core import failpoints
        from picochat.data.imports.config import ImportConfig
        from picochat.data.imports.importer import run_import
        failpoints.arm({point!r})
        run_import(Path(sys.argv[2]), ImportConfig.from_dict({{"source": sys.argv[1], **{SETTINGS!r}}}))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(source), str(tmp_path / "out")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "out" / PLAN).is_file()
    import_local(source, tmp_path / "out", **SETTINGS)
    assert contents(tmp_path / "out") == undisturbed
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == [".lock"]


def test_a_part_that_was_lost_or_cut_meanwhile_is_made_again(source, undisturbed, tmp_path):
    with refused("run.stopped", 75):
        import_local(source, tmp_path / "out", Surroundings(stop_reason=Stop(12)), **SETTINGS)
    first, second = sorted((tmp_path / "out").glob("part-*"))[:2]
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    import_local(source, tmp_path / "out", **SETTINGS)
    assert contents(tmp_path / "out") == undisturbed


def test_finished_files_are_not_read_again(source, tmp_path, monkeypatch):
    failpoints.arm("import.after_part:enospc@6")
    with refused("disk.full", 5, "part-00001-"):
        import_local(source, tmp_path / "out", **SETTINGS)
    assert json.loads((tmp_path / "out" / unit_name(0)).read_bytes())["done"]
    read = []
    whole = unit_work.iter_records
    monkeypatch.setattr(unit_work, "iter_records", lambda path, *a, **k: read.append(path.name) or whole(path, *a, **k))
    import_local(source, tmp_path / "out", **SETTINGS)
    assert read == ["b.parquet", "c.csv"]


def test_an_import_that_is_finished_says_so_and_touches_nothing(source, tmp_path):
    first = import_local(source, tmp_path / "out", **SETTINGS)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    (source / "a.jsonl").unlink()
    again = import_local(source, tmp_path / "out", **SETTINGS)
    assert again == first
    del before[".lock"]
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in before} == before


def test_working_state_that_a_kill_left_beside_the_manifest_is_removed(source, tmp_path):
    import_local(source, tmp_path / "out", **SETTINGS)
    fill(tmp_path / "out", {PLAN: "{}"})
    import_local(source, tmp_path / "out", **SETTINGS)
    assert not (tmp_path / "out" / WORK).exists()


def test_other_settings_are_refused_by_name(source, tmp_path):
    import_local(source, tmp_path / "done", **SETTINGS)
    with refused("run.stopped", 75):
        import_local(source, tmp_path / "half", Surroundings(stop_reason=Stop(5)), **SETTINGS)
    for folder, state in (("done", "a finished import"), ("half", "not finished")):
        with refused("import.settings", 2, state, "text was 't' and is 'u'", "max_rows was None and is 7", "--out-dir"):
            import_local(source, tmp_path / folder, text="u", max_rows=7, part_bytes=150)
        with refused("import.settings", 2, "source was"):
            import_local(tmp_path, tmp_path / folder, **SETTINGS)
    import_local(source, tmp_path / "half", workers=1, **SETTINGS)


def test_the_same_path_in_other_words_is_the_same_source(source, tmp_path, monkeypatch):
    import_local(source, tmp_path / "out", **SETTINGS)
    monkeypatch.chdir(tmp_path)
    import_local(Path("s/../s"), tmp_path / "out", **SETTINGS)


def test_a_second_writer_is_refused(source, tmp_path):
    with writer_lock(tmp_path / "out"), refused("run.busy", 5, str(tmp_path / "out"), f"pid {os.getpid()}"):
        import_local(source, tmp_path / "out", **SETTINGS)


def test_a_local_source_that_changed_between_two_attempts_is_refused_by_name(source, tmp_path):
    with refused("run.stopped", 75):
        import_local(source, tmp_path / "out", Surroundings(stop_reason=Stop(14)), **SETTINGS)
    fill(source, {"new.txt": "new", "e.txt": "longer than it was" * 20})
    (source / "g.txt").unlink()
    words = ["e.txt has 360 bytes, it had 200", "g.txt is gone", "new.txt is new", "another --out-dir"]
    with refused("source.changed", 4, *words):
        import_local(source, tmp_path / "out", **SETTINGS)


def test_a_file_with_other_bytes_than_its_first_parts_were_made_of_is_refused(source, tmp_path):
    with refused("run.stopped", 75):
        import_local(source, tmp_path / "out", Surroundings(stop_reason=Stop(5)), **SETTINGS)
    stat = (source / "a.jsonl").stat()
    (source / "a.jsonl").write_bytes(FILES["a.jsonl"].replace(b"x", b"y"))
    os.utime(source / "a.jsonl", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with refused("source.changed", 4, "its first parts were made of"):
        import_local(source, tmp_path / "out", **SETTINGS)


HUB_FILES = {"train-0.jsonl": rows_of("a", 20), "train-1.jsonl": rows_of("b", 20)}


def stop_in_second_file(hub, folder):
    hub.fail("storage:.*train-1", "status", 500, times=5)
    with refused("hub.unreachable", 5):
        import_hub(hub, folder, Naps(), part_bytes=150)


def test_a_branch_that_moved_between_two_attempts_is_refused_with_both_commits(hub, tmp_path):
    old = hub.commit(HUB_FILES)
    stop_in_second_file(hub, tmp_path / "out")
    new = hub.commit({"train-0.jsonl": rows_of("new", 3)})
    with refused("import.moved", 4, old, new, f"--revision {old}", "another --out-dir"):
        import_hub(hub, tmp_path / "out", part_bytes=150)
    manifest = import_hub(hub, tmp_path / "out", part_bytes=150, revision=old)
    assert (manifest.source.revision, manifest.documents) == (old, 40)
    with refused("import.settings", 2, f"(commit {old}) and is 'v2'"):
        import_hub(hub, tmp_path / "out", part_bytes=150, revision="v2")


def test_a_restart_fetches_only_what_is_missing(hub, tmp_path):
    hub.commit(HUB_FILES)
    import_hub(hub, tmp_path / "whole", part_bytes=150)
    hub.fail("storage:.*train-1", "drop", 300, times=1)
    hub.fail("storage:.*train-1", "status", 500, times=4)
    with refused("hub.unreachable", 5):
        import_hub(hub, tmp_path / "out", Naps(), part_bytes=150)
    [left] = (tmp_path / "out" / DOWNLOADS).iterdir()
    assert 0 < left.stat().st_size < len(HUB_FILES["train-1.jsonl"])
    hub.requests.clear()
    import_hub(hub, tmp_path / "out", part_bytes=150)
    assert hub.fetched() == ["train-1.jsonl"]
    assert hub.requests[-1].headers["range"].startswith("bytes=")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_revision_that_is_gone_at_the_restart_is_refused(hub, tmp_path):
    old = hub.commit(HUB_FILES)
    stop_in_second_file(hub, tmp_path / "out")
    del hub.commits[old], hub.branches["main"]
    with refused("hub.revision", 2, "main"):
        import_hub(hub, tmp_path / "out", part_bytes=150)
    with refused("source.vanished", 4, old):
        import_hub(hub, tmp_path / "out", part_bytes=150, revision=old)


def test_nothing_is_asked_of_the_hub_when_only_the_manifest_is_missing(hub, tmp_path):
    hub.commit(HUB_FILES)
    failpoints.arm("file.before_publish:enospc@6")
    with refused("disk.full", 5, MANIFEST):
        import_hub(hub, tmp_path / "out")
    hub.requests.clear()
    import_hub(hub, tmp_path / "out")
    assert hub.requests == []
    assert len(texts_of(tmp_path / "out")) == 40


def test_a_stop_while_a_file_is_fetched_ends_between_two_parts(hub, tmp_path):
    hub.commit({"train-0.jsonl": rows_of("a", 3), "train-1.jsonl": rows_of("b", 10_000)})
    config = ImportConfig(source="hf:org/data", text="t", split="train", endpoint=hub.url)
    with refused("run.stopped", 75, AGAIN):
        run_import(tmp_path / "out", config, Surroundings(stop_reason=Stop(6), again=AGAIN))
    assert import_hub(hub, tmp_path / "out").documents == 10_003
