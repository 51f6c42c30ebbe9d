"""The command: its table, its JSON, packs, and the sentence that says how to go on."""

import json
import shlex

import pytest
from click.testing import CliRunner
from tests.unit.data.imports.made import TOKEN, fill, import_hub, refused, rows_of, texts_of

from picochat.cli.commands import data_import
from picochat.cli.commands.data_import import import_source
from picochat.data.imports.manifest import MANIFEST


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """What the command sets in the environment is taken back after the test."""
    for name, value in data_import._QUIET_LIBRARY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HF_TOKEN", raising=False)


def run(*argv: object) -> str:
    result = CliRunner().invoke(import_source, [str(word) for word in argv])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_table_counts_what_became_of_every_row(tmp_path):
    source = fill(tmp_path / "s", {"a.jsonl": rows_of("a", 3) + b"bad\n"})
    settings = ["--out-dir", tmp_path / "out", "--text", "t", "--licence", "CC0-1.0", "--max-rows", 9]
    table = run(source, *settings, "--set", "part_bytes=60")
    lines = [line.split() for line in table.splitlines()]
    assert ["rows", "read", "4"] in lines and ["documents", "3"] in lines
    assert ["dropped:", "row_not_json", "1"] in lines
    assert ["licence", "CC0-1.0", "(given)"] in lines and ["state", "finished"] in lines
    assert any(line[:2] == ["parts", "2,"] for line in lines)
    assert ["state", "was", "finished", "before"] in [
        line.split() for line in run(source, *settings, "--set", "part_bytes=60").splitlines()
    ]
    assert run(source, *settings, "--set", "part_bytes=60", "--quiet") == ""


def test_json_is_the_manifest(tmp_path):
    source = fill(tmp_path / "s", {"a.jsonl": rows_of("a", 3)})
    filters = 'filters=[{column="t", one_of=["no"]}, {column="t", exists=true}]'
    with refused("source.empty", 4, "3 filter:t"):
        run(source, "--out-dir", tmp_path / "none", "--text", "t", "--set", filters)
    told = json.loads(run(source, "--out-dir", tmp_path / "out", "--text", "t", "--json"))
    assert told == json.loads((tmp_path / "out" / MANIFEST).read_bytes())


def test_a_refusal_names_the_command_that_goes_on_word_for_word(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("picochat.data.imports.hub.TRIES", 1)
    hub.commit({"train.jsonl": rows_of("a", 3)})
    hub.fail("storage:", "status", 500)
    words = ["hf:org/data", "--out-dir", tmp_path / "my out", "--text", "t", "--split", "train", "--max-rows", "7"]
    words += ["--set", f"endpoint={hub.url}"]
    with refused("hub.unreachable", 5, "picochat data import") as found:
        run(*words)
    again = shlex.split(found[0].fix)
    assert again[:3] == ["picochat", "data", "import"]
    hub.faults.clear()
    assert "finished" in run(*again[3:])


def test_the_token_of_the_environment_is_used(hub, tmp_path, monkeypatch):
    hub.token = TOKEN
    hub.commit({"train.jsonl": rows_of("a", 3)})
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    run("hf:org/data", "--out-dir", tmp_path / "out", "--text", "t", "--split", "train", "--set", f"endpoint={hub.url}")
    assert len(texts_of(tmp_path / "out")) == 3


def test_a_pack_file_has_its_imports_made_beside_it(hub, tmp_path):
    hub.commit({"train.jsonl": rows_of("a", 3), "test.jsonl": rows_of("b", 2)})
    source = '[[sources]]\nid = "{0}"\nimport = "hf"\ndataset = "org/data"\nsplit = "{0}"\ntext = "t"\n'
    pack = fill(
        tmp_path / "p",
        {
            "pack.toml": 'schema = "pack/1"\nname = "p"\n' + source.format("train") + source.format("test"),
            "local.toml": 'schema = "pack/1"\nname = "p"\n[[sources]]\nid = "a"\npath = "x"\n',
        },
    )
    told = json.loads(run(pack / "pack.toml", "--set", f"endpoint={hub.url}", "--json"))
    assert [manifest["documents"] for manifest in told] == [3, 2]
    assert len(texts_of(pack / "imports" / "test")) == 2
    import_hub(hub, pack / "imports" / "train")
    with refused("config.conflict", 2, "is a pack file"):
        run(pack / "pack.toml", "--out-dir", tmp_path / "out")
    with refused("config.value", 2, "no source with import"):
        run(pack / "local.toml")


def test_json_with_a_pack_schema_is_a_pack_and_other_json_holds_rows(tmp_path):
    pack = {"schema": "pack/1", "name": "p", "sources": [{"id": "a", "path": "x"}]}
    folder = fill(tmp_path / "s", {"pack.json": json.dumps(pack), "rows.json": rows_of("a", 2)})
    with refused("config.value", 2, "no source with import"):
        run(folder / "pack.json")
    run(folder / "rows.json", "--out-dir", tmp_path / "out", "--text", "t")


def test_questions_that_cannot_be_meant(tmp_path):
    with refused("usage.path", 2, "--out-dir DIR"):
        run("hf:org/data", "--text", "t")
    with refused("config.key", 2, "did you mean 'workers'"):
        run("hf:org/data", "--out-dir", tmp_path, "--set", "worker=1")
    with refused("config.value", 2, "--text COLUMN"):
        run("hf:org/data", "--out-dir", tmp_path, "--split", "train")
