import json

import pytest

from picochat.core.errors import PicochatError
from picochat.data.imports.manifest import MANIFEST
from picochat.data.pack import builtin_pack, load_pack, parse_pack

FULL = """
schema = "pack/1"
name = "my-notes"
description = "Notes"
languages = ["en"]
[split]
val_fraction = 0.03
salt = "my-notes-1"
[[sources]]
id = "notes"
path = "texts"
include = ["**/*.md"]
exclude = ["**/drafts/**"]
format = "markdown"
revision = "2026-03"
licence = "CC-BY-4.0"
weight = 1
[[chat]]
path = "chat.jsonl"
[[eval]]
path = "eval.jsonl"
[[benchmarks]]
name = "blimp"
path = "blimp"
[identity]
name = "Nota"
"""
SOURCE = {"id": "a", "path": "x"}


def pack_of(**changes):
    return {"schema": "pack/1", "name": "p", "sources": [SOURCE], **changes}


def refusal(values):
    with pytest.raises(PicochatError) as caught:
        parse_pack(values, "pack.toml")
    return caught.value


def test_toml_and_json_give_the_same_pack(tmp_path):
    import tomllib

    (tmp_path / "p.toml").write_text(FULL)
    (tmp_path / "p.json").write_text(json.dumps(tomllib.loads(FULL)))
    from_toml, from_json = load_pack(tmp_path / "p.toml"), load_pack(tmp_path / "p.json")
    assert from_toml.pack == from_json.pack
    assert from_toml.pack.digest() == from_json.pack.digest()
    assert from_toml.root == tmp_path and from_toml.file == tmp_path / "p.toml"
    assert from_toml.resolve("texts") == tmp_path / "texts"
    assert from_toml.pack.split.val_fraction == 0.03
    assert from_toml.pack.sources[0].licence == "CC-BY-4.0"
    assert from_toml.pack.identity.name == "Nota"


def test_defaults_are_honest():
    pack = parse_pack(pack_of(), "p")
    assert pack.sources[0].licence == pack.sources[0].revision == "unknown"
    assert pack.split.val_fraction == 0.02


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        (pack_of(schema="pack/2"), "config.value", "pack/1"),
        ({"name": "p"}, "config.value", "pack/1"),
        ([1], "config.value", "list"),
        (pack_of(langauges=["en"]), "config.key", "'languages'"),
        (pack_of(sources=[{**SOURCE, "lisence": "x"}]), "config.key", "'sources.licence'"),
        (pack_of(sources=[]), "config.value", "sources"),
        (pack_of(sources=[SOURCE, SOURCE]), "config.value", "twice"),
        (pack_of(sources=[{**SOURCE, "id": "../x"}]), "config.value", "id"),
        (pack_of(split={"val_fraction": 0.9}), "config.value", "val_fraction"),
        (pack_of(sources=[{**SOURCE, "format": "jsonl"}]), "config.value", "COLUMN"),
        (pack_of(sources=[{"id": "w", "import": "hf", "dataset": "o/n"}]), "config.value", "COLUMN"),
        (pack_of(sources=[{"id": "w", "import": "hf", "text": "t"}]), "config.value", "hf:ORG/NAME"),
        (pack_of(sources=[{"id": "w", "import": "climbmix"}]), "config.value", "--shards"),
        (pack_of(sources=[{**SOURCE, "import": "climbmix", "shards": "0"}]), "config.value", "path or import"),
        (pack_of(sources=[{"id": "w"}]), "config.value", "path or import"),
        (pack_of(sources=[{**SOURCE, "max_rows": 5}]), "config.value", "max_rows is a key of an import"),
        (pack_of(sources=[{**SOURCE, "imports": "hf"}]), "config.key", "'sources.import'"),
        (pack_of(sources=[{**SOURCE, "format": "parquet"}]), "config.value", "COLUMN"),
        (pack_of(sources=[{**SOURCE, "weight": 0.0}]), "config.value", "weight"),
        (pack_of(sources=[{**SOURCE, "weight": 2.0, "token_budget": 5}]), "config.value", "give one of them"),
        (pack_of(contamination="ignore"), "config.value", "contamination"),
        (pack_of(preferences=[{"path": "x"}]), "usage.unavailable", "preferences"),
        (pack_of(canaries={}), "config.value", "canaries.copies"),
        (pack_of(canaries=[1, 4]), "config.value", "canaries"),
        (pack_of(canaries={"copies": []}), "config.value", "copies"),
        (pack_of(canaries={"copies": [0]}), "config.value", "copies.0"),
        (pack_of(canaries={"copies": [1, 1001]}), "config.value", "copies.1"),
        (pack_of(canaries={"copies": [4, 1, 4]}), "config.value", "4 copies stand twice"),
        (pack_of(canaries={"copies": ["1"]}), "config.value", "copies.0"),
        (pack_of(canaries={"copies": [True]}), "config.value", "copies.0"),
        (pack_of(canaries={"copies": [1.5]}), "config.value", "copies.0"),
        (pack_of(canaries={"copies": list(range(1, 11))}), "config.value", "copies"),
        (pack_of(canaries={"copies": [1], "each": 0}), "config.value", "each"),
        (pack_of(canaries={"copies": [1], "copy": 4}), "config.key", "'canaries.copies'"),
        (pack_of(canaries={"copies": [1]}, sources=[{**SOURCE, "id": "canary-1"}]), "config.value", "'canary-1'"),
    ],
)
def test_wrong_packs_are_refused_by_name(values, code, words):
    error = refusal(values)
    assert error.code == code and error.exit_code == 2
    assert words in error.detail and error.fix


