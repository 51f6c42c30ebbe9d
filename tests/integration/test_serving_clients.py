"""Other people's clients against a real served model: lm-eval, the npm client, a fuzzer of OpenAPI documents."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.engines import answer
from tests.support.npm import install_npm, run_node
from tests.support.served_run import CONTEXT, MODEL, Process, serve, write_served_run

from picochat.artifacts import layout
from picochat.inference.engine.engine import Engine
from picochat.inference.engine.request import Request
from picochat.inference.loader import load_model
from picochat.inference.scoring import score_texts
from picochat.tokenizer.codec import PicochatCodec
from picochat.tokenizer.tokenizer import Tokenizer

NPM_OPENAI = "openai@7.59.0"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_served_run(tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="module")
def process(root: Path) -> Iterator[Process]:
    with serve(root) as running:
        yield running


@pytest.fixture(scope="module")
def harness(root: Path, process: Process, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """lm-eval's client, with the run's tokenizer in the form that it loads."""
    pytest.importorskip("lm_eval", reason="NOT RUN: lm-eval is not installed")
    pytest.importorskip("tenacity", reason="NOT RUN: tenacity, which this client of lm-eval imports, is not installed")
    transformers = pytest.importorskip("transformers", reason="NOT RUN: transformers is not installed")
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(root / layout.TOKENIZER), bos_token="<|bos|>", eos_token="<|eos|>", pad_token="<|pad|>"
    )
    tokenizer.save_pretrained(folder)
    return LocalCompletionsAPI(
        base_url=f"{process.url}/v1/completions",
        model=MODEL,
        tokenizer=str(folder),
        tokenizer_backend="huggingface",
        max_length=CONTEXT,
        batch_size=4,
        max_retries=1,
        add_bos_token=True,
    )


def instances(kind: str, rows: list[tuple[Any, ...]]) -> list[Any]:
    from lm_eval.api.instance import Instance

    return [Instance(request_type=kind, doc={}, arguments=row, idx=place) for place, row in enumerate(rows)]


def test_log_likelihoods_of_lm_eval_are_those_of_our_own_scorer(root: Path, harness: Any):
    pairs = [
        ("the cat sat on", " the mat"),
        ("my name is", " Pico"),
        ("", "spell the word cat"),
        ("kill the", " process 好"),
        ("a " * 60, "the dog ran to the house"),
    ]
    found = harness.loglikelihood(instances("loglikelihood", pairs))
    model = load_model(root / layout.checkpoint_dir(layout.SFT)).model
    encoded = [
        ([harness.prefix_token_id], harness.tok_encode(tail)) if not head else harness._encode_pair(head, tail)
        for head, tail in pairs
    ]
    expected = score_texts(model, encoded)
    for (value, greedy), wanted in zip(found, expected, strict=True):
        assert value == pytest.approx(wanted, abs=1e-3)
        assert isinstance(greedy, bool)


def test_what_the_model_would_say_is_greedy_and_anything_else_is_not(root: Path, harness: Any):
    """By ids: text that is cut into tokens again may be cut in another way."""
    head = harness.tok_encode("the cat sat on")
    codec = PicochatCodec(Tokenizer.load(root / layout.TOKENIZER))
    with Engine(load_model(root / layout.checkpoint_dir(layout.SFT)), codec) as engine:
        said = answer(engine, [Request(head, 6)]).tokens()
    other = [*said[:-1], (said[-1] + 1) % 256]
    rows = [(("", ""), head, said), (("", ""), head, other)]
    assert [greedy for _, greedy in harness._loglikelihood_tokens(rows)] == [True, False]


def test_rolling_windows_of_lm_eval(root: Path, harness: Any):
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    text = "the cat sat on the mat and the dog ran to the house, " * 20
    short = "spell the word cat, my name is Pico"
    found = harness.loglikelihood_rolling(instances("loglikelihood_rolling", [(text,), (short,)]))
    model = load_model(root / layout.checkpoint_dir(layout.SFT)).model
    for value, said, several in zip(found, (text, short), (True, False), strict=True):
        ids = harness.tok_encode(said)
        size = harness.max_length - 1
        windows = [*map(make_disjoint_window, get_rolling_token_windows(ids, harness.prefix_token_id, size, 1))]
        assert (len(windows) > 1) is several
        assert value == pytest.approx(sum(score_texts(model, windows)), abs=1e-3 * len(windows))


def test_generation_of_lm_eval_and_its_stops(harness: Any):
    rows = [("the cat", {"until": ["\n"], "max_gen_toks": 8}), ("my name", {"until": ["x", "y"], "max_gen_toks": 8})]
    texts = harness.generate_until(instances("generate_until", rows))
    assert len(texts) == 2 and not set("xy") & set(texts[1])
    with pytest.raises(Exception, match="400|Bad Request"):
        harness.generate_until(instances("generate_until", [("the cat", {"until": list("abcde"), "max_gen_toks": 8})]))


def test_chats_of_lm_eval(process: Process, harness: Any):
    from lm_eval.models.openai_completions import LocalChatCompletion

    chat = LocalChatCompletion(base_url=f"{process.url}/v1/chat/completions", model=MODEL, max_retries=1)
    talk = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "Spell cat."}]
    asked = (chat.apply_chat_template(talk), {"until": ["x"], "max_gen_toks": 6, "temperature": 0})
    [said] = chat.generate_until(instances("generate_until", [asked]))
    body = {"model": MODEL, "messages": talk, "max_tokens": 6, "temperature": 0, "stop": ["x"]}
    with process.client() as http:
        assert http.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"] == said


def test_the_official_npm_client(process: Process, tmp_path_factory: pytest.TempPathFactory):
    folder = install_npm(tmp_path_factory.mktemp("npm"), NPM_OPENAI)
    seen = run_node(folder, "npm_client.mjs", f"{process.url}/v1", MODEL)
    assert (seen["models"], seen["model"]) == ([MODEL], "not_run")
    assert seen["text"] and seen["textStream"] == seen["text"]
    assert seen["chat"] == seen["chatStream"] == seen["helper"]
    assert seen["chatUsage"]["total_tokens"] > seen["usage"]["prompt_tokens"] > 0
    assert seen["errors"] == [
        ["NotFoundError", 404, "model_not_found", "model"],
        ["BadRequestError", 400, "invalid_value", "temperature"],
        ["BadRequestError", 400, "unsupported_parameter", "tools"],
    ]


def test_no_request_of_a_fuzzer_finds_an_error_of_ours(process: Process, tmp_path: Path):
    pytest.importorskip("schemathesis", reason="NOT RUN: schemathesis is not installed")
    checks = "not_a_server_error,content_type_conformance,response_schema_conformance"
    words = ["run", f"{process.url}/openapi.json", "--checks", checks, "--phases", "examples,coverage,fuzzing"]
    words += ["--max-examples", "6", "--generation-deterministic", "--request-timeout", "20", "--no-color"]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *words], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    with process.client() as http:
        numbers = http.get("/metrics").text
    assert 'status="5' not in numbers
    assert sum(float(line.split()[-1]) for line in numbers.splitlines() if "picochat_requests_total{" in line) > 100
