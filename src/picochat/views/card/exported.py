"""README.md of an export: how to load it and what was proved, then the card of the run, where that speaks of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from picochat.artifacts import layout
from picochat.views.card import markdown as md
from picochat.views.card.metadata import UNKNOWN, build_metadata
from picochat.views.card.page import card_parts
from picochat.views.exports import proof_table, rounding_table

Content = Mapping[str, Any]
LIBRARIES = {layout.EXPORT_HF: "transformers", layout.EXPORT_GGUF: "gguf"}
_CONTROL = (
    "Runtimes other than Picochat tokenise the rendered text of a conversation: whoever writes the name of a control "
    "token, such as the one that ends a turn, into a message places that token. Filter messages where that matters."
)
_BOS = "The runtime adds BOS by itself; the chat template in the file has none."
_OLLAMA = "Ollama does not read that template; this Modelfile says the same (Ollama was not run here):"
_MODELFILE = """FROM ./{file}
TEMPLATE \"\"\"{{{{ range .Messages }}}}<|{{{{ .Role }}}}|>{{{{ .Content }}}}<|end|>{{{{ end }}}}<|assistant|>\"\"\"
PARAMETER stop "<|end|>\""""
_CUSTOM = (
    "The folder brings code of its own (two short files), because no architecture of transformers joins parallel "
    "residual, RMSNorm and QK norm. `trust_remote_code=True` runs it: read it first. `AutoTokenizer` asks for the same "
    "consent, by a prompt where the argument is not given. vLLM loads the folder through its Transformers backend "
    "with `--trust-remote-code`; that was not run here."
)


def render_exported_card(export: Content, parity: Content, content: Content | None, more: Content | None) -> str:
    """`export` are fields of the record. `content` and `more` are those of the run's card when the summary speaks of
    these very weights, else None: then nothing is said of data, training and scores."""
    judged = content is not None and more is not None
    metadata = build_metadata(content, more) if content is not None and more is not None else {"license": UNKNOWN}
    metadata["library_name"] = LIBRARIES[export["kind"]]
    metadata.setdefault("pipeline_tag", "text-generation")
    gate = export["gate"]
    under = f" under {gate['profile']}" if gate["profile"] else ""
    parts = [
        f"---\n{md.yaml(metadata)}\n---",
        f"# {md.text(export['name'])}",
        f"**Gate: {md.text(gate['word'])}{md.text(under)}.** {md.text(gate['reason'])}.",
        f"Weights {md.code(export['weights_digest'])}.",
        f"## How to load it\n\n{_loading(export)}\n\n{_CONTROL}",
        f"## Parity\n\n{_parity(export, parity)}",
    ]
    if judged and content is not None and more is not None:
        parts += card_parts(content, more)[1:]
    else:
        parts.append("Data, training and evaluation of these weights are unknown: no summary of their run names them.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _loading(export: Content) -> str:
    if export["kind"] == layout.EXPORT_GGUF:
        file = layout.gguf_file(export["types"][0])
        return "\n\n".join([_block(f"llama-server -m {file}"), _BOS, _OLLAMA, _block(_MODELFILE.format(file=file))])
    custom = export["result"] != "native"
    consent = ", trust_remote_code=True" if custom else ""
    code = (
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        f'tokenizer = AutoTokenizer.from_pretrained("FOLDER"{consent})\n'
        f'model = AutoModelForCausalLM.from_pretrained("FOLDER", dtype="auto"{consent})\n'
    )
    note = "For bfloat16 pass `dtype=torch.bfloat16`; `model.bfloat16()` rounds the rotary frequencies too."
    return "\n\n".join(filter(None, [_block(code), note, _CUSTOM if custom else ""]))


def _block(code: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in code.rstrip().splitlines())


def _parity(export: Content, parity: Content) -> str:
    """What was compared, and what was not run, in words of the record."""
    verdict = export["parity"]["verdict"]
    tables = [md.table(proof_table(parity)), md.table(rounding_table(parity))]
    return "\n\n".join([f"Proof: **{md.text(verdict)}**, by {md.code('picochat export')}.", *filter(None, tables)])
