"""The check ids of preflight: those that the gate judges again on what was trained, and its own."""

from __future__ import annotations

from picochat.judgement.check_facts import CheckFacts
from picochat.judgement.registry import CHECKS

SHARED = (
    "data.documents",
    "data.granularity",
    "data.split_leak",
    "data.exact_left",
    "skills.disjoint",
    "data.near_left",
    "data.removed.exact",
    "data.removed.near",
    "data.removed.lines",
    "data.boundaries",
    "data.licence",
    "data.revision",
    "budget.target_ratio",
    "budget.replay",
    "sft.duplicate_prompts",
    "sft.too_long",
    "sft.exposure",
    "honesty.corpus",
    "honesty.sft",
    "honesty.heldout",
    "honesty.benchmarks",
)
"""Those that the gate judges again on what was trained."""

PREFLIGHT_CHECKS: dict[str, CheckFacts] = {
    **{name: CHECKS[name] for name in SHARED},
    "data.chars": CheckFacts(
        "characters of text",
        "a small text is read so often that it is learned by heart",
        "add text to the pack",
        "characters",
    ),
    "data.guessed": CheckFacts(
        "sources whose documents were guessed",
        "a guessed border puts two halves of one text on both sides of the hold-out",
        "give one file or row a document, in a pack",
        "sources",
        "<=",
    ),
    "tokenizer.vocab": CheckFacts(
        "size of the vocabulary",
        "a small vocabulary spends a long training on letters",
        "set tokenizer.vocab_size and model.vocab_size",
        "tokens",
    ),
    "tokenizer.bytes_per_token": CheckFacts(
        "bytes a token",
        "each token costs the same, however little it says",
        "raise tokenizer.vocab_size, or train the tokenizer on text like this",
        "bytes/token",
    ),
    "budget.planned": CheckFacts(
        "planned over target tokens",
        "too few leave the model unfinished, too many are paid for little",
        "set base.loop.tokens near 20 tokens a parameter",
        "fraction",
    ),
    "optim.lr": CheckFacts(
        "base peak learning rate over its rule",
        "a rate inherited from another size is the commonest silent waste",
        "leave base.loop.lr unset: it is derived",
        "fraction",
    ),
    "batch.tokens": CheckFacts(
        "tokens a step over their rule",
        "small steps are noisy, large ones waste tokens",
        "leave base.loop.tokens_per_step unset: it is derived",
        "fraction",
    ),
    "sft.rows": CheckFacts("chat rows", "a few rows teach their wording", "add chat rows to the pack", "rows"),
    "sft.categories": CheckFacts(
        "categories of chat rows", "one kind of row teaches one kind of answer", "add chat rows of other kinds", "rows"
    ),
    "sft.skills": CheckFacts(
        "skills of the gate without a chat row",
        "a skill that is judged and not taught is failed for sure",
        "set data.generate_skills = true, or add rows of the category",
        "skills",
        "<=",
    ),
    "sft.answer_words": CheckFacts(
        "mean words of an answer, in the shortest category of the pack",
        "a model of one-word answers does not learn to speak",
        "add longer answers to the pack's chat rows",
        "words",
    ),
    "sft.lr": CheckFacts(
        "SFT peak learning rate over the base's",
        "a rate above the base's overwrites what was learned",
        "lower sft.loop.lr",
        "fraction",
        "<=",
    ),
    "eval.rows": CheckFacts("eval rows", "a rate over a few rows is a guess", "add eval rows to the pack", "rows"),
    "eval.rules": CheckFacts(
        "eval rows without a rule", "what cannot be scored is no question", "give each eval row a rule", "rows", "<="
    ),
    "eval.unanswerable": CheckFacts(
        "eval rows that nobody can answer",
        "without them a model that makes things up looks right",
        "add eval rows with answerable = false",
        "rows",
    ),
    "eval.skills": CheckFacts(
        "skills of the gate with fewer eval rows than it asks for",
        "a skill without its minimum of rows is not judged",
        "set data.skills.eval_rows_per_skill",
        "skills",
        "<=",
    ),
    "device.kind": CheckFacts(
        "faults of the device",
        "a run that starts on another device than planned is another run",
        "picochat doctor shows what is there; set machine.device",
        "faults",
        "<=",
    ),
    "device.precision": CheckFacts(
        "faults of the precision",
        "a precision that is emulated is slower than float32",
        "set machine.precision = auto",
        "faults",
        "<=",
    ),
    "device.attention": CheckFacts(
        "faults of the attention backend",
        "without a fused kernel attention takes the square of the row in memory",
        "picochat doctor shows what is there",
        "faults",
        "<=",
    ),
    "world.size": CheckFacts(
        "ranks that differ from the profile's",
        "time, memory and money were planned for another number of GPUs",
        "start as many ranks as the profile says, or choose the profile for one GPU",
        "ranks",
        "<=",
    ),
    "memory.fits": CheckFacts(
        "memory that a step needs, over the device's",
        "a step that does not fit fails in the first minute that is paid",
        "lower base.loop.micro_batch_size, or set base.loop.checkpoint_blocks = true",
        "fraction",
        "<=",
    ),
    "disk.fits": CheckFacts(
        "disk that the run needs, over what is free",
        "a full disk ends a run at the next checkpoint",
        "free some space, or give --out-dir on another disk",
        "fraction",
        "<=",
    ),
    "cost.cap": CheckFacts(
        "estimate over the cap",
        "a run that cannot end within its cap pays for a model that is not finished",
        "raise the cap, or plan fewer tokens",
        "fraction",
        "<=",
    ),
    "prediction.present": CheckFacts(
        "missing predictions",
        "a loss that nobody predicted surprises nobody",
        "picochat predict ladder, then picochat predict fit",
        "predictions",
        "<=",
    ),
    "launch.tokenises_on_gpu": CheckFacts(
        "stages before training that are not done",
        "GPUs that wait for a tokenizer are paid all the same",
        "picochat data build --pack PACK --out-dir RUN, and launch with its files",
        "stages",
        "<=",
    ),
}
