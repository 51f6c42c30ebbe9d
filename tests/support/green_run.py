"""A complete run without training: real artifacts of a scripted model that is right at known rates.

build_green_run(root)           run.json, corpus, chat rows, reports, checkpoints, ledgers, eval rows, one benchmark
judge(root, profile)            the summary stage, as a run ends
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.green_rows import questions, records, wording

from picochat.artifacts import layout
from picochat.artifacts.code_record import CodeRecord
from picochat.artifacts.reports import self_digest
from picochat.artifacts.schema import schema_tag
from picochat.artifacts.store import RunStore, StageRecord
from picochat.checkpoint import raw
from picochat.checkpoint.format import manifest_bytes
from picochat.core.clock import ManualClock
from picochat.core.config import Config
from picochat.core.events import EventWriter
from picochat.core.hashing import sha256_bytes, sha256_file
from picochat.core.jsonio import jsonl_bytes, pretty_json
from picochat.data.conversations import PairRow, encode_rows
from picochat.data.corpus import CorpusReader, Document, corpus_writer
from picochat.data.duplicates.forms import cluster_of, comparison_form
from picochat.data.memorisation.passages import choose_passages
from picochat.data.split import SIDES
from picochat.evals.baselines import sample_side, score_ngrams
from picochat.evals.memorisation import summarise_memorisation
from picochat.evals.summarise import summarise_rows
from picochat.evals.tasks.blimp import FACTS, recompute_blimp
from picochat.evals.tasks.blimp_paradigms import PARADIGMS
from picochat.judgement.benchmarks import METRICS
from picochat.judgement.eval_sets import SETS
from picochat.judgement.rules.preflight import settings_digest
from picochat.stages.contract import StageContext
from picochat.stages.honesty.config import HonestyConfig
from picochat.stages.honesty.run import run as run_honesty
from picochat.stages.summary.config import SummaryConfig
from picochat.stages.summary.run import run as run_summary
from picochat.tokenizer.bpe import train_bpe
from picochat.tokenizer.config import TokenizerConfig
from picochat.tokenizer.tokenizer import Tokenizer

CODE = CodeRecord(version="0", git_commit=None, git_dirty=None, package_digest="0" * 64)
STEPS, TOKENS_PER_STEP, PARAMETERS = 20, 512, 400
DOCUMENTS, HELD_OUT = 180, 60
NUMBERS = {"eval": 0, "heldout": 1, "fit": 2}


class StageConfig(Config):
    """The configuration of a stage that did not run."""


@lru_cache
def tokenizer_of(name: str) -> bytes:
    """A real tokenizer of 288 ids, another one for each name."""
    texts = [f"{name} {wording(name, number)}" for number in range(200)]
    return train_bpe(texts, TokenizerConfig(vocab_size=288))


@lru_cache(maxsize=64)
def count_baselines(name: str, corpus: bytes, records: bytes, limit_tokens: int = 10**8) -> dict[str, dict[str, float]]:
    """The n-gram scores of a corpus under the run's tokenizer."""
    with TemporaryDirectory() as folder:
        paths = Path(folder) / layout.CORPUS, Path(folder) / layout.CORPUS_DOCUMENTS
        for path, data in zip(paths, (corpus, records), strict=True):
            path.write_bytes(data)
        reader, tok = CorpusReader(*paths), Tokenizer(tokenizer_of(name))
        train, val = (sample_side(reader, tok, side, 10**8, limit_tokens) for side in ("train", "val"))
        return score_ngrams(train, val, tok)


def checkpoint_files(stage: str, run_digest: str, seed: int, step: int = STEPS) -> dict[str, bytes]:
    """A checkpoint folder written by hand, without torch."""
    values = [float(seed + i) for i in range(PARAMETERS)]
    data = struct.pack(f"<{PARAMETERS}f", *values)
    tensors = {"weight": raw.RawTensor("F32", (PARAMETERS,), memoryview(data))}
    _, head = raw.header_bytes({"weight": ("F32", (PARAMETERS,))})
    tokens = step * TOKENS_PER_STEP
    files = {
        layout.CKPT_WEIGHTS: head + data,
        layout.CKPT_MODEL_CONFIG: pretty_json({"dim": PARAMETERS}),
        layout.CKPT_TRAIN_STATE: pretty_json({"step": step, "tokens_seen": tokens}),
    }
    entries = {name: {"bytes": len(content), "sha256": sha256_bytes(content)} for name, content in files.items()}
    facts = {"stage": stage, "step": step, "tokens_seen": tokens, "files": entries, "fingerprint": {}, "world_size": 1}
    facts |= {
        "weights_digest": raw.tensors_digest(tensors),
        "run_digest": run_digest,
        "saved_at": "2026-01-01T00:00:00.000Z",
    }
    return files | {layout.CKPT_MANIFEST: manifest_bytes(facts)}


