"""The memorisation stage: corpus, canaries and trained checkpoints in; what the models know by heart, by rows, out.

It is evidence of its own and not a section of honesty.json: that one is written before a training, this one needs its
weights, and neither may replace the other. Both checkpoints of a run are asked, each under its name: base, and the
chat checkpoint that is judged.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore, StageRecord
from picochat.core.jsonio import jsonl_bytes
from picochat.data.corpus import CorpusReader
from picochat.data.memorisation.copied import SEED_WORDS, CopySearcher, index_samples, iter_pieces, merge_copies
from picochat.evals.memorisation import SAMPLE, summarise_memorisation
from picochat.stages.contract import StageContext
from picochat.stages.memorisation.asking import Asker, Rows
from picochat.stages.memorisation.config import MemorisationConfig
from picochat.stages.memorisation.material import Material, add_inputs, read_material
from picochat.stages.subject import Subject, open_subject
from picochat.training.config import MachineConfig

STAGE = "memorisation"
Models = dict[str, dict[str, Any]]
"""By name of the model: its weights digest and its checkpoint."""


def run(ctx: StageContext, config: MemorisationConfig, machine: MachineConfig) -> None:
    """Asks the checkpoints that the run holds, searches the corpus for their samples, writes rows and report.

    Raises `artifact.*` and `checkpoint.*` for changed inputs, `corpus.layout`, `workers.lost` or `run.stopped`.
    """
    record = ctx.record(STAGE, config)
    manifest = add_inputs(ctx.store, record)
    subjects = {stage: open_subject(ctx.store, record, machine, ctx.ranks, stage) for stage in _stages(ctx.store)}
    judged = subjects[layout.SFT]
    context = judged.loaded.model.config.max_seq_len
    material = read_material(ctx.store, manifest, judged.tokenizer, config, context)
    rows: Rows = []
    for name, subject in subjects.items():
        with subject.world.watching():
            rows += Asker(subject, name, config, ctx.progress.update).ask(material)
    models: Models = {
        name: {"weights_digest": subject.loaded.weights_digest, "checkpoint": layout.checkpoint_dir(name)}
        for name, subject in subjects.items()
    }
    ctx.ranks.on_main("the report", lambda: _write(ctx, record, config, judged, material, models, rows))


def _stages(store: RunStore) -> list[str]:
    """The trainings whose checkpoints are asked: base, when the judged one was made from it, and the judged one."""
    paths = [layout.report_path(stage) for stage in (layout.BASE, layout.SFT)]
    if all(map(store.has, paths)):
        base, sft = (store.read(path) for path in paths)
        if base.get("weights_digest") == sft.get("base_weights_digest"):
            return [layout.BASE, layout.SFT]
    return [layout.SFT]


def _write(
    ctx: StageContext,
    record: StageRecord,
    config: MemorisationConfig,
    subject: Subject,
    material: Material,
    models: Models,
    rows: Rows,
) -> None:
    """The samples are looked for in the corpus, then all is written; rank 0 does it alone."""
    _find_copies(ctx, [row for row in rows if row["kind"] == SAMPLE])
    ctx.store.write_evidence(layout.MEMORISATION_ROWS, jsonl_bytes(rows))
    record.add_output("rows", layout.MEMORISATION_ROWS)
    spans = material.spans
    body = {
        "rows": layout.MEMORISATION_ROWS,
        "settings": {
            **config.as_dict(),
            "prefix_tokens": spans.prefix,
            "suffix_tokens": spans.suffix,
            "loss_tokens": min(config.loss_tokens, subject.loaded.model.config.max_seq_len),
            "scaled": spans.scaled,
            "shortest_copy_words": SEED_WORDS,
            **subject.settings,
        },
        "models": {
            name: facts | summarise_memorisation(row for row in rows if row["model"] == name)
            for name, facts in models.items()
        },
    }
    manifest = record.manifest(ctx.clock.monotonic(), **subject.environment)
    ctx.store.write_report(layout.MEMORISATION, "memorisation", body, manifest)
    _tell(ctx, body)


def _find_copies(ctx: StageContext, samples: Rows) -> None:
    """Gives every sample the longest stretch of words that it shares with a train document."""
    paths = ctx.store.path(layout.CORPUS), ctx.store.path(layout.CORPUS_DOCUMENTS)
    index = index_samples([row["text"] for row in samples])
    reader = CorpusReader(*paths)
    pieces, size = list(iter_pieces(reader)), paths[0].stat().st_size
    parts = []
    for found in ctx.map(partial(CopySearcher, index, *paths), pieces, size):
        parts.append(found)
        ctx.progress.update(len(parts), len(pieces), "looking for the samples in the corpus")
    copies = merge_copies(parts)
    for number, row in enumerate(samples):
        words, begin, document = copies.get(number, (0, None, None))
        row |= {"copied_words": words, "begin": begin, "document": document}


def _tell(ctx: StageContext, body: dict[str, Any]) -> None:
    """Events for whoever watches: the numbers of each model, and what the context did not allow."""
    for name, found in body["models"].items():
        ctx.events.emit(
            "eval",
            STAGE,
            model=name,
            extractable=found["extractable"]["difference"],
            canaries=found["canaries"]["by_copies"],
            copied_words=found["copied"]["longest_words"],
            loss_gap=found["loss"]["gap"],
        )
    if body["settings"]["scaled"]:
        spans = f"{body['settings']['prefix_tokens']} + {body['settings']['suffix_tokens']} tokens"
        text = f"the context has no room for the asked passages: {spans} are continued instead"
        ctx.events.emit("warning", STAGE, code="memorisation", text=text)
