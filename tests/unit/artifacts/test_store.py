import os
import subprocess
import sys

import pytest

from picochat.artifacts import layout
from picochat.artifacts.reports import Manifest
from picochat.artifacts.store import RunLock, RunStore, StageRecord
from picochat.core.config import Config
from picochat.core.errors import PicochatError
from picochat.core.jsonio import pretty_json

REPORT = layout.report_path(layout.BASE)


@pytest.fixture
def store(tmp_path):
    store = RunStore(tmp_path / "run")
    store.write(layout.RUN, pretty_json({"name": "x"}))
    return store


def write_stage(store) -> StageRecord:
    """A base report over one input and two outputs."""
    store.write(layout.CORPUS, b"text")
    record = StageRecord(store, "base", 1, Config(), 1.0)
    record.add_input("corpus", layout.CORPUS)
    for name in ("base/a", "base/b"):
        store.write(name, name.encode())
        record.add_output("part", name)
    store.write_report(REPORT, "base_report", {"loss": 1.0}, record.manifest(3.5, torch="x"))
    return record


def refusal(call, *args) -> PicochatError:
    with pytest.raises(PicochatError) as caught:
        call(*args)
    return caught.value


def test_a_report_carries_its_manifest_and_is_read_again(store):
    write_stage(store)
    report = store.require_outputs(REPORT, "base_report")
    manifest = Manifest.from_json(report["manifest"], "x")
    assert (report["schema"], report["loss"]) == ({"name": "base_report", "version": 1}, 1.0)
    assert (manifest.stage, manifest.duration_s, manifest.run_digest) == ("base", 2.5, store.run_digest())
    assert [ref.path for ref in manifest.inputs] == [layout.CORPUS]
    assert [(ref.path, ref.bytes, ref.external) for ref in manifest.outputs] == [
        ("base/a", 6, False),
        ("base/b", 6, False),
    ]
    assert manifest.environment["torch"] == "x" and manifest.environment["python"]
    assert manifest.config == Config().digest()


@pytest.mark.parametrize("name", ["base/a", "base/b"])
def test_a_changed_byte_of_an_output_is_refused_by_the_name_of_its_file(store, name):
    write_stage(store)
    data = bytearray(store.path(name).read_bytes())
    data[-1] ^= 1
    store.path(name).write_bytes(data)
    err = refusal(store.require_outputs, REPORT, "base_report")
    assert (err.code, err.exit_code) == ("artifact.changed", 4)
    assert str(store.path(name)) in err.detail


def test_a_missing_output_is_refused_by_name(store):
    write_stage(store)
    store.path("base/b").unlink()
    err = refusal(store.require_outputs, REPORT, "base_report")
    assert (err.code, str(store.path("base/b")) in err.detail) == ("artifact.missing", True)


def test_a_report_of_another_run_is_refused(store):
    write_stage(store)
    store.path(layout.RUN).write_bytes(pretty_json({"name": "y"}))
    err = refusal(store.require_outputs, REPORT, "base_report")
    assert err.code == "artifact.changed" and "belongs to run.json" in err.detail


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d["schema"].update(version=2),
        lambda d: d["schema"].update(name="sft_report"),
        lambda d: d.pop("schema"),
        lambda d: d.pop("manifest"),
        lambda d: d["manifest"].update(extra=1),
        lambda d: d["manifest"].pop("inputs"),
        lambda d: d["manifest"]["outputs"][0].pop("sha256"),
        lambda d: d["manifest"].update(duration_s="long"),
    ],
)
def test_a_report_that_does_not_follow_its_schema_is_refused(store, edit):
    write_stage(store)
    document = store.read(REPORT)
    edit(document)
    store.path(REPORT).write_bytes(pretty_json(document))
    err = refusal(store.read_report, REPORT, "base_report")
    assert err.code == "artifact.schema" and "report.json" in err.detail


@pytest.mark.parametrize("document", [[], "x", 3, None])
def test_a_report_that_is_no_object_is_refused(store, document):
    store.write(REPORT, pretty_json(document))
    assert refusal(store.read_report, REPORT, "base_report").code == "artifact.schema"


def test_inputs_are_hashed_and_compared_again(store, tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_bytes(b"abc")
    record = StageRecord(store, "base", 1, Config(), 0.0)
    ref = record.add_input("corpus", outside)
    assert (ref.external, ref.path, store.require_unchanged(ref)) == (True, str(outside), outside)
    outside.write_bytes(b"abd")
    assert refusal(store.require_unchanged, ref).code == "artifact.changed"
    outside.unlink()
    assert refusal(store.require_unchanged, ref).code == "artifact.missing"
    assert refusal(record.add_input, "corpus", outside).code == "artifact.missing"


def test_refs_below_a_folder_are_in_the_order_of_their_names(store):
    for name in ("c/z", "c/a", "c/m/b"):
        store.write(name, b"1")
    assert [ref.path for ref in store.refs_below("x", "c")] == ["c/a", "c/m/b", "c/z"]
    assert store.refs_below("x", "none") == []


def test_new_evidence_moves_the_old_aside_and_equal_evidence_moves_nothing(store):
    for data in (b"1", b"1", b"2"):
        store.write_evidence(REPORT, data)
    assert store.path(REPORT).read_bytes() == b"2"
    assert {p.name: p.read_bytes() for p in store.path("base").glob("report*")} == {
        "report.json": b"2",
        "report.001.json": b"1",
    }


def test_two_writers_on_one_run_are_refused_and_the_lock_ends_with_its_owner(store):
    with RunLock(store.root):
        err = refusal(RunLock(store.root).__enter__)
        assert (err.code, err.exit_code, str(store.root) in err.detail) == ("run.busy", 5, True)
    with RunLock(store.root), pytest.raises(PicochatError):
        RunLock(store.root).__enter__()
    with RunLock(store.root):
        pass


def test_the_lock_holds_against_another_process_and_no_child_inherits_it(store):
    code = (
        "import sys, fcntl, os\n"
        "d = os.open(sys.argv[1], os.O_RDWR)\n"
        "try: fcntl.flock(d, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except BlockingIOError: sys.exit(7)"
    )
    argv = [sys.executable, "-c", code, str(store.path(layout.LOCK))]
    with RunLock(store.root) as lock:
        assert subprocess.run(argv, check=False).returncode == 7
        assert not os.get_inheritable(lock._descriptor)  # pyright: ignore[reportArgumentType]
    assert subprocess.run(argv, check=False).returncode == 0
