"""Exports of models that were trained: by the command line, loaded by others, damaged, repeated, killed, refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.support.tiny_run import build_run, environment, flip_byte, picochat

from picochat.artifacts import layout
from picochat.artifacts.export_record import inspect_export, parse_record
from picochat.artifacts.store import RunStore
from picochat.cli.export_check import check_targets
from picochat.core.publish import writer_lock
from picochat.export.parity import gguf_proof, hf_proof
from picochat.export.source import open_source
from picochat.judgement.verify import verify_run

needs_transformers = pytest.mark.skipif(not hf_proof.is_installed(), reason="NOT RUN: transformers is not installed")
needs_llama = pytest.mark.skipif(not gguf_proof.is_installed(), reason="NOT RUN: xllamacpp is not installed")
HF, GGUF = layout.export_dir("hf"), layout.export_dir("gguf")
Copy = Callable[[RunStore], RunStore]


@pytest.fixture(scope="session")
def sequential_run(tmp_path_factory: pytest.TempPathFactory, pack: Path) -> RunStore:
    """A trained model with the blocks of Qwen3, exported both ways. Read only."""
    store = build_run(tmp_path_factory.mktemp("sequential") / "run", pack, **{"model.residual": "sequential"})
    for argv in (("hf",), ("gguf", "--type", "f32", "--type", "Q8_0", "--type", "q4_0")):
        made = picochat("export", argv[0], store.root, *argv[1:], "--quiet")
        assert made.returncode == 0, made.stderr
    return store


@pytest.fixture(scope="session")
def parallel_run(tiny_run: RunStore, tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    """A trained model with parallel residuals, exported. Read only."""
    root = tmp_path_factory.mktemp("parallel") / "run"
    shutil.copytree(tiny_run.root, root)
    made = picochat("export", "hf", root, "--quiet")
    assert made.returncode == 0, made.stderr
    return RunStore(root)


@pytest.fixture
def copied(tmp_path: Path) -> Copy:
    def copy(store: RunStore) -> RunStore:
        shutil.copytree(store.root, tmp_path / "copy")
        return RunStore(tmp_path / "copy")

    return copy


def results(store: RunStore, check: str) -> list[tuple[str, str]]:
    return [(r.verdict, r.evidence[0].artifact) for r in verify_run(store) if r.id == check]


@needs_transformers
@pytest.mark.parametrize("kind", ["sequential", "parallel"])
def test_transformers_loads_a_trained_model_and_answers_the_same(
    kind: str, sequential_run: RunStore, parallel_run: RunStore
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    store = sequential_run if kind == "sequential" else parallel_run
    folder, source = str(store.path(HF)), open_source(store)
    theirs = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    assert type(theirs).__name__ == ("Qwen3ForCausalLM" if kind == "sequential" else "PicochatForCausalLM")
    messages = [{"role": "user", "content": "Spell cat."}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    tokens = torch.tensor([list(ids)])
    with torch.no_grad():
        ours = source.model.logits(source.model(tokens))
        difference = (theirs(tokens).logits - ours).abs().max().item()
        answer = theirs.generate(tokens, max_new_tokens=20, do_sample=False, eos_token_id=None)[0, tokens.shape[1] :]
    assert difference < 1e-5
    from picochat.inference.sampling import SamplingParams, generate_batch

    (reply,) = generate_batch(source.model, [list(ids)], SamplingParams(max_new_tokens=20), ())
    assert answer.tolist() == reply.ids


@needs_transformers
@needs_llama
def test_the_records_say_what_was_proved(sequential_run: RunStore, parallel_run: RunStore) -> None:
    digest = sequential_run.read(layout.GATE)["weights_digest"]
    for folder, check in ((HF, 1e-5), (GGUF, 1e-3)):
        record = parse_record(sequential_run.path(f"{folder}/{layout.EXPORT_MANIFEST}").read_bytes())
        assert record.weights_digest == digest and record.parity.verdict == "pass"
        assert isinstance(record.parity.measured, float) and record.parity.measured <= check == record.parity.threshold
        assert record.gate.word == sequential_run.read(layout.GATE)["verdict"]
        names = {ref.path.rpartition("/")[2] for ref in record.manifest.outputs}
        assert names == {path.name for path in sequential_run.path(folder).iterdir()} - {layout.EXPORT_MANIFEST}
        assert {layout.PARITY, layout.HF_CARD} <= names
    parity = sequential_run.read(f"{GGUF}/{layout.PARITY}")
    weights = parity["subjects"][0]
    assert weights["digest_equal"] and weights["comparisons"][0]["tokens"] == 16 * 64
    costs = {entry["kind"]: entry["cost"] for entry in parity["rounding"]}
    assert set(costs) == {"q8_0", "q4_0"} and all(cost["bytes"] > 1000 for cost in costs.values())
    assert abs(costs["q8_0"]["change"]) < 0.05 and costs["q8_0"]["change"] != 0.0
    assert parse_record(parallel_run.path(f"{HF}/{layout.EXPORT_MANIFEST}").read_bytes()).result == "custom code"


def test_the_card_says_how_to_load_it_and_what_was_proved(sequential_run: RunStore, parallel_run: RunStore) -> None:
    custom = parallel_run.path(f"{HF}/{layout.HF_CARD}").read_text()
    assert "trust_remote_code=True" in custom and 'library_name: "transformers"' in custom
    assert "control token" in custom and parallel_run.read(layout.GATE)["weights_digest"] in custom
    assert "## Training data" in custom, "the card of the run goes along"
    native = sequential_run.path(f"{HF}/{layout.HF_CARD}").read_text()
    assert "trust_remote_code" not in native
    gguf = sequential_run.path(f"{GGUF}/{layout.HF_CARD}").read_text()
    assert "llama-server -m model-f32.gguf" in gguf and 'library_name: "gguf"' in gguf and "change" in gguf


def test_check_prints_the_table_and_writes_nothing(sequential_run: RunStore, parallel_run: RunStore) -> None:
    def state(store: RunStore) -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in store.root.rglob("*"))

    before = state(parallel_run)
    shown = picochat("export", "check", parallel_run.root)
    assert shown.returncode == 0 and state(parallel_run) == before
    head, hf, vllm, gguf = shown.stdout.splitlines()
    assert head.split() == ["TARGET", "RESULT", "PROOF", "REASON"]
    assert "custom code" in hf and "passed, 0.0" in hf and "not_run" in vllm and "backend" in vllm
    assert " no " in gguf and "parallel residual" in gguf
    rows = json.loads(picochat("export", "check", sequential_run.root, "--json").stdout)["targets"]
    assert [row["result"] for row in rows] == ["native", "native", "native"]
    assert rows[2]["proof"].startswith("passed, ")


def test_verify_and_bundle_live_with_exports(sequential_run: RunStore, copied: Copy, tmp_path: Path) -> None:
    found = results(sequential_run, "verify.export")
    assert found == [("pass", f"{GGUF}/{layout.EXPORT_MANIFEST}"), ("pass", f"{HF}/{layout.EXPORT_MANIFEST}")]
    assert results(sequential_run, "verify.unlisted") == []
    store = copied(sequential_run)
    bundle = tmp_path / "b.tar"
    assert picochat("bundle", store.root, "--out", bundle, "--quiet").returncode == 0
    assert picochat("verify", bundle, "--quiet").returncode == 0
    assert picochat("gate", store.root, "--quiet").returncode == 0
    shutil.rmtree(store.path(layout.EXPORT))
    assert picochat("verify", store.root, "--quiet").returncode == 0, "no verdict rests on an export"


@pytest.mark.parametrize("name", ["model.safetensors", layout.HF_CONFIG, layout.HF_CARD, layout.PARITY])
def test_a_damaged_export_is_found_by_name(name: str, sequential_run: RunStore, copied: Copy) -> None:
    store = copied(sequential_run)
    flip_byte(store.path(f"{HF}/{name}"))
    assert ("block", f"{HF}/{name}") in results(store, "verify.export")
    shown = picochat("verify", store.root)
    assert shown.returncode == 4 and f"{HF}/{name}" in shown.stdout
    assert check_targets(store)[0]["proof"] == "not_run" and "damaged" in check_targets(store)[0]["reason"]


def test_a_missing_an_added_and_a_forged_file_are_found(sequential_run: RunStore, copied: Copy) -> None:
    store = copied(sequential_run)
    store.path(f"{HF}/{layout.HF_CONFIG}").unlink()
    assert ("block", f"{HF}/{layout.HF_CONFIG}") in results(store, "verify.export")
    store.path(f"{GGUF}/notes.txt").write_text("mine")
    assert ("warn", f"{GGUF}/notes.txt") in results(store, "verify.export")
    record = store.path(f"{HF}/{layout.EXPORT_MANIFEST}")
    record.write_bytes(record.read_bytes().replace(b'"warn"', b'"approved"'))
    assert inspect_export(store.path(HF)).record is None
    record.unlink()
    assert ("block", f"{HF}/{layout.EXPORT_MANIFEST}") in results(store, "verify.export")


@needs_transformers
def test_a_second_export_replaces_the_first_whole_and_keeps_it_beside(parallel_run: RunStore, copied: Copy) -> None:
    store = copied(parallel_run)
    first = store.path(f"{HF}/{layout.EXPORT_MANIFEST}").read_bytes()
    work = store.path(layout.EXPORT_WORK)
    (work / "candidate").mkdir(parents=True)
    (work / "candidate" / "left by a killed one").write_text("x")
    assert picochat("export", "hf", store.root, "--quiet").returncode == 0
    assert store.path(f"{HF}.previous/{layout.EXPORT_MANIFEST}").read_bytes() == first
    assert [path.name for path in work.iterdir()] == [layout.LOCK]
    with writer_lock(work):
        busy = picochat("export", "hf", store.root)
    assert busy.returncode != 0 and "being written by another process" in busy.stderr
    assert [verdict for verdict, _ in results(store, "verify.export")] == ["pass", "pass"]


BROKEN_WRITER = """
import sys
from picochat.export import huggingface, names
right = names.hf_names
def wrong(config):
    found = dict(right(config))
    gate, up = "blocks.0.mlp.gate.weight", "blocks.0.mlp.up.weight"
    found[gate], found[up] = found[up], found[gate]
    return found
