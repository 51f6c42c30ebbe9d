"""Batches per second of each data mode, against what a trainer needs; and how long a training waits for its batches.

    python benchmarks/loader.py [--mb 64] [--rounds 5] [--steps 20] [--json]

First table: rows of 2,048 tokens drawn as fast as they can be, from memory and from shards on disk (pages cached), with
the positions and segments of their documents. The need is that of one of eight GPUs of the 1.12 B model at 50 % of
989 TFLOP/s: about 62,000 tokens a second.

Second table: a real training of 9 M parameters on this CPU, rows of 512, with 0 and with 2 steps read ahead; the share
of its time in which the loop waited for its batches. Asked for: under 1 %. It computes with one thread: threads on all
cores spin while they wait for each other, and beside any other work a step then takes ten times as long.

What is unfair about it: the shards lie in the page cache after the first round; a first pass over a cold disk waits for
the disk.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from picochat.data.batches import BatchStream
from picochat.data.corpus import CorpusReader, Document, corpus_writer
from picochat.data.memory import encode_documents
from picochat.data.order import SampleOrder
from picochat.data.rows import RowSource, WindowRows
from picochat.data.shards.manifest import ShardsBody
from picochat.data.shards.reading import ShardSet
from picochat.data.shards.writing import ShardJob, ShardPlan, build_shard_writer
from picochat.data.stream import DocumentStream
from picochat.tokenizer.bpe import train_bpe
from picochat.tokenizer.config import TokenizerConfig
from picochat.tokenizer.tokenizer import Tokenizer

from texts import iter_texts, read_passages  # isort: skip

MODES = ("memory", "sharded", "packed", "packed-whole")
NEED_TOKENS_PER_S = 62_000
WAIT_FRAC = 0.01
VOCAB = 8192
Sources = dict[tuple[str, int], RowSource]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sources = build_sources(Path(folder), options.mb)
        rates = measure_rates(sources, options.rounds)
        waits = measure_waits(sources, options.steps, options.rounds)
    if options.json:
        print(json.dumps({"rates": rates, "waits": waits}, indent=1))
        return
    print("| mode | batches/s of 16 x 2,048 | tokens/s | of the need |\n|---|---|---|---|")
    for row in rates:
        need = row["tokens_per_s"] / NEED_TOKENS_PER_S
        print(f"| {row['mode']} | {row['batches_per_s']:.0f} | {row['tokens_per_s']:,.0f} | {need:,.0f} x |")
    print("\n| mode | steps read ahead | step ms | waited | asked for |\n|---|---|---|---|---|")
    for row in waits:
        verdict = "reached" if row["wait_frac"] < WAIT_FRAC else "MISSED"
        asked = f"under {WAIT_FRAC:.0%}: {verdict}" if row["prefetch"] else ""
        print(f"| {row['mode']} | {row['prefetch']} | {row['step_ms']:.0f} | {row['wait_frac']:.3%} | {asked} |")


def build_sources(folder: Path, mb: int) -> Sources:
    """The rows of every mode over one corpus, for rows of 2,048 and of 512 tokens."""
    texts = list(iter_texts(read_passages(None), mb * 1_000_000))
    random.Random(1).shuffle(texts)
    with corpus_writer(folder / "text", folder / "records") as writer:
        for number, text in enumerate(texts):
            writer.add(Document(text, 0, 0, number))
    (folder / "tokenizer.json").write_bytes(train_bpe(texts[:2000], TokenizerConfig(vocab_size=VOCAB)))
    tok, reader = Tokenizer.load(folder / "tokenizer.json"), CorpusReader(folder / "text", folder / "records")
    found: Sources = {}
    memory = encode_documents(reader, list(range(len(reader))), tok.encode_batch, tok.bos, tok.eos)
    for row_tokens in (2048, 512):
        found["memory", row_tokens] = WindowRows(memory, row_tokens)
        for mode in MODES[1:]:
            found[mode, row_tokens] = write_shards(folder, mode, row_tokens, reader, tok).rows(row_tokens, 1)
    return found


def write_shards(folder: Path, mode: str, row_tokens: int, reader: CorpusReader, tok: Tokenizer) -> ShardSet:
    packed = mode.startswith("packed")
    out = folder / f"{mode}-{row_tokens}"
    out.mkdir()
    plan = ShardPlan(
        folder / "text",
        folder / "records",
        folder / "tokenizer.json",
        True,
        ("made",),
        (1.0,),
        "uint16",
        row_tokens=row_tokens if packed else None,
        packing="no_crop" if mode == "packed-whole" else "best_fit_crop",
    )
    write = build_shard_writer(plan)
    parts = DocumentStream(reader, "train", plan.weights).parts(20_000_000)
    records = [write(ShardJob("train", part, out / f"train-{part.number:05d}.bin")) for part in parts]
    body = ShardsBody(
        dtype="uint16",
        layout="rows" if packed else "stream",
        row_tokens=plan.row_tokens,
        boundary_tokens=True,
        bos_id=tok.bos,
        eos_id=tok.eos,
        pad_id=tok.pad,
        vocab_size=tok.vocab_size,
        tokenizer_sha256="",
        corpus_sha256="",
        documents_sha256="",
        train=tuple(records),
        val=(),
        exposure=(),
    )
    return ShardSet(out, body)


def measure_rates(sources: Sources, rounds: int) -> list[dict[str, Any]]:
    """Micro-batches of 16 rows of 2,048, in turns."""
    found: dict[str, list[float]] = {mode: [] for mode in MODES}
    for _ in range(rounds):
        for mode in MODES:
            rows = sources[mode, 2048]
            order = SampleOrder(len(rows), 1).samples_at
            stream = BatchStream(rows, order, micro_batch_size=16, micro_batches=1)
            started, batches = time.perf_counter(), 0
            while time.perf_counter() - started < 1.0:
                stream.draw_step()
                batches += 1
            found[mode].append(batches / (time.perf_counter() - started))
            print(f"{mode}: {found[mode][-1]:.0f} batches/s", file=sys.stderr)
    return [
        {"mode": mode, "batches_per_s": statistics.median(rates), "tokens_per_s": statistics.median(rates) * 16 * 2048}
        for mode, rates in found.items()
    ]


def measure_waits(sources: Sources, steps: int, rounds: int) -> list[dict[str, Any]]:
    """The real trainer over each mode, with and without reading ahead, in turns."""
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(max(1, rounds // 2)):
        for mode in MODES:
            for prefetch in (0, 2):
                wait, step_s = train(sources[mode, 512], steps, prefetch)
                found.setdefault((mode, prefetch), []).append((wait, step_s))
                print(f"{mode}, {prefetch} ahead: waited {wait:.3%} of {step_s * 1e3:.0f} ms", file=sys.stderr)
    return [
        {
            "mode": mode,
            "prefetch": prefetch,
            "wait_frac": statistics.median(wait for wait, _ in values),
            "step_ms": 1e3 * statistics.median(step for _, step in values),
        }
        for (mode, prefetch), values in found.items()
    ]


def train(rows: RowSource, steps: int, prefetch: int) -> tuple[float, float]:
    """(share of the time waited for batches, seconds a step) of a training of 9 M parameters without masks."""
    import torch

    from picochat.distributed.world import SoloWorld
    from picochat.model.config import ModelConfig
    from picochat.model.init import init_weights
    from picochat.model.transformer import Transformer
    from picochat.training.config import OptimConfig
    from picochat.training.language_modeling import LanguageModeling
    from picochat.training.ledger import Ledger
    from picochat.training.optim import OptimizerSet
    from picochat.training.state import TrainState
    from picochat.training.trainer import LoopParts, Trainer

    torch.set_num_threads(1)
    shape = {"vocab_size": VOCAB, "dim": 256, "n_layers": 10, "n_heads": 4, "n_kv_heads": 1, "head_dim": 64}
    model = Transformer(ModelConfig.from_dict(shape | {"hidden_dim": 704, "max_seq_len": 512}))
    init_weights(model, torch.Generator().manual_seed(1))
    order = SampleOrder(len(rows), 1).samples_at
    batches = BatchStream(rows, order, micro_batch_size=2, micro_batches=1, document_mask=False, prefetch=prefetch)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.jsonl")
        loop = LoopParts(steps=steps, lr_factor=lambda step: 1.0, lr=1e-3, clip=1.0, ledger=ledger)
        optimizer = OptimizerSet(model, OptimConfig(lr=1e-3))
        trainer = Trainer(model, LanguageModeling(0.0, 1024), optimizer, batches, SoloWorld(), loop, [], TrainState())
        trainer.train_step()
        before, started = trainer.data_wait_s, time.monotonic()
        for _ in range(steps):
            trainer.train_step()
        seconds = time.monotonic() - started
        ledger.close()
    return (trainer.data_wait_s - before) / seconds, seconds / steps


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
