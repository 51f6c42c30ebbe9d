"""What `picochat sanity` tries before a long job; a gate knows nothing of them."""

from __future__ import annotations

from picochat.judgement.check_facts import CheckFacts

_AGAIN = "picochat sanity --device cpu tells the device from the code; report a failure with its --json"

SANITY_CHECKS: dict[str, CheckFacts] = {
    "sanity.resume": CheckFacts(
        "values in which a resumed training differs",
        "after a crash the model would be another one than the one that was planned",
        _AGAIN,
        "values",
        "<=",
    ),
    "sanity.resume_close": CheckFacts(
        "distance of a resumed training's losses, against that of repetitions",
        "a resume may be no further off than the same training run twice",
        _AGAIN,
        "share of the loss",
        "<=",
    ),
    "sanity.cache_logits": CheckFacts(
        "largest difference of a logit with the KV cache",
        "a model that answers from a wrong cache is judged as if it were a worse one",
        _AGAIN,
        "logits",
        "<=",
    ),
    "sanity.cache_tokens": CheckFacts(
        "greedy tokens that differ with the KV cache",
        "evaluation and chat would show other answers than the model's own",
        _AGAIN,
        "tokens",
        "<=",
    ),
    "sanity.precision_loss": CheckFacts(
        "loss in the chosen precision against float32",
        "a loss that the precision distorts steers the whole training",
        "train with --precision fp32",
        "share of the loss",
        "<=",
    ),
    "sanity.precision_gradient": CheckFacts(
        "gradient in the chosen precision against float32",
        "a loss may be right while the direction of the update is lost in rounding",
        "train with --precision fp32",
        "share of the length",
        "<=",
    ),
    "sanity.accumulation": CheckFacts(
        "gradient of one batch against micro-batches of one row",
        "otherwise the batch that fits into memory decides what is learned",
        _AGAIN,
        "share of the largest element",
        "<=",
    ),
    "sanity.checkpoint": CheckFacts(
        "tensors and counters that a checkpoint gives back changed",
        "what is not saved exactly is lost at the first crash",
        _AGAIN,
        "tensors",
        "<=",
    ),
    "sanity.flipped_bit": CheckFacts(
        "files of a checkpoint in which a flipped bit is not noticed",
        "a damaged checkpoint that loads is a wrong model without a warning",
        _AGAIN,
        "files",
        "<=",
    ),
    "sanity.document_mask": CheckFacts(
        "largest change of a logit by another document of the row",
        "documents that see each other teach a context that is not there",
        _AGAIN,
        "logits",
        "<=",
    ),
    "sanity.document_targets": CheckFacts(
        "targets that do not follow in their own document",
        "a target from elsewhere teaches noise",
        _AGAIN,
        "targets",
        "<=",
    ),
    "sanity.chat_mask": CheckFacts(
        "conversations whose targets are not the assistant's words",
        "a model that learns the user's words asks instead of answering",
        _AGAIN,
        "conversations",
        "<=",
    ),
    "sanity.shards": CheckFacts(
        "rows and documents that shards give back different",
        "a long run reads its rows from shards, and what is wrong in them is learned",
        _AGAIN,
        "rows",
        "<=",
    ),
    "sanity.ranks": CheckFacts(
        "several ranks train as one",
        "ranks that drift apart spoil a long run in silence",
        "keep distributed.replica_check_every above 0: the training itself compares its replicas",
        "",
        "",
    ),
}
