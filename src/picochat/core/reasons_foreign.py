"""Reason codes of models that others trained. Part of the registry."""

from __future__ import annotations

from picochat.core.reason import Reason

FOREIGN_REASONS: dict[str, Reason] = {
    # --- foreign: a folder of weights that others trained
    "foreign.config": Reason(
        4,
        "a model that is built from guesses loads and answers wrongly",
        "give the folder as it was published, with a config.json that says what its weights are",
    ),
    "foreign.dtype": Reason(
        4, "only plain numbers become float32 weights", "give weights in BF16, F16 or F32, not a quantised copy"
    ),
    "foreign.file": Reason(
        4,
        "only regular files of the folder itself are read: a link or a pipe could lead anywhere",
        "give a folder of plain files; `cp -rL FOLDER COPY` makes one of a folder of links",
    ),
    "foreign.index": Reason(
        4, "the index of a model in several files names them and nothing else", "give the folder as it was published"
    ),
    "foreign.names": Reason(
        4,
        "a tensor that is missing or has no place means that the weights are of another model than config.json says",
        "give the folder as it was published",
    ),
    "foreign.nonfinite": Reason(
        4, "weights with NaN or infinity produce nothing but NaN", "give the weights as they were published"
    ),
    "foreign.out_dir": Reason(2, "an import never mixes with other files", "choose another --out-dir"),
    "foreign.pickle": Reason(
        4,
        "a pickle can run any command when it is loaded, so none ever is",
        "give model.safetensors: most models are published in both forms",
    ),
    "foreign.shape": Reason(
        4, "weights of another shape are of another model than config.json says", "give the folder as it was published"
    ),
    "foreign.tensors": Reason(
        4, "the tensor file does not follow the safetensors layout", "fetch the file again, as it was published"
    ),
    "foreign.tied": Reason(
        4,
        "a head that is tied to the embedding cannot differ from it",
        "if the head was trained apart, say so in config.json: tie_word_embeddings = false",
    ),
    "foreign.tokenizer": Reason(
        4,
        "text that is cut in another way than in training gives other answers, in silence",
        "give the tokenizer.json that was published with the weights",
    ),
    "foreign.unsupported": Reason(
        4,
        "this part of the network is not computed here, and without it the model would answer wrongly",
        "choose a model in the plain shape of Llama or Qwen3",
    ),
    "foreign.vocab": Reason(
        4,
        "ids that the model has no row for, or rows that no text reaches, belong to another tokenizer",
        "give the tokenizer.json that was published with the weights",
    ),
    # --- chat: the template that came with a model
    "chat.template": Reason(
        4,
        "a conversation is put to a model in the form in which it was trained, or not at all",
        "continue texts with `picochat generate`; `--set chat_template=false` imports a model without its template",
    ),
}
