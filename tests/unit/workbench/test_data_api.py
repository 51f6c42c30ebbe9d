"""Data, dropped documents, tokens and chat rows as the workbench answers for them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tests.support.bench_client import ask, bench_client
from tests.support.green_run import GreenRun

from picochat.tokenizer.tokenizer import Tokenizer
from picochat.workbench.api.data import MOST_TEXT_CHARS
from picochat.workbench.bench import Workbench

TOKEN = "hf_" + "A1b2" * 8


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "green"
    GreenRun(root).build(n=40)
    return root


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "runs" / "green")
    return tmp_path / "runs"


def test_data_is_what_the_manifest_says(runs: Path):
    found = ask(runs, "green/data")
    stored = json.loads((runs / "green/corpus_manifest.json").read_bytes())
    assert (
        found["dataset"]["counts"] == stored["counts"] and found["command"] == f"picochat data inspect {runs / 'green'}"
    )
    assert found["tokenizer"]["vocab_size"] == 288 and found["packing"]["conversations"]["conversations"] == 600


def test_a_torn_manifest_is_a_state_and_its_texts_are_masked(runs: Path):
    path = runs / "green/corpus_manifest.json"
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps(document | {"warnings": [f"\u202e {TOKEN}"]}))
    assert ask(runs, "green/data")["dataset"]["warnings"] == [r"\u202e [redacted]"]
    path.write_bytes(path.read_bytes()[:100])
    found = ask(runs, "green/data")["dataset"]
    assert found["state"] == "unreadable" and found["why"] and found["sources"] == []


def test_dropped_documents_by_reason(runs: Path):
    found = ask(runs, "green/dropped")
    assert found["state"] == "present" and found["next"] is None
    assert [(row["name"], row["reason"]) for row in found["rows"]] == [("bad.bin", "binary")]
    assert ask(runs, "green/dropped", reason="too_short")["rows"] == []
    (runs / "green/corpus_dropped.jsonl").unlink()
    assert ask(runs, "green/dropped")["state"] == "missing"


@pytest.mark.parametrize("text", ["hello", "", "<|end|> <|bos|>", "h\u00e9 \U0001f600\x00\u202e", "  \n\t x" * 20])
def test_ids_are_those_of_the_commands(runs: Path, text: str):
    found = ask(runs, "green/tokens", text=text)
    expected = Tokenizer.load(runs / "green/tokenizer.json").encode(text)
    assert [token[0] for token in found["tokens"]] == expected and found["vocab_size"] == 288
    assert b"".join(bytes.fromhex(token[2]) for token in found["tokens"]) == text.encode()
    assert found["bytes"] == len(text.encode())


def test_texts_are_bounded_and_a_run_without_a_tokenizer_says_so(runs: Path):
    client = bench_client(Workbench(runs))
    assert client.get("/api/runs/green/tokens", params={"text": "x" * (MOST_TEXT_CHARS + 1)}).status_code == 422
    assert client.get("/api/runs/green/tokens").status_code == 422
    (runs / "green/tokenizer.json").write_bytes(b"{}")
    found = ask(runs, "green/tokens", text="x")
    assert found["state"] == "unreadable" and found["tokens"] is None and found["why"]
    (runs / "green/tokenizer.json").unlink()
    assert ask(runs, "green/tokens", text="x")["state"] == ask(runs, "green/chat_rows")["state"] == "missing"


def test_a_tokenizer_is_read_again_when_its_file_is_another_one(runs: Path, tmp_path: Path):
    bench = Workbench(runs)
    before = ask(bench, "green/tokens", text="wording of the run")
    GreenRun(tmp_path / "other", name="other").build(n=4)
    os.replace(tmp_path / "other/tokenizer.json", runs / "green/tokenizer.json")
    after = ask(bench, "green/tokens", text="wording of the run")
    assert before["tokens"] != after["tokens"]


def test_chat_rows_are_paged_and_filtered(runs: Path):
    first = ask(runs, "green/chat_rows", limit=3)
    assert len(first["rows"]) == 3 and first["next"] and first["row_tokens"] is None
    count, found, cursor = len((runs / "green/chat/train.jsonl").read_bytes().splitlines()), 3, first["next"]
    while cursor is not None:
        second = ask(runs, "green/chat_rows", limit=50, cursor=cursor)
        found, cursor = found + len(second["rows"]), second["next"]
    assert found == count > 50
    category = second["rows"][0]["category"]
    named = ask(runs, "green/chat_rows", limit=50, category=category)["rows"]
    assert named and {row["category"] for row in named} == {category}
    assert all(row["tokens"][0][0] == Tokenizer.load(runs / "green/tokenizer.json").bos for row in named)


def test_the_length_of_a_training_row_comes_from_the_run_and_bad_rows_are_shown(runs: Path):
    document = json.loads((runs / "green/run.json").read_bytes())
    document["config"] = {"sft": {"loop": {"seq_len": 12}}}
    (runs / "green/run.json").write_text(json.dumps(document))
    rows = [{"user": "a long question of many words", "assistant": "ok", "category": "c"}, {"user": "x"}]
    (runs / "green/chat/train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = ask(runs, "green/chat_rows")
    assert found["row_tokens"] == 12 and "holds 12" in found["rows"][0]["left_out"]
    assert found["rows"][1]["problem"] == "category: Field required"
    (runs / "green/chat/train.jsonl").unlink()
    os.mkfifo(runs / "green/chat/train.jsonl")
    assert ask(runs, "green/chat_rows")["state"] == "unreadable"
