"""Sabotages beyond the first 32: quieter forgeries, with digests that fit. `hole` says what the gate cannot see."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.redteam.sabotages import (
    BLIMP,
    EVAL_REPORT,
    SABOTAGES,
    asked_text,
    edit_checkpoint,
    eval_rows_in_corpus,
    sabotage,
    train_on,
    trained,
)
from tests.redteam.scene import N, Scene
from tests.redteam.signing import edit
from tests.support.green_rows import question, questions
from tests.support.green_run import DOCUMENTS, HELD_OUT, count_baselines

from picochat.artifacts import layout
from picochat.core.jsonio import iter_jsonl, jsonl_bytes
from picochat.evals.summarise import summarise_rows
from picochat.evals.tasks.blimp import recompute_blimp
from picochat.judgement.profile import PROFILES

__all__ = ["SABOTAGES"]
BLIMP_ROWS = f"{layout.benchmark_dir('blimp')}/{layout.ROWS}"


def claim_clean(body: dict[str, Any]) -> None:
    section = body["contamination"]
    for row in (*section["sets"].values(), *section["matrix"]):
        row["dirty"] = 0
        if "dirty_ids" in row:
            row["dirty_ids"] = []


@sabotage("33", "honesty.json claims 0, its hits have lines", "honesty.corpus")
def claim_none(scene: Scene) -> None:
    eval_rows_in_corpus(scene)
    edit(scene.root, layout.HONESTY, claim_clean)
    scene.cover_up()


@sabotage("34", "honesty.json claims 0, its hits are emptied too", "honesty.corpus")
def claim_none_anywhere(scene: Scene) -> None:
    eval_rows_in_corpus(scene)
    edit(scene.root, layout.HONESTY, claim_clean)
    (scene.root / layout.HONESTY_HITS).write_bytes(b"")
    scene.cover_up()


@sabotage("35", "hits of SFT rows emptied with their counts", "skills.disjoint")
def claim_no_rows(scene: Scene) -> None:
    train_on(scene, *(question("eval", "arithmetic", number) for number in range(5)))
    edit(scene.root, layout.HONESTY, claim_clean)
    (scene.root / layout.HONESTY_HITS).write_bytes(b"")
    scene.cover_up()


@sabotage("36", "honesty of the corpus before eval rows came in", "verify.chain")
def stale_honesty(scene: Scene) -> None:
    honest = {name: (scene.root / name).read_bytes() for name in (layout.HONESTY, layout.HONESTY_HITS)}
    scene.run.write_corpus(N, text_of=lambda number, text: f"{text} {asked_text()}" if number == 7 else text)
    scene.texts_changed()
    for name, data in honest.items():
        (scene.root / name).write_bytes(data)


@sabotage("37", "30 of 60 documents known by heart", "honesty.extractable")
def recites(scene: Scene) -> None:
    scene.run.write_memorisation(known_by_heart=30)
    scene.cover_up()


@sabotage("38", "memorised documents left out of the rows", "honesty.extractable")
def forge_memorised(scene: Scene) -> None:
    scene.run.write_memorisation(known_by_heart=30)
    path = scene.root / layout.MEMORISATION_ROWS
    rows = [row for row in iter_jsonl(path) if not (row["kind"] == "passage" and row["reply"] == row["wanted"])]
    path.write_bytes(jsonl_bytes(rows))
    scene.cover_up()


@sabotage("39", "memorisation numbers of the report set to 0", "honesty.extractable")
def forge_numbers(scene: Scene) -> None:
    honest = scene.store.read(layout.MEMORISATION)["models"]
    scene.run.write_memorisation(known_by_heart=30)
    edit(scene.root, layout.MEMORISATION, lambda body: body.update(models=honest))
    scene.cover_up()


def rewrite_blimp(scene: Scene, keep: Any, partial: bool, rows: list[dict[str, Any]] | None = None) -> None:
    """A coin-flip model of which only some items are shown, the report made to follow from them."""
    scene.run.write_benchmark(scene.benchmark, rate=0.5)
    path = scene.root / layout.benchmark_dir("blimp") / layout.ROWS
    rows = rows or [row for row in iter_jsonl(path) if keep(row)]
    path.write_bytes(jsonl_bytes(rows))
    numbers = recompute_blimp(rows)

    def change(body: dict[str, Any]) -> None:
        keys = ("interval", "adjusted", "adjusted_interval", "n")
        body["headline"] = {key: numbers[key] for key in keys} | {
            "point": numbers["rate"],
            "k": numbers["pooled"]["k"],
        }
        body["groups"] = {
            name: {key: group[key] for key in ("k", "n", "rate", "interval")}
            for name, group in numbers["paradigms"].items()
        }
        body |= {"items": len(rows), "partial": partial}

    edit(scene.root, BLIMP, change)
    scene.cover_up()
    scene.run.write_honesty()
    scene.cover_up()


@sabotage("40", "easy paradigms only, partial taken away", "verify.chain")
def easy_paradigms(scene: Scene) -> None:
    chosen = sorted({row["paradigm"] for row in iter_jsonl(scene.root / layout.benchmark_dir("blimp") / layout.ROWS)})
    rewrite_blimp(scene, lambda row: row["paradigm"] in chosen[:20] and row["passed"], partial=False)


@sabotage("41", "failed items of each paradigm left out", "external.score")
def easy_items(scene: Scene) -> None:
    rewrite_blimp(scene, lambda row: row["passed"], partial=False)


def double(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    right = [row for row in rows if row["verdict"] == "pass"]
    return [*rows, *right] if name == "eval" else rows


def only_right(chosen: str) -> Any:
    return lambda name, rows: [row for row in rows if row["verdict"] == "pass"] if name == chosen else rows


@sabotage("42", "right eval rows counted twice", "gate.evidence")
def count_twice(scene: Scene) -> None:
    scene.run.write_eval(N, double)
    scene.cover_up()


@sabotage("43", "failed held-out rows left out", "gate.evidence")
def leave_out_held_out(scene: Scene) -> None:
    run = scene.run
    run.rates["heldout"] = 0.4
    run.write_eval(N, only_right("heldout"))
    scene.cover_up()


@sabotage("44", "failed rows of fit left out", "sft.fit.skills")
def leave_out_fit(scene: Scene) -> None:
    run = scene.run
    run.rates["fit"] = 0.6
    run.write_eval(N, only_right("fit"))
    scene.cover_up()


@sabotage("45", "held-out file replaced by training rows", "skills.disjoint")
def swap_held_out(scene: Scene) -> None:
    lessons = questions("fit", N // 2)
    scene.run.write_corpus(N, rows_of=lambda path, rows: lessons if path == layout.CHAT_HELDOUT else rows)
    scene.run.write_eval(N)
    scene.texts_changed()


@sabotage("46", "a verdict that does not follow from its reply", "gate.evidence")
def forge_verdicts(scene: Scene) -> None:
    def change(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row | {"verdict": "pass", "reason": "ok"} for row in rows]

    scene.run.write_eval(N, change)
    edit(
        scene.root,
        EVAL_REPORT,
        lambda body: [entry.update(summary=summary_of(scene, entry)) for entry in body["sets"].values()],
    )
    scene.cover_up()


def summary_of(scene: Scene, entry: dict[str, Any]) -> dict[str, Any]:
    return summarise_rows(list(iter_jsonl(scene.root / entry["rows"])))


@sabotage("47", "profile of another name under this one", "gate.evidence")
def rename_profile(scene: Scene) -> None:
    scene.profiles = Path(shutil.copytree(PROFILES, scene.scratch / "profiles"))
    shutil.copyfile(scene.profiles / "research.toml", scene.profiles / "skill_release.toml")


@sabotage("48", "older profile in the place of this version", "gate.evidence")
def older_profile(scene: Scene) -> None:
    scene.profiles = Path(shutil.copytree(PROFILES, scene.scratch / "profiles"))
    shutil.copyfile(scene.profiles / "skill_release.1.toml", scene.profiles / "skill_release.toml")


def raise_trigram(body: dict[str, Any]) -> None:
    body["baselines"]["trigram"]["bpb"] = 9.0


@sabotage("49", "n-gram baseline raised in the tokenizer report", "verify.chain")
def raise_baseline(scene: Scene) -> None:
    edit(scene.root, layout.TOKENIZER_REPORT, raise_trigram)
    scene.cover_up()


@sabotage("50", "n-gram baseline raised in every report", "base.beats_ngram")
def raise_baselines(scene: Scene) -> None:
    honest = scene.run.baselines()["trigram"]["bpb"]
    scene.run.write_training(layout.BASE, change=lambda body: body["validation"].update(bpb=honest + 0.1))
    for name in (layout.TOKENIZER_REPORT, layout.report_path(layout.BASE), layout.report_path(layout.SFT)):
        edit(scene.root, name, raise_trigram)
    scene.cover_up()


@sabotage("61", "n-gram baseline of a handful of tokens", "base.beats_ngram")
def count_little(scene: Scene) -> None:
    """Asked for in run.json, so that every number follows from it."""
    run = scene.run
    honest = run.baselines()
    edit(scene.root, layout.RUN, lambda body: body["config"].update(tokenizer={"baseline_max_tokens": 2000}))
    for stage in (layout.BASE, layout.SFT):
        digest = scene.store.run_digest()
        edit_checkpoint(scene.root, stage, lambda body, now=digest: body.update(run_digest=now))
    text = [(scene.root / name).read_bytes() for name in (layout.CORPUS, layout.CORPUS_DOCUMENTS)]
    little = count_baselines(run.name, text[0], text[1], limit_tokens=2000)
    assert little["trigram"]["bpb"] > honest["trigram"]["bpb"] + 0.1
    for name in (layout.TOKENIZER_REPORT, layout.report_path(layout.BASE), layout.report_path(layout.SFT)):
        edit(scene.root, name, lambda body: body.update(baselines=little))
    bpb = honest["trigram"]["bpb"] + 0.05
    edit(scene.root, layout.report_path(layout.BASE), lambda body: body["validation"].update(bpb=bpb))
    scene.cover_up()


def plan_less(body: dict[str, Any]) -> None:
    steps = 16
    body["training"] |= {"planned_steps": steps, "steps": steps, "targets_seen": steps * 500}
    body["training"] |= {"planned_tokens": steps * 512, "tokens_seen": steps * 512}


@sabotage("51", "plan lowered after training stopped early", "budget.trained")
def lower_plan(scene: Scene) -> None:
    run = scene.build(steps=20)
    run.write_run()
    edit(run.store.root, layout.RUN, lambda body: body["config"].update(base={"loop": {"tokens": 20 * 512}}))
    run.write_corpus(N)
    run.write_tokenizer()
    run.write_training(layout.BASE, lambda lines: lines[:16], plan_less)
    run.write_training(layout.SFT)
    run.write_eval(N)
    run.write_memorisation()
    run.write_benchmark(scene.benchmark)
    run.write_honesty()


@sabotage("52", "parameters understated", "budget.target_ratio")
def fewer_parameters(scene: Scene) -> None:
    def change(body: dict[str, Any]) -> None:
        body["training"] |= {"planned_tokens": 5000, "tokens_seen": 5000}
        body["model"]["parameters"] = 200

    scene.run.write_training(layout.BASE, change=change)
    scene.cover_up()


trained("53", "skipped steps kept out of the report", "training.ledger", lambda lines: [
    line | {"verdict": "skipped"} if line["step"] % 10 == 0 else line for line in lines
], "made")  # fmt: skip


@sabotage("54", 'a licence of "Unknown"', "data.licence")
def unknown_licence(scene: Scene) -> None:
    scene.run.write_corpus(N, change=lambda body: body["sources"][0].update(licence=" Unknown"))
    scene.texts_changed()


@sabotage("55", "a report edited after it was written", "gate.evidence")
def edit_in_place(scene: Scene) -> None:
    path = scene.root / EVAL_REPORT
    path.write_bytes(path.read_bytes().replace(b'"greedy": true', b'"greedy": false'))


@sabotage("56", "eval asked of the held-out file", "gate.evidence")
def other_source(scene: Scene) -> None:
    edit(scene.root, EVAL_REPORT, lambda body: body["sets"]["eval"].update(source=layout.CHAT_HELDOUT))
    scene.cover_up()


FEW_PASSES = [{"source": "notes", "unique_tokens": 250, "epoch_tokens": 250, "passes": 2.0}]
trained("57", "40 passes, said to be 2", "budget.replay", list, "made", epochs=2.0, exposure=FEW_PASSES)


@sabotage("58", "a score that rests on items it was trained on", "honesty.benchmarks")
def carried_by_dirty_items(scene: Scene) -> None:
    """Right on .665 of all items, which is enough, and on .63 of those it never saw; a tenth of them it saw."""
    scene.run.write_benchmark(scene.benchmark, rate=0.665)
    seen = [row["good"] for row in iter_jsonl(scene.root / BLIMP_ROWS) if row["id"].endswith("/1")]
    places = DOCUMENTS - HELD_OUT
    scene.run.write_corpus(
        N, text_of=lambda number, text: " ".join([text, *seen[number::places]]) if number < places else text
    )
    scene.texts_changed()


@sabotage("59", "failed items left out, said to be a part", "external.score")
def easy_part(scene: Scene) -> None:
    rewrite_blimp(scene, lambda row: row["passed"], partial=True)


@sabotage("60", "failed items replaced by right ones, shown twice", "external.score")
def items_twice(scene: Scene) -> None:
    scene.run.write_benchmark(scene.benchmark, rate=0.5)
    rows = [row for row in iter_jsonl(scene.root / BLIMP_ROWS) if row["passed"]]
    rewrite_blimp(scene, lambda row: row["passed"], partial=False, rows=rows + rows)


@sabotage("62", "the same, and its hits emptied with their counts", "honesty.benchmarks")
def carried_by_items_unsaid(scene: Scene) -> None:
    carried_by_dirty_items(scene)
    edit(scene.root, layout.HONESTY, claim_clean)
    (scene.root / layout.HONESTY_HITS).write_bytes(b"")
    scene.cover_up()


@sabotage("63", "a search for which every eval row is too short", "honesty.corpus")
def search_for_nothing(scene: Scene) -> None:
    """Asked for in run.json, so that every count follows from it."""
    rules = {"gram_bytes": 10_000, "small_gram_bytes": 10_000, "pair_words": 1_000}
    edit(scene.root, layout.RUN, lambda body: body["config"].update(honesty={"contamination": rules}))
    for stage in (layout.BASE, layout.SFT):
        digest = scene.store.run_digest()
        edit_checkpoint(scene.root, stage, lambda body, now=digest: body.update(run_digest=now))
    scene.run.write_corpus(N, text_of=lambda number, text: f"{text} {asked_text()}" if number == 7 else text)
    scene.texts_changed()
    scene.run.write_honesty(contamination=rules)
    assert scene.store.read(layout.HONESTY)["contamination"]["sets"]["eval"]["dirty"] == 0
    scene.cover_up()
