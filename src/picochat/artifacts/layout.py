"""The names of a run's files. No other module spells one.

A stage owns a folder or a few root files; `LIVE` names change all the time and are never hashed.
"""

from __future__ import annotations

from pathlib import Path

RUN = "run.json"
STATUS = "status.json"
EVENTS = "events.jsonl"
CONTROL = "control.json"
DDP_CONTROL = "ddp_control.json"
LOCK = ".lock"
LOGS = "logs"

CORPUS = "corpus.txt"
CORPUS_DOCUMENTS = "corpus_documents.bin"
CORPUS_MANIFEST = "corpus_manifest.json"
CORPUS_DROPPED = "corpus_dropped.jsonl"
CANARIES = "canaries.jsonl"
"""Planted facts; only a pack that asks for canaries has them."""
TOKENIZER = "tokenizer.json"
TOKENIZER_REPORT = "tokenizer_report.json"

SHARDS = "shards"
SHARDS_MANIFEST = "shards/shards_manifest.json"
SHARDS_WORK = "shards/.live-parts"
"""Records of finished shards, until the manifest takes them over."""
DATASET_WORK = ".live-dataset"
"""Pieces of the corpus that are cleaned and sketched, until the corpus is written."""

CHAT_TRAIN = "chat/train.jsonl"
CHAT_HELDOUT = "chat/heldout.jsonl"
CHAT_EVAL = "chat/eval.jsonl"

BASE = "base"
SFT = "sft"
EVAL = "eval"
BENCHMARKS = "benchmarks"
HARNESS = "harness"

CHECKPOINT = "checkpoint"
CHECKPOINT_PREVIOUS = "checkpoint.previous"
BEST = "best"
KEPT = "kept"
LEDGER = "ledger.jsonl"
SAMPLES = "samples.jsonl"
REPORT = "report.json"
REPORT_MD = "report.md"
ROWS = "rows.jsonl"
FIT_ROWS = "fit_rows.jsonl"
HELDOUT_ROWS = "heldout_rows.jsonl"

PREDICTION = "prediction.json"
"""Written before base begins, and never again."""
PREDICTION_CHECK = "prediction_check.json"

HONESTY = "honesty.json"
HONESTY_HITS = "honesty_hits.jsonl"
MEMORISATION = "memorisation.json"
MEMORISATION_ROWS = "memorisation_rows.jsonl"
PREFLIGHT = "preflight.json"
PREFLIGHT_MD = "preflight.md"
GATE = "gate.json"
WAIVERS = "waivers.json"
"""Only a run of which a person let a check go has them."""
SUMMARY = "summary.json"
SUMMARY_MD = "summary.md"
REPORT_HTML = "report.html"
MODEL_CARD = "model_card.md"

# A bundle: a run, or most of it, to hand over.
BUNDLE = "bundle.json"
BUNDLE_SIGNATURE = "bundle.sig"
BUNDLE_RUN = "run"
"""The folder of a bundle that holds the run's files under their own names."""

# A ladder: small runs side by side, and what they came to.
LADDER = "ladder.json"
LADDER_DATA = "data"
"""The run that holds the text and the tokenizer of all rungs."""
# An export: a folder below EXPORT, by its kind, for other runtimes.
EXPORT = "export"
EXPORT_WORK = "export/.live-work"
"""What is being written and proved, until it is published."""
EXPORT_HF = "hf"
EXPORT_GGUF = "gguf"
EXPORT_MANIFEST = "export.json"
PARITY = "parity.json"
HF_CARD = "README.md"
HF_CONFIG = "config.json"
HF_GENERATION = "generation_config.json"
HF_TOKENIZER_CONFIG = "tokenizer_config.json"
HF_CONFIG_CODE = "configuration_picochat.py"
HF_MODEL_CODE = "modeling_picochat.py"
# A model that others trained, in our form.
IMPORT = "import.json"
IMPORTED = "imported"
"""Takes the place of a stage's name: the checkpoint lies in `imported/checkpoint`."""
IMPORT_SOURCE = "source"
"""The folder of small files that are kept as they were published."""
CHAT_TEMPLATE = "chat_template.jinja"

# What a folder of the Hugging Face layout holds.
HF_WEIGHTS = "model.safetensors"
HF_INDEX = "model.safetensors.index.json"
HF_GENERATION_CONFIG = "generation_config.json"

# Inside a checkpoint folder.
CKPT_MANIFEST = "MANIFEST.json"
CKPT_MODEL_CONFIG = "model.json"
CKPT_WEIGHTS = "model.safetensors"
CKPT_TRAIN_STATE = "train_state.json"
CKPT_OPTIMIZER = "optimizer.safetensors"
CKPT_RNG = "rng.safetensors"
CKPT_EMA = "ema.safetensors"


def checkpoint_slice(rank: int, size: int) -> str:
    """The file of a checkpoint that holds one rank's slices of optimizer and average."""
    return f"slice-{rank:05d}-of-{size:05d}.safetensors"


def shard(side: str, number: int) -> str:
    """`train`, 3 -> `shards/train-00003.bin`."""
    return f"{SHARDS}/{side}-{number:05d}.bin"


# Beside the runs: launches, and what the workbench started.
DESK = ".picochat"
DESK_PLANS = "plans"
DESK_STARTS = "starts"
DESK_AUDIT = "audit.jsonl"
DESK_DRY_RUNS = "dry_runs"
DESK_SETTINGS = "launch.toml"
DESK_PROCESSES = "processes"
PROCESS = "process.json"
PROCESS_EXIT = "exit.json"
PROCESS_OUTPUT = "output.log"
"""What a command wrote to standard output and standard error, as it came."""

LIVE_FILES = frozenset({STATUS, EVENTS, CONTROL, DDP_CONTROL, LOCK})
LIVE_FOLDERS = frozenset({LOGS})

PAGES = (SUMMARY_MD, REPORT_HTML, MODEL_CARD)
"""Rendered from artifacts alone, and again by verify."""
SUMMARY_FILES = (SUMMARY, *PAGES)


def rank_log(rank: int) -> str:
    return f"{LOGS}/rank{rank}.log"


def checkpoint_dir(stage: str) -> str:
    """`base` -> `base/checkpoint`."""
    return f"{stage}/{CHECKPOINT}"


def kept_checkpoint(step: int) -> str:
    """`100` -> `kept/step-00000100`, below the folder of a training."""
    return f"{KEPT}/step-{step:08d}"


def benchmark_dir(name: str) -> str:
    return f"{BENCHMARKS}/{name}"


def harness_dir(task: str) -> str:
    return f"{HARNESS}/{task}"


def export_dir(kind: str) -> str:
    """`hf` -> `export/hf`."""
    return f"{EXPORT}/{kind}"


def gguf_file(kind: str) -> str:
    """`q8_0` -> `model-q8_0.gguf`, below the folder of an export."""
    return f"model-{kind}.gguf"


def report_path(stage: str) -> str:
    """`sft` -> `sft/report.json`."""
    return f"{stage}/{REPORT}"


def is_live(relative: Path | str) -> bool:
    """Whether a file below a run changes all the time (or is a leftover of a crash) and is therefore never hashed."""
    path = Path(relative)
    hidden = any(part.startswith((".tmp-", ".live-", ".trash-", ".broken-")) for part in path.parts)
    return hidden or path.parts[0] in LIVE_FOLDERS or str(path) in LIVE_FILES or path.name == LOCK
