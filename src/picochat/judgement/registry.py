"""The one table of check ids: what each means, what mends it, its unit; and the digests of the profiles."""

from __future__ import annotations

from picochat.judgement.check_facts import CheckFacts
from picochat.judgement.prediction_registry import PREDICTION_CHECKS

_EVAL = "picochat eval skills RUN, then picochat gate RUN"
_SFT = "train sft longer or on more varied rows (--set sft.loop.tokens=N), in a new run"
_CLEAN = 'set contamination = "drop" in the pack, in a new run; honesty_hits.jsonl shows both passages'
_BENCH = "picochat eval benchmark NAME --data PATH, then picochat gate RUN"

CHECKS: dict[str, CheckFacts] = {
    "base.beats_ngram": CheckFacts(
        "base model beats the n-gram",
        "a model above the bits per byte of an n-gram table has not learned more than short-range statistics",
        "train base longer (--set base.loop.tokens=N)",
        "bits/byte",
        "<=",
    ),
    "budget.replay": CheckFacts(
        "passes over the source that was seen most often",
        "text that is seen too often is learned by heart",
        "add text, or train on fewer tokens (--set base.loop.tokens=N), in a new run",
        "passes",
        "<=",
    ),
    "budget.target_ratio": CheckFacts(
        "planned tokens a parameter",
        "with too few tokens for its size a model stays far below what it could be",
        "plan more tokens (--set base.loop.tokens=N), or a smaller model",
        "tokens/parameter",
    ),
    "budget.trained": CheckFacts(
        "share of the planned tokens seen",
        "a training that ended early is not the one that was planned",
        "picochat run PROFILE --out-dir RUN --resume",
    ),
    "data.boundaries": CheckFacts(
        "documents are given and marked",
        "where a document begins must be known, or the model learns to run on into another one",
        "name the column or the files of the documents in a pack, and build the shards again",
        "faults",
        "<=",
    ),
    "data.documents": CheckFacts(
        "documents",
        "a handful of documents teaches their wording and nothing else",
        "add documents to the pack, in a new run",
        "documents",
    ),
    "data.exact_left": CheckFacts(
        "documents that stand twice",
        "what stands twice is learned twice, and a copy may lie on the other side",
        "build the dataset again, in a new run",
        "documents",
        "<=",
    ),
    "data.granularity": CheckFacts(
        "sources in which a document is not a row",
        "rows bundled into one document hide copies and break the hold-out",
        "import the rows one by one: picochat data import, in a new run",
        "sources",
        "<=",
    ),
    "data.licence": CheckFacts(
        "sources without a licence",
        "a model made from text that nobody may use cannot be handed over",
        "set sources.licence in the pack, in a new run",
        "sources",
        "<=",
    ),
    "data.near_left": CheckFacts(
        "documents with a near copy left",
        "near copies are learned by heart and weigh more than they should",
        "set data.duplicates.near = true and lower data.duplicates.threshold, in a new run",
        "fraction",
        "<=",
    ),
    "data.removed.exact": CheckFacts(
        "documents removed as exact copies",
        "a source that repeats itself is smaller than it looks",
        "look at the source: picochat data inspect RUN",
        "fraction",
        "<=",
    ),
    "data.removed.lines": CheckFacts(
        "documents removed for repeated lines",
        "a source of which much repeats itself was read wrongly or is no prose",
        "look at the source: picochat data inspect RUN",
        "fraction",
        "<=",
    ),
    "data.removed.near": CheckFacts(
        "documents removed as near copies",
        "a source that resembles itself is smaller than it looks",
        "look at the source: picochat data inspect RUN",
        "fraction",
        "<=",
    ),
    "data.revision": CheckFacts(
        "sources without a revision",
        "text that cannot be named cannot be had again",
        "set sources.revision in the pack, in a new run",
        "sources",
        "<=",
    ),
    "data.split_leak": CheckFacts(
        "texts on both sides of the hold-out",
        "a held-out text that was trained on makes every held-out number too good",
        "build the dataset again, in a new run",
        "documents",
        "<=",
    ),
    "eval.benign_answered": CheckFacts(
        "harmless requests answered", "a model that refuses everything looks safe and is useless", _SFT
    ),
    "eval.choice_adjusted": CheckFacts(
        "choice above chance", "an always-same answer scores at chance; only what is above it is skill", _SFT
    ),
    "eval.first_release": CheckFacts(
        "identity, refusal and choice together", "a first model has to know what it is and when to decline", _SFT
    ),
    "eval.non_choice": CheckFacts(
        "rows that are answered freely", "choosing among given answers is not yet answering", _SFT
    ),
    "eval.prompt_echo": CheckFacts(
        "replies that repeat the prompt",
        "a reply that copies its prompt can pass a rule without an answer",
        _SFT,
        "fraction",
        "<=",
    ),
    "eval.repetition": CheckFacts(
        "replies that repeat themselves", "a model that runs in circles does not stop by itself", _SFT, "fraction", "<="
    ),
    "eval.unsupported": CheckFacts(
        "answers where none is known",
        "a model that always answers makes things up",
        _SFT,
        "fraction",
        "<=",
    ),
    "external.digest": CheckFacts(
        "benchmark files that are not the published ones",
        "keys shifted by one turn a score into another benchmark's",
        _BENCH,
        "files",
        "<=",
    ),
    "external.harness": CheckFacts(
        "cross-checks that differ",
        "where another scorer disagrees about the same weights, a benchmark's score is not what its name promises",
        "picochat eval harness RUN --tasks TASK --data TASK=PATH, then picochat gate RUN",
        "comparisons",
        "<=",
    ),
    "external.present": CheckFacts(
        "external benchmarks", "own evals alone are judged by their own author", _BENCH, "benchmarks"
    ),
    "external.rows": CheckFacts("items of the smallest benchmark", "a score over a few items is luck", _BENCH, "items"),
    "external.same_setup": CheckFacts(
        "claims against scores of another setup",
        "two scores made in different ways say nothing about each other",
        "leave the model out of against, or run the whole benchmark at the table's shots",
        "claims",
        "<=",
    ),
    "external.score": CheckFacts(
        "external score above chance",
        "a score that chance explains is no evidence of ability",
        "train base longer, or on broader text",
        "adjusted fraction",
    ),
    "gate.evidence": CheckFacts(
        "evidence is whole and its own",
        "a verdict on edited thresholds, left-out rows or other rules is no verdict",
        _EVAL,
        "faults",
        "<=",
    ),
    "gate.failpoints": CheckFacts(
        "armed fault injections",
        "a run in which faults were injected on purpose is a test, not a model to release",
        "run again without failpoints, in a new run",
        "failpoints",
        "<=",
    ),
    "gate.weights_digest": CheckFacts(
        "one digest of weights", "what was measured must be what ships", _EVAL, "other digests", "<="
    ),
    "honesty.benchmarks": CheckFacts(
        "benchmark items in the training text",
        "a published score on items that were trained on compares with nothing",
        "picochat eval benchmark NAME --data PATH measures and compares one; where items were found, set "
        'contamination = "drop" in the pack, in a new run',
        "fraction",
        "<=",
    ),
    "honesty.checkable": CheckFacts(
        "items long enough to be looked for",
        "what cannot be looked for may stand in the training text",
        "use longer questions, or generated ones whose separation is proved",
    ),
    "honesty.corpus": CheckFacts(
        "eval and held-out rows in the corpus",
        "an answer that was read before is not a skill",
        _CLEAN,
        "rows",
        "<=",
    ),
    "honesty.exposure": CheckFacts(
        "exposure of facts seen once",
        "a fact that stands once should not be known",
        "fewer passes; plant canaries in the pack: [canaries] copies = [1, 4, 16, 64]",
        "bits",
        "<=",
    ),
    "honesty.extractable": CheckFacts(
        "documents continued by heart",
        "a text that is continued word for word was memorised, and can be taken out again",
        "fewer passes over the text, remove duplicates; measure with picochat eval memorisation RUN",
        "fraction",
        "<=",
    ),
    "honesty.heldout": CheckFacts(
        "held-out rows in the rows of fine-tuning",
        "held-out fit on rows that were trained on is fit",
        "take them out of the chat files, in a new run; honesty_hits.jsonl shows both passages",
        "rows",
        "<=",
    ),
    "honesty.sft": CheckFacts(
        "eval rows in the rows of fine-tuning",
        "an answer that was trained is not a skill",
        "take them out of the chat files, in a new run; honesty_hits.jsonl shows both passages",
        "rows",
        "<=",
    ),
    "preflight": CheckFacts(
        "faults of the judgement before training",
        "a run that should not have started is no better for having ended",
        "picochat run PROFILE --preflight-only --out-dir RUN before training, in a new run",
        "faults",
        "<=",
    ),
    **PREDICTION_CHECKS,
    "sft.duplicate_prompts": CheckFacts(
        "prompts of fine-tuning that stand twice",
        "few different prompts teach few different answers",
        "use more varied chat rows, in a new run",
        "fraction",
        "<=",
    ),
    "sft.exposure": CheckFacts(
        "epochs of fine-tuning",
        "rows that are seen too often are learned by heart",
        "add chat rows, or lower sft.loop.tokens, in a new run",
        "epochs",
        "<=",
    ),
    "sft.fit": CheckFacts(
        "fit: answers to rows it trained on", "a model that cannot repeat its lessons has not learned them", _SFT
    ),
    "sft.fit.skills": CheckFacts("fit of the weakest skill", "a good mean may hide a skill that was not learned", _SFT),
    "sft.heldout_fit": CheckFacts(
        "held-out fit: other templates and entities", "fit without held-out fit is learning by heart", _SFT
    ),
    "sft.too_long": CheckFacts(
        "conversations that no row has room for",
        "what is left out is not learned, and it is always the longest",
        "raise sft.loop.seq_len, in a new run",
        "fraction",
        "<=",
    ),
    "skill.arithmetic": CheckFacts("arithmetic", "the model is said to calculate", _SFT),
    "skill.arithmetic.hard": CheckFacts("arithmetic, hard level", "easy sums alone do not show a procedure", _SFT),
    "skill.choice": CheckFacts("choice", "the model is said to choose among given options", _SFT),
    "skill.identity": CheckFacts("identity", "the model is said to know what it is and what it cannot do", _SFT),
    "skill.refusal": CheckFacts("refusal", "the model is said to decline harmful requests", _SFT),
    "skill.spelling": CheckFacts("spelling", "the model is said to spell", _SFT),
    "skill.spelling.hard": CheckFacts(
        "spelling, hard level", "short words alone do not show that letters are known", _SFT
    ),
    "skills.disjoint": CheckFacts(
        "rows of fine-tuning with a held-out wording or entity",
        "a held-out row whose words were trained on is no proof of a skill",
        "make the chat rows again: picochat data skills, in a new run",
        "rows",
        "<=",
    ),
    "training.completed": CheckFacts(
        "planned steps taken",
        "a training that ended early is not the one that was planned",
        "picochat run PROFILE --out-dir RUN --resume",
    ),
    "training.guard_skips": CheckFacts(
        "steps that the loss guard left out",
        "a training that keeps breaking out is unstable, and its losses are those of the steps that went well",
        "lower the learning rate, in a new run",
        "fraction",
        "<=",
    ),
    "training.ledger": CheckFacts(
        "every planned step in the ledger, once",
        "a step that is missing or repeated is another training than the one reported",
        "picochat run PROFILE --out-dir RUN --resume, or a new run",
        "faults",
        "<=",
    ),
    "verify.chain": CheckFacts(
        "every file is the one that was recorded",
        "a number is only worth the bytes that it was made from",
        "restore the file, or run the stage that writes it again; picochat verify RUN lists every broken link",
        "broken links",
        "<=",
    ),
}