class GreenRun:
    """Writes the stages of a run one after the other; `rates` are the model's, by set."""

    def __init__(
        self,
        root: Path,
        name: str = "green",
        rates: dict[str, float] | None = None,
        seed: int = 1,
        profile: str = "research",
        steps: int = STEPS,
    ) -> None:
        self.store = RunStore(root)
        self.name, self.seed, self.profile, self.steps = name, seed, profile, steps
        self.rates = {"eval": 0.95, "heldout": 0.95, "fit": 1.0} | (rates or {})
        self.weights: dict[str, str] = {}

    @classmethod
    def reopen(cls, root: Path, **options: Any) -> GreenRun:
        """A run that was built before, to write one of its stages again."""
        run = cls(root, **options)
        run.weights = {
            stage: run.store.read(layout.report_path(stage))["weights_digest"] for stage in (layout.BASE, layout.SFT)
        }
        return run

    def build(self, *, benchmark: Path | None = None, n: int = 200) -> RunStore:
        self.store.root.mkdir(parents=True)
        self.write_run()
        self.write_corpus(n)
        self.write_tokenizer()
        self.write_preflight()
        self.write_training(layout.BASE)
        self.write_training(layout.SFT)
        self.write_eval(n)
        self.write_memorisation()
        if benchmark is not None:
            self.write_benchmark(benchmark)
        self.write_honesty()
        return self.store

    def _report(
        self,
        path: str,
        schema: str,
        body: dict[str, Any],
        inputs: list[str],
        outputs: list[str],
        external: Path | None = None,
    ) -> None:
        record = StageRecord(self.store, schema.removesuffix("_report"), 1, StageConfig(), 0.0)
        for name in inputs:
            record.add_input("input", name)
        if external is not None:
            record.add_input("benchmark", external)
        for name in outputs:
            record.add_output("output", name)
        self.store.write_report(path, schema, body, record.manifest(1.0))

    def write_run(self, failpoints: tuple[str, ...] = ()) -> None:
        record = {
            "schema": schema_tag("run").to_json(),
            "name": self.name,
            "profile": "tiny",
            "gate_profile": self.profile,
            "nonce": f"nonce-{self.name}",
            "created_at": "2026-01-01T00:00:00.000Z",
            "config": {"seed": self.seed},
            "origins": {"seed": "profile"},
            "failpoints": list(failpoints),
            "code": CODE.to_json(),
            "environment": {},
        }
        self.store.write(layout.RUN, pretty_json(record))

    def write_corpus(
        self,
        n: int,
        leak: bool = False,
        *,
        text_of: Callable[[int, str], str] = lambda number, text: text,
        rows_of: Callable[[str, list[Any]], list[Any]] = lambda path, rows: rows,
        change: Callable[[dict[str, Any]], Any] = lambda body: None,
    ) -> None:
        """`text_of`, `rows_of` and `change` make other documents, chat rows and facts of the manifest."""
        store, paths = self.store, (layout.CORPUS, layout.CORPUS_DOCUMENTS)
        with corpus_writer(store.path(paths[0]), store.path(paths[1])) as writer:
            for number in range(DOCUMENTS):
                named = 0 if leak and number == DOCUMENTS - 1 else number
                text = f"Document {named} of the run {self.name}. " + " ".join(wording(named, i) for i in range(3))
                text = text_of(number, text)
                writer.add(Document(text, 0, int(number >= DOCUMENTS - HELD_OUT), cluster_of(comparison_form(text))))
        train = [
            PairRow(user=row.user or "", assistant="ok", category=row.category) for row in questions("fit", n // 2)
        ]
        chat = {
            layout.CHAT_TRAIN: train,
            layout.CHAT_HELDOUT: questions("heldout", n // 2),
            layout.CHAT_EVAL: questions("eval", n),
        }
        for path, rows in chat.items():
            store.write(path, encode_rows(rows_of(path, rows)))
        store.write(layout.CORPUS_DROPPED, jsonl_bytes([{"source": "notes", "name": "bad.bin", "reason": "binary"}]))
        counts = {
            "documents": DOCUMENTS,
            "train_documents": DOCUMENTS - HELD_OUT,
            "val_documents": HELD_OUT,
            "bytes": 4000,
            "train_bytes": 3400,
            "val_bytes": 600,
        }
        source = {"id": "notes", "documents_are": "given", "licence": "CC0-1.0", "revision": "1", "import": None}
        source |= {"read": DOCUMENTS + 1, "kept": DOCUMENTS, "dropped": {"binary": 1}}
        body = {
            "counts": counts,
            "sources": [source],
            "dropped": {"by_reason": {"binary": 1}},
            "benchmarks": [],
            "chat": {"disjoint_violations": 0},
            "checks": {"exact_left": 0, "near_leak": 0, "audited": DOCUMENTS, "audit_near": 0},
        }
        change(body)
        outputs = [*paths, layout.CORPUS_DROPPED, *chat]
        self._report(layout.CORPUS_MANIFEST, "corpus_manifest", body, [], outputs)

    def write_honesty(self, **config: Any) -> None:
        """The stage itself: what is judged is looked for in what was trained."""
        events = EventWriter(self.store.path(layout.EVENTS))
        try:
            run_honesty(StageContext(self.store, events, seed=1, clock=ManualClock()), HonestyConfig.from_dict(config))
        finally:
            events.close()

    def write_tokenizer(self) -> None:
        self.store.write(layout.TOKENIZER, tokenizer_of(self.name))
        body = {"vocab_size": 288, "bytes_per_token": 2.0, "baselines": self.baselines(), "fast_path": {"equal": True}}
        inputs = [layout.CORPUS, layout.CORPUS_DOCUMENTS, layout.CORPUS_MANIFEST]
        self._report(layout.TOKENIZER_REPORT, "tokenizer_report", body, inputs, [layout.TOKENIZER])

    def baselines(self) -> dict[str, Any]:
        """As the tokenizer stage counts them: the scripted model is better than any of them."""
        names = (layout.CORPUS, layout.CORPUS_DOCUMENTS)
        found = count_baselines(self.name, *(self.store.path(name).read_bytes() for name in names))
        return {name: dict(scores) for name, scores in found.items()}

    def count_again(self) -> None:
        """The baselines of a corpus that was changed, in every report that names them."""
        for name in (layout.TOKENIZER_REPORT, layout.report_path(layout.BASE), layout.report_path(layout.SFT)):
            if self.store.has(name):
                body = self.store.read(name) | {"baselines": self.baselines()}
                self.store.write(name, pretty_json(body | {"self_digest": self_digest(body)}))

    def write_preflight(self, verdict: str = "pass", column: str = "release", **changes: Any) -> None:
        """Judged before it was trained, with the limits of a release."""
        config = self.store.read(layout.RUN)["config"]
        body = {"verdict": verdict, "column": column, "config_digest": settings_digest(config)} | changes
        for name in (layout.PREFLIGHT, layout.PREFLIGHT_MD):
            self.store.path(name).unlink(missing_ok=True)
        self.store.write(layout.PREFLIGHT_MD, b"# Preflight\n")
        self._report(layout.PREFLIGHT, "preflight", body, [layout.RUN], [layout.PREFLIGHT_MD])

    def write_training(
        self,
        stage: str,
        step_change: Callable[[list[dict]], list[dict]] = list,
        change: Callable[[dict[str, Any]], Any] = lambda body: None,
    ) -> None:
        store, folder = self.store, layout.checkpoint_dir(stage)
        files = checkpoint_files(stage, store.run_digest(), self.seed * 10 + len(stage), self.steps)
        for name, data in files.items():
            store.write(f"{folder}/{name}", data)
        self.weights[stage] = raw.tensors_digest(raw.parse_tensors(bytearray(files[layout.CKPT_WEIGHTS]), stage))
        lines = [
            {"step": step, "verdict": "ok", "loss": (2.5).hex(), "targets": 500} for step in range(1, self.steps + 1)
        ]
        store.write(f"{stage}/{layout.LEDGER}", jsonl_bytes(step_change(lines)))
        sample = {"step": self.steps, "text": f"hello from {self.name}"}
        store.write(f"{stage}/{layout.SAMPLES}", jsonl_bytes([sample]))
        store.write(f"{stage}/{layout.REPORT_MD}", f"# {stage} of {self.name}\n".encode())
        body = self.training_body(stage)
        change(body)
        checkpoint = [f"{folder}/{name}" for name in files]
        outputs = [*checkpoint, *(f"{stage}/{name}" for name in (layout.LEDGER, layout.SAMPLES, layout.REPORT_MD))]
        inputs = [
            layout.TOKENIZER,
            layout.CORPUS,
            layout.CORPUS_DOCUMENTS,
            layout.CORPUS_MANIFEST,
            layout.TOKENIZER_REPORT,
        ]
        if stage == layout.BASE and store.has(layout.SHARDS_MANIFEST):
            body["data_mode"] = "sharded"
            inputs += [ref.path for ref in store.refs_below("shards", layout.SHARDS)]
        if stage == layout.SFT:
            base = layout.checkpoint_dir(layout.BASE)
            inputs += [
                layout.CHAT_TRAIN,
                layout.report_path(layout.BASE),
                f"{base}/{layout.CKPT_MANIFEST}",
                f"{base}/{layout.CKPT_WEIGHTS}",
            ]
        self._report(layout.report_path(stage), f"{stage}_report", body, inputs, outputs)

    def training_body(self, stage: str) -> dict[str, Any]:
        """What the report of a stage says beside its manifest."""
        tokens = self.steps * TOKENS_PER_STEP
        training = {
            "planned_steps": self.steps,
            "steps": self.steps,
            "planned_tokens": tokens,
            "tokens_seen": tokens,
            "targets_seen": 500 * self.steps,
        }
        unique = 250 * self.steps
        exposure = {"source": "notes", "unique_tokens": unique, "epoch_tokens": unique, "passes": 2.0}
        training |= {
            "epochs": 2.0,
            "exposure": [exposure],
            "skipped_steps": 0,
            "completed": True,
            "duration_s": 12.5,
            "tokens_per_s": 819.2,
            "resumes": [],
        }
        body: dict[str, Any] = {
            "model": {"parameters": PARAMETERS},
            "training": training,
            "validation": {"loss": 1.7, "bpb": 1.5, "bpb_se": 0.01},
            "baselines": self.baselines(),
            "weights_digest": self.weights[stage],
            "checkpoint": {"folder": layout.checkpoint_dir(stage), "chosen": "last", "step": self.steps},
        }
        if stage == layout.SFT:
            body |= {
                "base_weights_digest": self.weights[layout.BASE],
                "sft": {"conversations": 600, "too_long": 0, "duplicate_prompts_frac": 0.0},
                "forgetting": {"before_bpb": 1.5, "after_bpb": 1.6},
            }
        return body

    def write_memorisation(self, known_by_heart: int = 0) -> None:
        """A model that continues the first `known_by_heart` train documents exactly, and no other."""
        store, spans = self.store, {"prefix_tokens": 50, "suffix_tokens": 50}
        reader = CorpusReader(store.path(layout.CORPUS), store.path(layout.CORPUS_DOCUMENTS))
        tok = Tokenizer.load(store.path(layout.TOKENIZER))
        rows: list[dict[str, Any]] = []
        for name in (layout.BASE, layout.SFT):
            for side in SIDES:
                for place, (number, ids) in enumerate(choose_passages(reader, tok, [1.0], side, DOCUMENTS, 100, 100)):
                    known = side == "train" and place < known_by_heart
                    reply = ids[50:] if known else [ids[50] ^ 1]
                    row = {"kind": "passage", "model": name, "side": side, "document": number}
                    rows.append(row | {"wanted": ids[50:], "reply": reply})
                for number, ids in choose_passages(reader, tok, [1.0], side, DOCUMENTS, 1, 100):
                    row = {"kind": "loss", "model": name, "side": side, "document": number}
                    rows.append(row | {"tokens": len(ids), "nats": 2.0 * len(ids)})
        store.write(layout.MEMORISATION_ROWS, jsonl_bytes(rows))
        models = {
            name: {"weights_digest": self.weights[name], "checkpoint": layout.checkpoint_dir(name)}
            | summarise_memorisation(row for row in rows if row["model"] == name)
            for name in (layout.BASE, layout.SFT)
        }
        settings = spans | {"documents": DOCUMENTS, "loss_tokens": 100, "samples": 0, "references": 4095}
        settings |= {"scaled": False, "shortest_copy_words": 4}
        body = {"rows": layout.MEMORISATION_ROWS, "settings": settings, "models": models}
        inputs = [layout.CORPUS, layout.CORPUS_DOCUMENTS, layout.CORPUS_MANIFEST, layout.TOKENIZER]
        for stage in (layout.BASE, layout.SFT):
            folder = layout.checkpoint_dir(stage)
            inputs += [layout.report_path(stage), f"{folder}/{layout.CKPT_MANIFEST}", f"{folder}/{layout.CKPT_WEIGHTS}"]
        self._report(layout.MEMORISATION, "memorisation", body, inputs, [layout.MEMORISATION_ROWS])

    def write_eval(self, n: int, change: Callable[[str, list[dict]], list[dict]] = lambda name, rows: rows) -> None:
        sources = {"eval": layout.CHAT_EVAL, "fit": layout.CHAT_TRAIN, "heldout": layout.CHAT_HELDOUT}
        sets: dict[str, Any] = {}
        for name in SETS:
            rows = change(name, records(questions(name, n if name == "eval" else n // 2), self.rates[name]))
            path = f"{layout.EVAL}/{layout.ROWS if name == 'eval' else f'{name}_{layout.ROWS}'}"
            self.store.write(path, jsonl_bytes(rows))
            sets[name] = {"rows": path, "source": sources[name], "summary": summarise_rows(rows)}
        folder = layout.checkpoint_dir(layout.SFT)
        body = {
            "weights_digest": self.weights[layout.SFT],
            "checkpoint": folder,
            "settings": {"greedy": True},
            "sets": sets,
        }
        inputs = [
            layout.RUN,
            *sources.values(),
            layout.report_path(layout.SFT),
            f"{folder}/{layout.CKPT_MANIFEST}",
            f"{folder}/{layout.CKPT_WEIGHTS}",
        ]
        self._report(
            layout.report_path(layout.EVAL), "eval_report", body, inputs, [entry["rows"] for entry in sets.values()]
        )

    def write_benchmark(
        self, data: Path, rate: float = 0.9, paradigms: tuple[str, ...] = PARADIGMS, per_paradigm: int = 10
    ) -> None:
        data.parent.mkdir(parents=True, exist_ok=True)
        if not data.exists():
            data.write_bytes(b'{"sentence_good": "a", "sentence_bad": "b"}\n')
        shares = [round(rate * per_paradigm * place) for place in range(len(paradigms) + 1)]
        rows = [
            self._pair(paradigm, number, number <= shares[place + 1] - shares[place])
            for place, paradigm in enumerate(paradigms)
            for number in range(1, per_paradigm + 1)
        ]
        numbers, folder = recompute_blimp(rows), layout.benchmark_dir(FACTS.name)
        self.store.write(f"{folder}/{layout.ROWS}", jsonl_bytes(rows))
        body = {
            "name": FACTS.name,
            "weights_digest": self.weights[layout.SFT],
            "checkpoint": layout.checkpoint_dir(layout.SFT),
            "items": numbers["n"],
            "partial": numbers["partial"],
            "registered": True,
            "files": [{"name": data.name, "sha256": sha256_file(data), "registered": True}],
            "shots": FACTS.shots,
            "chance": FACTS.chance,
            "prompt_form": FACTS.prompt,
            "metric": METRICS[FACTS.name],
            "headline": {key: numbers[key] for key in ("interval", "adjusted", "adjusted_interval", "n")}
            | {"point": numbers["rate"], "k": numbers["pooled"]["k"]},
            "groups": {
                name: {key: group[key] for key in ("k", "n", "rate", "interval")}
                for name, group in numbers["paradigms"].items()
            },
            "rows": f"{folder}/{layout.ROWS}",
        }
        weights = f"{layout.checkpoint_dir(layout.SFT)}/{layout.CKPT_WEIGHTS}"
        self._report(layout.report_path(folder), "benchmark_report", body, [weights], [body["rows"]], data)

    @staticmethod
    def _pair(paradigm: str, number: int, right: bool) -> dict[str, Any]:
        good, bad = (-10.0, -12.0) if right else (-12.0, -10.0)
        row = {
            "id": f"{paradigm}/{number}",
            "paradigm": paradigm,
            "field": "syntax",
            "good": f"It is {wording(paradigm, number)}.",
            "bad": f"It are {wording(paradigm, number)}.",
        }
        return row | {"good_logprob": good, "bad_logprob": bad, "passed": right}


def judge(root: Path, profile: str = "research") -> dict[str, Any]:
    """Judges and summarises as the stage does; returns the body of the gate."""
    events = EventWriter(root / layout.EVENTS)
    try:
        return run_summary(
            StageContext(RunStore(root), events, seed=1, clock=ManualClock()),
            SummaryConfig.from_dict({"gate_profile": profile}),
        )
    finally:
        events.close()


def judged_run(root: Path, n: int = 10) -> Path:
    """A small scripted run with its verdict and pages."""
    GreenRun(root).build(n=n)
    judge(root)
    return root
