"""What transformers saves, imported: the same logits, the same greedy text, the same ids of text and conversations."""

import json
from typing import NamedTuple

import pytest
import torch
from tests.support.foreign_models import CHATML, N_TOKENS, THINKING, tokenizer_config, tokenizer_document, write_model

from picochat.artifacts import layout
from picochat.inference.foreign.config import ForeignConfig
from picochat.inference.foreign.importer import import_model
from picochat.inference.loader import load_model
from picochat.tokenizer.foreign.codec import ForeignCodec
from picochat.tokenizer.hostile import HOSTILE_TEXTS

transformers = pytest.importorskip("transformers")

TOLERANCE = 1e-5
SHAPE = {
    "vocab_size": N_TOKENS,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 261,
    "eos_token_id": [260, 262],
    "pad_token_id": 260,
}
KINDS = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM, {}),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM, {"head_dim": 24}),
    "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM, {"sliding_window": None}),
}


class Turn(NamedTuple):
    role: str
    content: str
    weight: float = 1.0


def build_reference(kind: str, tied: bool):
    """A random model whose blocks rule the stream, so that its greedy text tells a wrong one from a right one."""
    config_class, model_class, extra = KINDS[kind]
    rope = {"rope_type": "default", "rope_theta": 31_000.0}
    config = config_class(**SHAPE, **extra, tie_word_embeddings=tied, rope_parameters=rope)
    config._attn_implementation = "eager"
    torch.manual_seed(0)
    reference = model_class(config).float().eval()
    with torch.no_grad():
        for name, weight in reference.named_parameters():
            if weight.ndim == 1:
                weight.normal_(8.0 if name == "model.norm.weight" else 1.0, 0.3)
            else:
                weight.normal_(0.0, 0.05 if "embed" in name else 1.6 * weight.shape[1] ** -0.5)
    return reference


def publish(reference, folder, dtype=torch.float32, **settings):
    write_model(folder, config_json=None, model_safetensors=None)
    reference.to(dtype).save_pretrained(folder, **settings)
    reference.float()
    return folder


def difference(theirs: torch.Tensor, ours: torch.Tensor) -> float:
    """The largest one, in parts of the largest logit, which is about 30 here."""
    return ((theirs - ours).abs().max() / theirs.abs().max()).item()


@torch.no_grad()
def greedy(logits_of, begin: list[int], count: int) -> list[int]:
    ids = list(begin)
    for _ in range(count):
        ids.append(int(logits_of(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(begin) :]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_logits_and_greedy_text(kind, tied, tmp_path):
    reference = build_reference(kind, tied)
    record = import_model(publish(reference, tmp_path / "model"), tmp_path / "out", ForeignConfig())
    model = load_model(tmp_path / "out" / layout.checkpoint_dir(layout.IMPORTED)).model
    tokens = torch.randint(N_TOKENS, (2, 100), generator=torch.Generator().manual_seed(1))
    assert difference(reference(tokens).logits, model.logits(model(tokens))) <= TOLERANCE
    begin = tokens[0, :5].tolist()
    ours = greedy(lambda ids: model.logits(model(ids)), begin, 24)
    assert ours == greedy(lambda ids: reference(ids).logits, begin, 24)
    assert len(set(ours)) >= 8, "a model that repeats one token would prove nothing"
    mlp = model.blocks[1].mlp
    mlp.gate, mlp.up = mlp.up, mlp.gate
    assert difference(reference(tokens).logits, model.logits(model(tokens))) > 0.01, "nor one that never differs"
    assert record.architecture == type(reference).__name__ and record.model["rope_theta"] == 31_000.0
    assert record.tokenizer.end_ids == (260, 262)


@torch.no_grad()
def test_several_files_of_bfloat16(tmp_path):
    reference = build_reference("qwen3", tied=False)
    folder = publish(reference, tmp_path / "model", torch.bfloat16, max_shard_size="60KB")
    assert (folder / "model.safetensors.index.json").exists() and len(list(folder.glob("model-*"))) > 2
    record = import_model(folder, tmp_path / "out", ForeignConfig())
    assert set(record.saved_dtypes) == {"BF16"}
    model = load_model(tmp_path / "out" / layout.checkpoint_dir(layout.IMPORTED)).model
    tokens = torch.arange(100)[None]
    again = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    assert difference(again(tokens).logits, model.logits(model(tokens))) <= TOLERANCE


def write_tokenizer(folder, **config):
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_document()))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config(**config)))
    return transformers.AutoTokenizer.from_pretrained(folder)


CONVERSATIONS = [
    [Turn("user", "in the hat?")],
    [Turn("system", "Be brief."), Turn("user", " in\n\n"), Turn("assistant", "the\n"), Turn("user", "\n\nthen ")],
    [Turn("user", "a"), Turn("assistant", "<think>\nthe\n</think>\n\nthe end"), Turn("user", "don't 'the'")],
    [Turn("user", '\U0001f600 é {{ 1 + 1 }} {% raw %} " \\ </s>'), Turn("assistant", "x"), Turn("user", "\t the")],
]


@pytest.mark.parametrize("template", [CHATML, THINKING, CHATML.replace("message['content']", "message.content|trim")])
def test_ids_of_conversations(template, tmp_path):
    theirs = write_tokenizer(tmp_path / "tokenizer", chat_template=template)
    write_model(tmp_path / "model", tokenizer_config_json=tokenizer_config(chat_template=template))
    import_model(tmp_path / "model", tmp_path / "out", ForeignConfig())
    ours = ForeignCodec.load(tmp_path / "out")
    for turns in CONVERSATIONS:
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        wanted = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=True)["input_ids"]
        assert ours.render_chat(turns) == list(wanted), turns


def test_ids_of_texts(tmp_path):
    theirs = write_tokenizer(tmp_path / "tokenizer")
    write_model(tmp_path / "model")
    import_model(tmp_path / "model", tmp_path / "out", ForeignConfig())
    ours = ForeignCodec.load(tmp_path / "out")
    for text in (text for text in HOSTILE_TEXTS if "<|endoftext|>" not in text):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)
    assert (ours.bos, ours.vocab_size) == (None, len(theirs))