VERIFY_CHECKS: dict[str, CheckFacts] = {
    "verify.bounded": CheckFacts(
        "what is too large to be computed again",
        "a number that is not computed again is worth as much as whoever reported it",
        "run the stage again where the text is, and compare",
        "",
        "",
    ),
    "verify.bundle": CheckFacts(
        "a bundle holds what its record lists",
        "a file that is added, exchanged or missing is not what was handed over",
        "ask for the bundle again: picochat bundle RUN --out FILE.tar",
        "",
        "",
    ),
    "verify.chain": CHECKS["verify.chain"],
    "verify.checkpoint": CheckFacts(
        "checkpoint folder",
        "weights that differ from their manifest are not the weights that were trained",
        "restore the folder, or train again",
        "",
        "",
    ),
    "verify.export": CheckFacts(
        "an export holds what its record lists",
        "a file that was changed after the proof is not the model that was proved",
        "export again: picochat export hf RUN, or picochat export gguf RUN",
        "",
        "",
    ),
    "verify.external": CheckFacts(
        "inputs from outside the run",
        "a file that is not here cannot be hashed again; the run names its digest",
        "put the file back under its path to check it too",
        "",
        "",
    ),
    "verify.gate": CheckFacts(
        "gate.json equals the gate computed again",
        "a verdict that does not follow from the artifacts is stale or forged",
        "picochat gate RUN",
        "",
        "==",
    ),
    "verify.left_out": CheckFacts(
        "files that a bundle leaves out",
        "what is not here cannot be hashed or judged again; its digest is the one that the run recorded",
        "verify the run itself, or make a bundle with --with-corpus or --with-shards",
        "",
        "",
    ),
    "verify.lineage": CheckFacts(
        "each input is an earlier stage's output",
        "a stage that read something else judged or trained another model",
        "run the stage again: picochat run PROFILE --out-dir RUN --resume",
        "",
        "",
    ),
    "verify.rates": CheckFacts(
        "rates computed again from rows",
        "a rate that does not follow from its rows was not measured",
        "picochat eval skills RUN",
        "",
        "==",
    ),
    "verify.signature": CheckFacts(
        "the signature of a bundle",
        "digests say what was judged; only a signature says who vouches for it",
        "picochat verify BUNDLE --public-key KEY.pem with the key of whoever made it",
        "",
        "",
    ),
    "verify.summary": CheckFacts(
        "summary computed again",
        "a summary that does not follow from the artifacts misleads its reader",
        "picochat gate RUN",
        "",
        "==",
    ),
    "verify.unlisted": CheckFacts(
        "files that no artifact names",
        "an unlisted file has no origin and proves nothing",
        "remove it, or run picochat gate RUN",
        "",
        "",
    ),
}
"""The kinds of findings of verify; a gate counts them all under `verify.chain`."""