huggingface.hf_names = wrong
from picochat.cli.__main__ import main
sys.argv = ["picochat", "export", "hf", sys.argv[1]]
sys.exit(main())
"""


@needs_transformers
def test_a_failed_proof_is_exit_3_and_no_folder(tiny_run: RunStore, copied: Copy) -> None:
    """The writer and the reader share the mistake, so the digest agrees with itself: only the comparison can tell."""
    store = copied(tiny_run)
    argv = [sys.executable, "-c", BROKEN_WRITER, str(store.root)]
    done = subprocess.run(argv, env=environment(), capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 3 and "export.parity" in done.stderr and "transformers.float32" in done.stderr
    assert not store.path(HF).exists() and "nothing was written" in done.stderr


WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
from picochat.cli.__main__ import main
sys.argv = ["picochat", "export", *sys.argv[2:]]
sys.exit(main())
"""


def without(module: str, *argv: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT, module, *map(str, argv)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=240, check=False)


def test_a_missing_extra_is_refused_by_name(sequential_run: RunStore, copied: Copy) -> None:
    store = copied(sequential_run)
    shutil.rmtree(store.path(layout.EXPORT))
    done = without("gguf", "gguf", store.root)
    assert done.returncode == 2 and "the package gguf is not installed" in done.stderr
    assert "pip install 'picochat[export]'" in done.stderr and not store.path(GGUF).exists()