@pytest.mark.parametrize("name", ["nowhere", "a/b/c.toml", "x" * 5000])
def test_a_missing_path_is_exit_2(tmp_path, name):
    with pytest.raises(PicochatError) as caught:
        load_pack(tmp_path / name)
    assert (caught.value.code, caught.value.exit_code) == ("usage.path", 2)


def test_broken_files_are_refused(tmp_path):
    (tmp_path / "p.toml").write_text("= nothing")
    (tmp_path / "p.json").write_text('{"schema": "pack/1", "schema": 2}')
    for name, code in (("p.toml", "config.value"), ("p.json", "json.invalid")):
        with pytest.raises(PicochatError) as caught:
            load_pack(tmp_path / name)
        assert caught.value.code == code


def test_a_bare_folder_and_a_bare_file_become_packs(tmp_path):
    folder = tmp_path / "My texts"
    folder.mkdir()
    (folder / "b\u00fccher.txt").write_text("text")
    pack = load_pack(folder).pack
    assert (pack.sources[0].id, pack.sources[0].licence, pack.sources[0].format) == ("My-texts", "unknown", "auto")
    loaded = load_pack(folder / "b\u00fccher.txt")
    assert loaded.pack.sources[0].format == "guessed" and loaded.root == folder
    assert load_pack(str(folder)).pack == pack


def test_the_built_in_pack_names_its_licence():
    pack = builtin_pack()
    assert load_pack("builtin").pack == pack
    assert {source.licence for source in pack.sources} == {"PSF-2.0"}
    assert pack.split.val_fraction == 0.05


def test_an_imported_source_lies_beside_its_pack_once_it_was_fetched(tmp_path):
    source = {"id": "web", "import": "hf", "dataset": "o/n", "split": "train", "text": "t", "max_rows": 7}
    (tmp_path / "p.json").write_text(json.dumps(pack_of(sources=[source])))
    loaded = load_pack(tmp_path / "p.json")
    (found,) = loaded.pack.sources
    config = found.import_config()
    assert (config.dataset, config.split, config.text, config.max_rows) == ("o/n", "train", "t", 7)
    assert loaded.pack.as_dict()["sources"][0]["import"] == "hf"
    with pytest.raises(PicochatError) as caught:
        loaded.source_path(found)
    assert (caught.value.code, caught.value.exit_code) == ("source.not_imported", 4)
    assert caught.value.fix == f"picochat data import {tmp_path / 'p.json'}"
    (tmp_path / "imports" / "web").mkdir(parents=True)
    (tmp_path / "imports" / "web" / MANIFEST).write_text("{}")
    assert loaded.source_path(found) == tmp_path / "imports" / "web"