LATEST_VERSION = 3
"""Of the gate profiles. Older ones stay, so that a verdict under them can be computed again."""
PROFILE_NAMES = ("research", "first_release", "skill_release")

PROFILE_DIGESTS: dict[tuple[str, int], str] = {
    ("research", 3): "37a04a3e841df22afb68acaaef0915a5d53ccebdb4fa537a241e0f182993651e",
    ("research", 2): "2c8fbd89bd2c5a8215a0ba27ad604ab98cabb6e8e8cb83475937000f1864ec48",
    ("research", 1): "e1dbbe8748f654bdd098d6a2301b0c3e54730f2b6d3ae76d24caa8db49482948",
    ("first_release", 3): "8c87f9a6030ad739594e812eee2be555ee42f4e39bedcc1b0d83e78df5b34b13",
    ("first_release", 2): "c64bba63e5aba414cb104124cccec61601f9dcdc92513d32fa4eac0551610696",
    ("first_release", 1): "18363a8d305e5eaf3c131032802c648aa943076bf2befa2063f883fa245ca962",
    ("skill_release", 3): "15fda2257ac373c5bc91d83ae932e2fb8540f1cb8cdb1b9b995e646d39de94a4",
    ("skill_release", 2): "ba3070f14eb1db3eebf9ffc43a1a1dcd9851772e1f79975e991b08bf7e0d90fa",
    ("skill_release", 1): "d95642e032cde7efc6e263785907ab5ccfc2caf558edebece4109c007847d4f4",
}
"""sha256 of each profile file by name and version. A file that differs is an edited profile: gate.evidence blocks."""
