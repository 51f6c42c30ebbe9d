import pytest

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult, Evidence, overall
from picochat.artifacts.code_record import code_record, cpu_features, environment_record, package_digest
from picochat.artifacts.reports import FileRef
from picochat.artifacts.schema import VERSIONS, require_schema, schema_tag
from picochat.core.errors import PicochatError


def check(verdict, **more):
    return CheckResult(id="a.b", verdict=verdict, why="w", **more)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], "approved"),
        (["pass", "not_run"], "approved"),
        (["pass", "warn"], "warn"),
        (["waived"], "warn"),
        (["warn", "block", "pass"], "blocked"),
    ],
)
def test_the_worst_check_decides(verdicts, expected):
    assert overall([check(verdict) for verdict in verdicts]) == expected


def test_a_required_check_that_did_not_run_blocks():
    assert overall([check("pass"), check("not_run", required=True)]) == "blocked"
    assert overall([check("waived", required=True)]) == "warn"


def test_a_check_is_read_again_as_it_was_written():
    result = check("warn", measured=0.5, threshold=0.7, direction=">=", n=3, interval=(0.1, 0.9), inputs=("d",),
                   evidence=(Evidence(artifact="a", pointer="/x"),))  # fmt: skip
    assert CheckResult.from_json(result.to_json(), "x") == result


@pytest.mark.parametrize("edit", [{"verdict": "fine"}, {"extra": 1}, {"measured": float("nan")}, {"direction": "<"}])
def test_a_check_that_says_something_else_is_refused(edit):
    with pytest.raises(PicochatError) as caught:
        CheckResult.from_json(check("pass").to_json() | edit, "gate.json")
    assert caught.value.code == "artifact.schema"
    assert next(iter(edit)) in caught.value.detail


def test_a_file_reference_needs_all_its_facts():
    with pytest.raises(PicochatError, match=r"2 in all"):
        FileRef.from_json({"kind": "a", "path": "b"}, "x")


@pytest.mark.parametrize("name", sorted(VERSIONS))
def test_every_schema_names_itself(name):
    document = {"schema": schema_tag(name).to_json(), "x": 1}
    assert require_schema(document, name, "f") is document
    newer = {"schema": {"name": name, "version": VERSIONS[name] + 1}}
    with pytest.raises(PicochatError, match=r"f has schema .*expected"):
        require_schema(newer, name, "f")


@pytest.mark.parametrize(
    ("path", "live"),
    [
        (layout.STATUS, True),
        (layout.EVENTS, True),
        (layout.CONTROL, True),
        (layout.LOCK, True),
        ("base/.lock", True),
        (layout.rank_log(3), True),
        ("base/.tmp-abc/model.safetensors", True),
        ("base/.trash-1/x", True),
        ("base/checkpoint.broken/.broken-1", True),
        (layout.RUN, False),
        (layout.CORPUS, False),
        ("base/checkpoint/model.safetensors", False),
        ("base/logs/x", False),
        ("base/status.json", False),
        ("base/ledger.jsonl", False),
    ],
)
def test_what_is_live_is_never_hashed_and_what_is_not_is(path, live):
    assert layout.is_live(path) is live


def test_names_of_a_run():
    assert layout.report_path("sft") == "sft/report.json"
    assert layout.checkpoint_dir("base") == "base/checkpoint"
    assert layout.benchmark_dir("blimp") == "benchmarks/blimp"
    assert layout.rank_log(0) == "logs/rank0.log"


def test_the_package_digest_changes_with_a_byte_and_with_a_name_and_not_with_a_cache(tmp_path):
    package = tmp_path / "package"
    (package / "inner").mkdir(parents=True)
    (package / "a.py").write_text("a = 1\n")
    (package / "inner" / "rules.toml").write_text("x = 1\n")
    first = package_digest(package)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert package_digest(package) == first
    (package / "inner" / "rules.toml").write_text("x = 2\n")
    second = package_digest(package)
    (package / "a.py").rename(package / "b.py")
    assert len({first, second, package_digest(package)}) == 3


def test_the_code_and_the_environment_are_recorded_without_variables(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "canary-1234")
    record = code_record()
    assert len(record.package_digest) == 64 and record.version
    environment = environment_record(device="cpu")
    assert environment["device"] == "cpu"
    assert environment.keys() == {"python", "platform", "machine", "cpu_features", "device"}
    assert "canary-1234" not in str(environment)
    assert set(cpu_features()) <= {"avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16"}