def test_without_a_peer_the_proof_is_not_run_and_never_passed(sequential_run: RunStore, copied: Copy) -> None:
    store = copied(sequential_run)
    shutil.rmtree(store.path(layout.EXPORT))
    done = without("transformers", "hf", store.root)
    assert done.returncode == 0 and "not_run" in done.stdout and "transformers is not installed" in done.stdout
    record = parse_record(store.path(f"{HF}/{layout.EXPORT_MANIFEST}").read_bytes())
    assert record.parity.verdict == "not_run"
    done = without("xllamacpp", "gguf", store.root, "--type", "q8_0")
    assert done.returncode == 0, done.stderr
    assert not store.path(f"{GGUF}/{layout.gguf_file('f32')}").exists()
    assert [row["proof"] for row in check_targets(store)] == ["not_run"] * 3


def test_a_model_without_a_verdict_is_exported_and_says_so(tiny_run: RunStore, copied: Copy) -> None:
    store = copied(tiny_run)
    for name in (layout.GATE, layout.SUMMARY, *layout.PAGES):
        store.path(name).unlink()
    assert without("transformers", "hf", store.root, "--quiet").returncode == 0
    assert parse_record(store.path(f"{HF}/{layout.EXPORT_MANIFEST}").read_bytes()).gate.word == "not_run"
    card = store.path(f"{HF}/{layout.HF_CARD}").read_text()
    assert "Gate: not\\_run" in card and 'license: "unknown"' in card and "are unknown" in card


@pytest.mark.parametrize(
    ("argv", "code", "word"),
    [
        (("gguf",), 3, "no llama.cpp graph has parallel residual"),
        (("gguf", "--type", "Q4_K_M"), 3, "parallel residual"),
        (("push", "--kind", "gguf", "--repo", "a/b"), 2, "does not exist"),
        (("push", "--kind", "hf", "--repo", "a/b", "--yes"), 3, "warn"),
        (("push", "--kind", "hf", "--repo", "a/b", "--allow-unapproved"), 2, "not confirmed"),
    ],
)
def test_refusals_have_their_codes(argv: tuple[str, ...], code: int, word: str, parallel_run: RunStore) -> None:
    done = picochat("export", argv[0], parallel_run.root, *argv[1:])
    assert done.returncode == code and word in done.stderr


def test_a_run_without_a_model_is_refused(tiny_run: RunStore, copied: Copy) -> None:
    store = copied(tiny_run)
    shutil.rmtree(store.path(layout.checkpoint_dir(layout.SFT)))
    for argv in (("hf",), ("gguf",), ("check",)):
        done = picochat("export", *argv, store.root)
        assert done.returncode == 4 and "checkpoint" in done.stderr
    assert not store.path(layout.EXPORT).exists() or not any(store.path(layout.EXPORT).glob("[hg]*"))
