"""The exported folder in transformers, loaded as a stranger would load it. Only a proof imports transformers.

Suffixes: N tokens of a continuation, V vocab.
"""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from picochat.artifacts import layout
from picochat.core.extras import require_extra
from picochat.export.parity.paths import GreedyPath
from picochat.export.parity.report import Comparison
from picochat.export.parity.texts import CONVERSATIONS, TEXTS, expected_chat, expected_text
from picochat.tokenizer.tokenizer import Tokenizer

NEED = "comparing an export with transformers needs it"


def is_installed() -> bool:
    return importlib.util.find_spec("transformers") is not None


def load_peer(folder: Path, dtype: torch.dtype) -> Any:
    """The model of the folder in `dtype`, with its own code where it has some. Whatever fails is for the caller.

    Raises RuntimeError when transformers ran other code than the folder's: it keeps the first class that it saw for a
    configuration, for as long as the process lives.
    """
    with _quietly() as library:
        model = library.AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=dtype, trust_remote_code=True, local_files_only=True
        )
    code = folder / layout.HF_MODEL_CODE
    if code.exists() and Path(inspect.getfile(type(model))).read_bytes() != code.read_bytes():
        raise RuntimeError(f"transformers did not run the {code.name} of the folder")
    return model.eval()


@torch.no_grad()
def peer_logits(model: Any, paths: Sequence[GreedyPath]) -> list[Tensor]:
    """Its logits (N, V) for every token of each path."""
    found = []
    for path in paths:
        ids = torch.tensor([[*path.prompt, *path.tokens[:-1]]])
        found.append(model(ids, use_cache=False).logits[0, len(path.prompt) - 1 :])
    return found


def compare_tokenizer(folder: Path, tok: Tokenizer) -> Comparison:
    """Whether its tokenizer gives our ids for texts and conversations."""
    with _quietly() as library:
        theirs = library.AutoTokenizer.from_pretrained(str(folder), trust_remote_code=True, local_files_only=True)
        pairs = [(expected_text(tok, text), list(theirs(text)["input_ids"]), text) for text in TEXTS]
        for turns in CONVERSATIONS:
            messages = [{"role": turn.role, "content": turn.content} for turn in turns]
            found = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
            pairs.append((expected_chat(tok, turns), list(found), turns[0].content))
    equal = [mine == other for mine, other, _ in pairs]
    wrong = next((text for same, (_, _, text) in zip(equal, pairs, strict=True) if not same), "")
    return Comparison.of_counts("transformers.tokens", "texts", sum(equal), len(pairs), repr(wrong) if wrong else "")


@contextmanager
def _quietly() -> Iterator[Any]:
    """transformers without progress bars and warnings of its own; its settings come back."""
    library = require_extra("transformers", NEED, "dev")
    logging = library.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield library
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
